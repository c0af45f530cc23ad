"""How many cores there are to use: fewer than the machine has where a container limits them."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not known on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
