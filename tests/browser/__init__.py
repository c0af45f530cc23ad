"""Pages as a user sees them. A package, so that its files can share one server."""
