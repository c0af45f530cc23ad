"""What the server's workers serve right now: one small file, replaced whole.

The follower asks the registry, compiles and checks models, and writes this file; workers read it.
So a worker needs no registry, and starts even when the registry is down.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from mlops.data.references import Reference
from mlops.errors import DamagedFileError
from mlops.records.files import find_record, write_record
from mlops.registry.rollout import Rollout

_FILE: Final = "state.json"


class Served(Reference):
    """A compiled version on this machine's disk."""

    version: int
    bundle: str  # folder written by `mlops.serving.model.compiled`; its name, in ``bundles``
    since: datetime  # when it became champion, or when its rollout began


class ServingState(Reference):
    """Which versions answer.

    Attributes:
        champion: Answers; None before the first promotion.
        rollout: Beside the champion, if any, and `beside` the version it names.
        beside: The version of the rollout.
        problem: Why the registry's wish could not be followed, in words; empty when it was.
        updated_at: With time zone.
    """

    champion: Served | None = None
    rollout: Rollout | None = None
    beside: Served | None = None
    problem: str = ""
    updated_at: datetime


def state_file(folder: Path) -> Path:
    """Return the file of a serving folder (`settings.served`) that workers watch."""
    return folder / _FILE


def read_state(folder: Path) -> ServingState | None:
    """Return the state in a serving folder (`settings.served`), or None before there is one.

    Raises:
        DamagedFileError: If the file is damaged; a running server writes it anew.
    """
    way_out = "start the server, which rewrites {path}: mlops serve"
    return find_record(state_file(folder), ServingState, way_out)


def problem_in(folder: Path) -> str:
    """Return why the registry's wish is not followed, in words; empty if it is."""
    try:
        state = read_state(folder)
    except DamagedFileError as error:
        return error.message
    return state.problem if state else "the registry has not been read yet"


def write_state(folder: Path, state: ServingState) -> None:
    """Replace the state, whole or not at all."""
    write_record(state_file(folder), state)


def mark_of(file: Path) -> object:
    """Return what changes when a file is replaced, appears or vanishes: cheap to ask often."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
