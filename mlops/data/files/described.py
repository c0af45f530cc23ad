"""Source files as they lie there: described when they are found, and again when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mlops import progress
from mlops.data.references import SourceFile
from mlops.errors import SourceError
from mlops.records.digests import sha256_of

# Counts the rows of a file, and refuses one that is not whole or has other columns.
Count = Callable[[Path], int]


def describe(
    path: Path, count: Count, month: str, name: str, sha256: str | None = None
) -> SourceFile:
    """Reference a file on this machine after checking it; hashes it unless its hash is given.

    Raises:
        SourceError: If ``count`` refuses it.
    """
    return SourceFile(
        month=month,
        uri=str(path),
        name=name,
        rows=count(path),
        bytes=path.stat().st_size,
        sha256=sha256 or sha256_of(path),
    )


def as_it_lies_there(file: SourceFile, count: Count) -> SourceFile:
    """Return a file as extracted, or described anew if it has changed since then.

    Raises:
        SourceError: If ``count`` refuses it as it is now.
    """
    path = Path(file.uri)
    if path.is_file() and sha256_of(path) == file.sha256:
        return file
    progress.report(f"{file.name} changed after it was extracted; reading it as it is now")
    return describe(path, count, file.month, file.name)


def require_unchanged(files: Iterable[SourceFile]) -> None:
    """Make sure that what was read is what the files were described as.

    Raises:
        SourceError: Naming the file that changed meanwhile.
    """
    for file in files:
        path = Path(file.uri)
        if not path.is_file() or sha256_of(path) != file.sha256:
            raise SourceError(
                f"{path}: the file changed while it was read",
                "wait until it is complete, then run this again",
            )
