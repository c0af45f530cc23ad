"""How requests of a dataset are read, answered and described: of trips, and of any table."""
