"""Watching a model at work: what is measured on a window of rows, and what is to be done."""
