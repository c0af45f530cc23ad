"""Names of the files by which the processes of one home find each other and their logs."""

from __future__ import annotations

import re
from pathlib import Path

# In the home: who drives runs. Held locks tell the living from the dead.
ENGINE_LOCK = "engine.lock"
SCHEDULER_LOCK = "scheduler.lock"


def product_lock(name: str) -> str:
    """Return the file, in a dataset's folder, whose holder decides whether a product is built."""
    return f"product-{name}.lock"


def run_logs(logs: Path, pipeline: str, run_id: int) -> Path:
    """Return the folder of a run's logs, the same when it is resumed."""
    return logs / f"{run_id:04d}-{pipeline}"


def block_log(folder: Path, block: str) -> Path:
    """Return a block's log in its run's folder (``fit:lasso`` becomes ``fit.lasso.log``)."""
    return folder / (re.sub(r"[^\w-]+", ".", block) + ".log")
