"""Whether the files of the library have changed under a running server, and where that is shown.

All parts of a server are forked from one process and share what it has imported: started again
alone, a part would run half of the old code and half of the new. So the scheduler, whose blocks
write receipts, is not given new code: it lets running blocks finish and starts no other until a
person restarts the whole, or the files are again as they were. Runs in progress wait, and go on
after the restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from mlops.errors import ServerError
from mlops.fingerprints import changed_sources
from mlops.orchestration.runs.lock import HomeLock, is_held
from mlops.registry.receipts import imported_commit
from mlops.settings import Settings

LOOK_SECONDS: Final = 2.0
_NAMED: Final = 2  # files
# Held while the files differ, so that it tells nothing of a server that was killed.
_LOCK: Final = "server/changed_code.lock"


class CodeWatch:
    """What `mlops up` knows of its files; each change is reported once.

    Args:
        settings: Say where others find it.
        say: Given each line meant for the person at the terminal.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = settings.home / _LOCK
        self._say = say
        self._clock = clock
        self._next = clock()
        self._changed: tuple[str, ...] = ()
        self._lock = HomeLock(self._path, "")

    def look(self) -> None:
        """Look at the files, at most every few seconds, and tell of what is new."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + LOOK_SECONDS
        changed = changed_sources()
        if changed == self._changed:
            return
        self._changed = changed
        self._lock.release()
        if not changed:
            self._say("the files match the running server again: it starts blocks again")
            return
        text = _sentence(changed)
        self._lock = HomeLock(self._path, text)
        self._lock.acquire(LOOK_SECONDS)  # somebody may be reading
        self._say(text)


def changed_code(settings: Settings) -> str:
    """Say that the running server's files have changed; empty if not, or if there is no server.

    Args:
        settings: Name the home.
    """
    lock = HomeLock(settings.home / _LOCK, "")
    return str(lock.holder().get("purpose", "")) if is_held(lock.path) else ""


def require_unchanged() -> None:
    """Make sure, after a part's imports, that they are of the code the server began with.

    Raises:
        ServerError: If files have changed since.
    """
    changed = changed_sources()
    if changed:
        raise ServerError(  # in one line: `mlops up` shows the last of a part's log
            f"{_named(changed)} changed since `mlops up` started, and this part would mix old and "
            "new code: restart `mlops up`"
        )


def _sentence(changed: tuple[str, ...]) -> str:
    return (
        f"the server runs the code of commit {imported_commit()[:10]}, but "
        f"{_named(changed)} changed since: it starts no further block; restart `mlops up`"
    )


def _named(changed: tuple[str, ...]) -> str:
    """Return what is the subject of ``changed``: ``2 files (mlops/a.py, mlops/b.py) have``."""
    names = ", ".join(f"mlops/{name}" for name in changed[:_NAMED])
    if len(changed) == 1:
        return f"{names} has"
    return f"{len(changed)} files ({names}{', …' * (len(changed) > _NAMED)}) have"
