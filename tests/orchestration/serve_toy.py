"""Serves the toy project in a process of its own: ``serve_toy.py PROJECT [--reset-password]``."""

import sys
from pathlib import Path

from mlops.errors import MlopsError
from mlops.orchestration.servers.up import serve
from mlops.settings import load_settings

if __name__ == "__main__":
    try:
        serve(
            load_settings(),
            Path(sys.argv[1]),
            say=lambda line: print(line, flush=True),
            reset_password="--reset-password" in sys.argv,
        )
    except MlopsError as error:
        sys.exit(f"{type(error).__name__}: {error}")
