"""Where the engine puts what it writes."""

from __future__ import annotations

import re
from pathlib import Path


def block_log(folder: Path, block: str) -> Path:
    """Return a block's log in its pipeline's folder (``fit:lasso`` becomes ``fit.lasso.log``)."""
    return folder / (re.sub(r"[^\w-]+", ".", block) + ".log")
