"""Names of the files by which the processes of one home find each other and their logs."""

from __future__ import annotations

import re
from pathlib import Path

# In the home: who drives runs. Held locks tell the living from the dead.
ENGINE_LOCK = "engine.lock"
SCHEDULER_LOCK = "scheduler.lock"


def block_log(folder: Path, block: str) -> Path:
    """Return a block's log in its pipeline's folder (``fit:lasso`` becomes ``fit.lasso.log``)."""
    return folder / (re.sub(r"[^\w-]+", ".", block) + ".log")
