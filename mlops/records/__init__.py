"""JSON records of the project: written whole, read in one place, never skipped in silence."""
