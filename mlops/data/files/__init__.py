"""From files as they are in the world to canonical trips: any format, any types, any clock."""
