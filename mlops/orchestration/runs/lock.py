"""One engine per home at a time: a file lock that says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path

from mlops.errors import BusyError, unwritable

POLL_SECONDS = 0.2
# How long somebody may take to decide whether a data product must be built.
DECISION_SECONDS = 60


class HomeLock:
    """An exclusive lock on a file, held until released or until all its holders are dead.

    Forked children inherit the hold on purpose: when an engine is killed, the next one must not
    start a block that an orphan of the first is still executing.

    Args:
        path: The lock file; its content names the holder.
        purpose: What the holder is doing, for the message others see.
    """

    def __init__(self, path: Path, purpose: str) -> None:
        self.path = path
        self.purpose = purpose
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self, wait_seconds: float = 0) -> None:
        """Take the lock.

        Args:
            wait_seconds: How long to wait for the present holder.

        Raises:
            BusyError: Naming the holder's process and since when it runs.
            ConfigurationError: If the folder cannot be written.
        """
        if self.held:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(file):
            if time.monotonic() >= deadline:
                os.close(file)
                raise self._busy()
            time.sleep(POLL_SECONDS)
        holder = {
            "pid": os.getpid(),
            "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "purpose": self.purpose,
        }
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(holder).encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the lock back; harmless when not held."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = None

    def _busy(self) -> BusyError:
        holder = self.holder()
        pid = holder.get("pid", "unknown")
        return BusyError(
            f"{self.path.parent} is in use: process {pid} ({holder.get('purpose', 'a run')}), "
            f"since {holder.get('since', 'an unknown time')}",
            "wait for it, stop it with Ctrl-C in its terminal, set MLOPS_ENGINE__LOCK_WAIT_SECONDS "
            "to wait here, or set MLOPS_HOME to another folder",
        )

    def holder(self) -> dict[str, str | int]:
        """Return what the last holder wrote about itself; empty when unreadable."""
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def is_held(path: Path) -> bool:
    """Tell whether any process holds the lock at ``path``."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        free = _try_lock(file)
        if free:
            fcntl.flock(file, fcntl.LOCK_UN)
        return not free
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
