"""Files of the TLC as canonical trips: any column names, any types, any clock."""
