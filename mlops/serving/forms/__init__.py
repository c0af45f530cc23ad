"""How requests of a dataset are read, answered and described: a built-in one, or any table."""
