"""What the command line runs through the engine: the main job, deployments, monitoring."""
