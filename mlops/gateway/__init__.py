"""What stands in front of the project's HTTP servers: bounded connections, and known names only."""
