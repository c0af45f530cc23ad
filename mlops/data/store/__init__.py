"""The store of data products: immutable training sets, and what each was made from."""
