"""Watching a model at work: what is measured on a window of trips, and what is to be done."""
