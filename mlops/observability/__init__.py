"""What a person or Prometheus sees of the project: read once per refresh, kept as small tables."""
