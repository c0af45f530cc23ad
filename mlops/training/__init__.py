"""Model families, their search spaces, the search itself and the artifact it produces."""
