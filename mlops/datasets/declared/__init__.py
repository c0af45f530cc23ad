"""The machinery behind a dataset.yaml: what any definition needs to become rows, and features."""
