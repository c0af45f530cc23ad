"""A demonstration on real servers: the world changes, and the project notices, learns and mends."""
