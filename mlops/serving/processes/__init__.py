"""`mlops serve`: the workers, what they follow, and who watches them."""
