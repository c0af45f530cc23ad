"""Charts, cards and tables: pure functions from a small table to a picture."""
