"""Whose run it is, as written in the ``metrics`` of Mage's record: free of Mage.

A run driven by the headless engine carries a mark for as long as it is driven: the server's
scheduler leaves marked runs alone (`scheduler`), and a marked run without a live engine is one
whose engine was killed. A run that a block of another run has started names that run as its parent;
the driver of the parent drives it as well.
"""

from __future__ import annotations

import os
from typing import Any, Final

MARK: Final = "headless_engine"
PARENT: Final = "parent_run"


def our_mark() -> dict[str, Any]:
    """Return the mark of the engine that this process is."""
    return {MARK: {"pid": os.getpid()}}


def is_marked(run: Any) -> bool:
    """Tell whether a headless engine drives, or drove, this run."""
    return MARK in (run.metrics or {})


def driver(run: Any) -> dict[str, Any]:
    """Return the mark of the engine that drives a run; nothing when the server's scheduler does."""
    return {MARK: run.metrics[MARK]} if is_marked(run) else {}


def unmarked(run: Any) -> dict[str, Any]:
    """Return the metrics of a run without the mark."""
    return {k: v for k, v in (run.metrics or {}).items() if k != MARK}


def parent_of(run: Any) -> int | None:
    """Return the run whose block has started this one, if any."""
    number = (run.metrics or {}).get(PARENT)
    return None if number is None else int(number)
