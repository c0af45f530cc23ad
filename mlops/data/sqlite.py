"""SQLite databases that others write, opened for reading only, without a driver to import."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_BUSY_SECONDS: Final = 30


@contextlib.contextmanager
def open_to_read(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that exists; rows are found by name, and nothing can be written.

    Args:
        database: Its file.

    Raises:
        sqlite3.Error: If it cannot be read; it is not created.
    """
    uri = f"{database.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection
