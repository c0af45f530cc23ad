"""What a window is compared with: the profile of a version and its limits."""
