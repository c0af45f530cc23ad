"""Files and folders that appear whole or not at all, whatever kills the process that writes them.

What is being written lies under a temporary name beside its target, because only a rename within
one file system is atomic. A writer holds a lock on its temporary folder; the operating system
frees it with the process, which is how a later writer knows a leftover from work in progress.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success it replaces ``target``, else it vanishes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=target.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o644)  # mkstemp's 0600 would hide the file from other users
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Create ``target``, or replace it, with what ``write`` puts into the folder it is given.

    Args:
        target: The folder to appear. Leftovers of writers that died beside it are removed.
        write: Writes the content; whatever it raises leaves ``target`` as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target.parent)
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=target.parent))
    lock = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write(temporary)
        for path in [*temporary.rglob("*"), temporary]:
            _sync(path)
        temporary.chmod(0o755)
        _replace_folder(temporary, target)
        _sync(target.parent)
    finally:
        os.close(lock)
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``; a folder in the way is moved aside first and then removed."""
    if target.exists():
        aside = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=target.parent))
        target.rename(aside / target.name)
        new.rename(target)
        shutil.rmtree(aside)
    else:
        new.rename(target)


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            if path.is_dir() and _nobody_writes(path):
                shutil.rmtree(path)


def _nobody_writes(folder: Path) -> bool:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _sync(path: Path) -> None:
    """Wait until the path's content is on disk, so that the rename cannot outrun it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
