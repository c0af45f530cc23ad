"""Which files are a local table: a file itself, or the parts of a folder without what lies beside.

People keep a description, checksums or pictures beside their data. What such a file is, only its
name tells: a description is text, and nearly any text can be read as a table of one column.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mlops.errors import SourceError

logger = logging.getLogger(__name__)

# Named like a table: these are the table, and nothing beside them.
_TABLE: Final = re.compile(
    r"\.(parquet|parq|pq|(csv|tsv|psv|tab)(\.(gz|bz2|xz|zstd?))?)$", re.IGNORECASE
)
# Named like something else: no part of a table whose files are named like nothing known.
_OTHER: Final = re.compile(
    r"^(readme|licen[cs]e|notice|changelog|citation|checksums?|(md5|sha\d+)sums?|thumbs\.db"
    r"|desktop\.ini)(\.|$)"
    r"|\.(md|rst|pdf|html?|json|ya?ml|xml|toml|ini|docx?|xlsx?|odt|ods|py|r|sql|ipynb|log|md5|sha\d+"
    r"|crc|sig|asc|png|jpe?g|gif|svg|zip|tar|7z|bak|tmp|swp|part)$|~$",
    re.IGNORECASE,
)
_SHOWN: Final = 5  # ignored files in a message


def files_of(path: str | Path) -> list[Path]:
    """Return the files of a local table: the file itself, or the parts of a folder, in order.

    Spark, Dask and others write one table as a folder of parts. What starts with ``_`` or ``.`` is
    theirs and no part. Where files are named like tables, the others are no parts either.

    Raises:
        SourceError: If there is nothing to read, or what is there is neither file nor folder.
    """
    path = Path(path).expanduser()
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise SourceError(
            f"{str(path).encode(errors='backslashreplace').decode()}: the name is not UTF-8",
            "rename the file",
        ) from error
    if not path.exists():
        raise SourceError(f"{path}: there is no such file", "check the path")
    if not path.is_dir():
        if not path.is_file():
            raise SourceError(
                f"{path}: this is neither a file nor a folder", "save the table in a file"
            )
        return [path]
    parts = sorted(
        part
        for part in path.rglob("*")
        if part.is_file() and not re.search(r"(^|/)[_.]", part.relative_to(path).as_posix())
    )
    for lost in (link for link in path.rglob("*") if link.is_symlink() and not link.exists()):
        if _TABLE.search(lost.name):
            raise SourceError(f"{lost}: this link leads nowhere", "correct it, or remove it")
    if not parts:
        raise SourceError(
            f"{path}: this folder contains no files", "give a file, or a folder of parts"
        )
    return parts_among(parts, path, [file for file in parts if _TABLE.search(file.name)])


def parts_among(files: Sequence[Path], folder: Path, likely: Sequence[Path] = ()) -> list[Path]:
    """Return those of several files that are parts of a table; the others are logged, once.

    Args:
        files: In a folder, or named by a pattern of a shell.
        folder: That they are in.
        likely: The parts, if they are known; else each is one whose name says nothing else.

    Raises:
        SourceError: If none is a part.
    """
    parts = [*likely] or [file for file in files if not _OTHER.search(file.name)]
    taken = {*parts}
    ignored = [str(file.relative_to(folder)) for file in files if file not in taken]
    more = f" and {len(ignored) - _SHOWN} more" if len(ignored) > _SHOWN else ""
    shown = ", ".join(ignored[:_SHOWN]) + more
    if not parts:
        raise SourceError(
            f"{folder}: this folder contains no table, only {shown}",
            "save the table as parquet or CSV, with the ending .parquet or .csv",
        )
    if ignored:
        _report(folder.resolve(), shown)
    return parts


@functools.cache
def _report(folder: Path, shown: str) -> None:
    logger.warning("%s: ignored, because they are no parts of the table: %s", folder, shown)
