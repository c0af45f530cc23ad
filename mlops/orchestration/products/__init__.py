"""What a block gets from other pipelines: data products, and runs that it starts."""
