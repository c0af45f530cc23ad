"""The statistics of a window, and what is unusual about them."""
