"""What is known at pickup, turned into numbers by one code path for training and inference."""
