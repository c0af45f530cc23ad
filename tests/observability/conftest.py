"""Mage's run tables as far as they are read, without Mage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

_TABLES = """
create table pipeline_schedule (id integer primary key, pipeline_uuid text, name text, status text,
    created_at text, updated_at text);
create table pipeline_run (id integer primary key, pipeline_schedule_id integer, pipeline_uuid text,
    status text, created_at text, updated_at text, started_at text, completed_at text);
create table block_run (id integer primary key, pipeline_run_id integer, block_uuid text,
    status text, created_at text, updated_at text, started_at text, completed_at text,
    metrics text);
"""


@dataclass
class Mage:
    """Mage's database of a home."""

    file: Path

    def execute(self, statement: str, *values: Any) -> int:
        with sqlite3.connect(self.file, timeout=30) as connection:
            return int(connection.execute(statement, values).lastrowid or 0)

    def run(
        self,
        pipeline: str,
        status: str = "COMPLETED",
        minutes_ago: float = 5,
        seconds: float | None = 60,
        error: str = "",
    ) -> int:
        """Add a run of one block, which took so long or, with None, still goes on."""
        start = datetime.now(timezone.utc) - timedelta(minutes=minutes_ago)
        end = None if seconds is None else _text(start + timedelta(seconds=seconds))
        times = (_text(start), end or _text(start), _text(start), end)
        run = self.execute(
            "insert into pipeline_run (pipeline_schedule_id, pipeline_uuid, status, created_at,"
            " updated_at, started_at, completed_at) values (1, ?, ?, ?, ?, ?, ?)",
            *(pipeline, status, *times),
        )
        metrics = f'{{"error": {{"exception": "{error}"}}}}' if error else "{}"
        self.execute(
            "insert into block_run (pipeline_run_id, block_uuid, status, created_at, updated_at,"
            " started_at, completed_at, metrics) values (?, 'block', ?, ?, ?, ?, ?, ?)",
            *(run, status, *times, metrics),
        )
        return run

    def trigger(self, pipeline: str, name: str, status: str = "ACTIVE", days_ago: int = 3) -> int:
        at = _text(datetime.now(timezone.utc) - timedelta(days=days_ago))
        return self.execute(
            "insert into pipeline_schedule (pipeline_uuid, name, status, created_at, updated_at)"
            " values (?, ?, ?, ?, ?)",
            *(pipeline, name, status, at, at),
        )


def _text(moment: datetime) -> str:
    """Return a time as SQLAlchemy stores it in SQLite."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


@pytest.fixture(scope="session")
def make_mage() -> Callable[[Path], Mage]:
    """Return what makes Mage's database in a home."""

    def make(home: Path) -> Mage:
        (home / "mage").mkdir(parents=True)
        mage = Mage(home / "mage" / "mage.db")
        with sqlite3.connect(mage.file) as connection:
            connection.executescript(_TABLES)
        return mage

    return make
