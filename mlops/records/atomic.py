"""Files and folders that appear whole or not at all, whatever kills the process that writes them.

What is being written lies under a temporary name beside its target, because only a rename within
one file system is atomic. A writer holds a lock on what it writes; the operating system frees it
with the process, which is how the next writer knows a leftover from work in progress.
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
def atomic_file(target: Path, workplace: Path | None = None) -> Iterator[Path]:
    """Give a temporary path to write to; on success it replaces ``target``, else it vanishes.

    Args:
        target: The file to appear.
        workplace: Where the temporary lies, on the target's file system. By default its folder;
            name another if that one holds too many files to look for leftovers among them.
    """
    with _temporary(workplace or target.parent, folder=False) as temporary:
        yield temporary
        _sync(temporary)
        temporary.replace(target)


def atomic_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Create ``target``, or replace it, with what ``write`` puts into the folder it is given.

    Args:
        target: The folder to appear.
        write: Writes the content; whatever it raises leaves ``target`` as it was.
    """
    with _temporary(target.parent, folder=True) as temporary:
        write(temporary)
        for path in [*temporary.rglob("*"), temporary]:
            _sync(path)
        _replace_folder(temporary, target)
        _sync(target.parent)


def _replace_folder(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``; a folder in the way is moved aside first and then removed."""
    if target.exists():
        aside = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=target.parent))
        target.rename(aside / target.name)
        new.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        new.rename(target)


@contextmanager
def _temporary(parent: Path, *, folder: bool) -> Iterator[Path]:
    """Give a locked temporary sibling, after removing those whose writer died."""
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f"{TEMPORARY_PREFIX}*"):
        _remove_unless_locked(leftover)
    path, lock = _locked_temporary(parent, folder=folder)
    try:
        yield path
    finally:
        _remove(path)
        os.close(lock)


def _locked_temporary(parent: Path, *, folder: bool) -> tuple[Path, int]:
    while True:
        if folder:
            path = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=parent))
        else:
            descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=parent)
            os.close(descriptor)
            path = Path(name)
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)
        # Another writer took it for a leftover before it was locked: make another one.


def _remove_unless_locked(path: Path) -> None:
    with suppress(FileNotFoundError):
        lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        except BlockingIOError:
            pass  # somebody is writing it
        finally:
            os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until the path's content is on disk, so that the rename cannot outrun it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
