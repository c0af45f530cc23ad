"""Retraining: whether there is something new to learn, and what was done about it."""
