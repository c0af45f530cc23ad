"""From files as they are in the world to canonical rows: any format, any types, any clock."""
