"""Where trips come from and what makes them fit to learn from: sources, validation, snapshots."""
