"""Predictions from the champion: batch scoring."""
