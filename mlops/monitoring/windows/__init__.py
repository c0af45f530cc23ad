"""Which rows are measured together, and the labels that arrive later."""
