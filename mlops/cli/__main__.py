"""`python -m mlops.cli` is `mlops`."""

from mlops.cli import main

main()
