"""How good a model is, on which slices, and whether the gate lets it pass."""
