"""SQLite databases of the home: opened for reading without a driver, and checked for damage.

A damaged file leads to one sentence that names it, in every command.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from mlops.records.files import damaged

logger = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 30
# What SQLite says of a file that holds something else than it wrote (sqlite.org/rescode.html).
_DAMAGE: Final = ("file is not a database", "malformed", "file is encrypted", "unsupported file")
_TABLES_THERE: Final = "SELECT name FROM sqlite_master WHERE type = 'table'"
_CHECKED_BYTES: Final = 16_000_000  # to read a larger file takes longer than a start may


@contextlib.contextmanager
def open_to_read(database: Path, way_out: str) -> Iterator[sqlite3.Connection]:
    """Open a database that exists; rows are found by name, and nothing can be written.

    Args:
        database: Its file.
        way_out: What a person does if it is damaged; see `records.files.read_record`.

    Raises:
        DamagedFileError: If it is damaged, also if that shows only while it is read.
        sqlite3.Error: If it cannot be read for another reason; it is not created.
    """
    if database.exists() and database.stat().st_size == 0:
        logger.warning("%s: the database is empty", database)
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(
            sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)
        ) as connection:
            connection.row_factory = sqlite3.Row
            yield connection
    except sqlite3.Error as error:
        if is_damage(error):
            raise damaged(database, str(error), way_out) from error
        raise


def is_damage(error: BaseException) -> bool:
    """Tell whether an error of SQLite, or one that quotes it, is about a damaged file."""
    return any(words in str(error) for words in _DAMAGE)


def file_of(url: str) -> Path | None:
    """Return the file of a database's URL; None if it is no SQLite file."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def check_database(
    database: Path, way_out: str, *, whole: bool = False, tables: Collection[str] = ()
) -> None:
    """Make sure that a database is sound as far as that can be seen quickly.

    One that does not exist is. An empty one, as a process that was killed at its first start leaves
    behind, is logged, because it will be filled anew, unless it must have tables.

    Args:
        database: Its file, which may be in use.
        way_out: As for `open_to_read`.
        whole: Read every page, also of a large file.
        tables: Those that it must have.

    Raises:
        DamagedFileError: If it is damaged, or lacks a table.
    """
    if not database.exists():
        return
    if not database.is_file():
        raise damaged(database, "it is no file", way_out)
    size = database.stat().st_size
    if size == 0 and tables:
        raise damaged(database, "it is empty", way_out)
    if size == 0:
        logger.warning("%s: the database is empty; it is filled again", database)
        return
    thorough = whole or size <= _CHECKED_BYTES
    query = "PRAGMA quick_check(1)" if thorough else "SELECT 'ok' FROM sqlite_master LIMIT 1"
    with contextlib.suppress(sqlite3.OperationalError):  # busy: the next reader reports more
        with open_to_read(database, way_out) as connection:
            found = connection.execute(query).fetchone()
            there = {name for (name,) in connection.execute(_TABLES_THERE)}
        if missing := sorted({*tables} - there):
            raise damaged(database, f"it has no table {', '.join(missing)}", way_out)
        if found is not None and found[0] != "ok":
            raise damaged(database, str(found[0]).replace("\n", " "), way_out)
