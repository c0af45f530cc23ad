"""Files of the project: written whole or not at all, and JSON records read in one place."""
