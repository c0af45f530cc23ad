"""Synthetic trips in place of real ones, modelled on them."""
