"""The home is its owner's alone: no other user of the machine reads databases, logs or keys."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def keep_private(home: Path) -> None:
    """Let this process and its children write for their user only, and close what is open so far.

    A home that others may need as well is left as it is: a folder at the root of the file system,
    somebody's home folder, or one that is shared like ``/tmp``. New files are private there too.

    Args:
        home: `settings.home`; it need not exist.
    """
    os.umask(_OTHERS)
    if not home.is_dir() or _is_needed_by_others(home):
        return
    _close(home)
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            _close(Path(folder) / name)


def _is_needed_by_others(home: Path) -> bool:
    root = Path(home.anchor)
    shared = bool(home.stat().st_mode & stat.S_ISVTX)
    return shared or root in (home, home.parent) or home == Path.home()


def _close(path: Path) -> None:
    with suppress(OSError):  # it is gone, or another user's
        mode = path.lstat().st_mode
        if mode & _OTHERS and not stat.S_ISLNK(mode) and path.lstat().st_uid == os.getuid():
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
