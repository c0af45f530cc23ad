"""Which process writes a run of the record: a run whose writer died is recognised and closed.

A process number alone is used again sooner or later; with the time of its start it is not.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path


def this_process() -> str:
    """Name this process: its machine, its number and when it started."""
    return f"{platform.node()}/{os.getpid()}/{_started(os.getpid())}"


def has_ended(writer: str) -> bool:
    """Tell whether a process that `this_process` named is known to have ended.

    Args:
        writer: Its name. Nothing is known of other machines' processes, or of an unnamed one.
    """
    machine, number, started = (*writer.split("/"), "", "")[:3]
    if machine != platform.node() or not number.isdigit():
        return False
    return _started(int(number)) != started


def _started(number: int) -> str:
    """Return when a process started, in ticks since the boot; empty if there is no such one."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return ""
    # After the name, which is in parentheses and may hold anything.
    return stat.rpartition(")")[2].split()[19]
