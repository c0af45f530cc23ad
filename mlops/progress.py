"""How long work reports its progress: one JSON line per step.

The headless engine gives each block's process a file through ``MLOPS_PROGRESS_FILE``; without it
a step is only logged. Either way the step appears in the block's own log.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

PROGRESS_FILE_VARIABLE = "MLOPS_PROGRESS_FILE"


def report(message: str, **fields: float | int | str | None) -> None:
    """Report one step of the current block.

    Args:
        message: What happened, short enough for one terminal line.
        **fields: Numbers worth showing, e.g. ``trial=3, trials=10, best_rmse=4.31``.
    """
    shown = " ".join(
        f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in fields.items()
    )
    print(f"{message} {shown}".rstrip(), flush=True)
    target = os.environ.get(PROGRESS_FILE_VARIABLE)
    if target:
        line = json.dumps({"at": time.time(), "message": message, **fields}) + "\n"
        with Path(target).open("a", encoding="utf-8") as stream:
            stream.write(line)
