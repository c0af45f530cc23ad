"""The small tables behind dashboards and metrics: made at each refresh, read in milliseconds.

Each dashboard's tables are defined in a module of its own; to add a table is to add an entry to
its ``TABLES``.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from mlops.observability import data_tables, overview_tables, serving_tables, training_tables
from mlops.observability.memory import Memory, stamp_of
from mlops.observability.table import ObservedTable
from mlops.observability.world import ObservedWorld
from mlops.records.atomic import atomic_file
from mlops.settings import Settings

logger = logging.getLogger(__name__)

TABLES: Final[Mapping[str, ObservedTable]] = {
    **overview_tables.TABLES,
    **data_tables.TABLES,
    **training_tables.TABLES,
    **serving_tables.TABLES,
}


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        world: As it was found.
        built: Names of the tables that were made anew.
        problems: Why a table could not be made; it stays as it was.
        seconds: It took.
    """

    world: ObservedWorld
    built: tuple[str, ...]
    problems: Mapping[str, str]
    seconds: float


def refresh(
    settings: Settings,
    memory: Memory | None = None,
    tables: Mapping[str, ObservedTable] = TABLES,
) -> Refreshed:
    """Bring all tables up to date. A table that cannot be made costs no other.

    Args:
        settings: Say where everything is; tables are written to ``settings.observed``.
        memory: Of the refreshes before: what has not changed is neither read nor written again.
        tables: Name to table.
    """
    started = time.monotonic()
    memory = memory or Memory()
    world = ObservedWorld(settings, memory=memory)
    built = tuple(name for name, table in tables.items() if _renew(name, table, world, memory))
    problems = {name: memory.problems[name] for name in tables if name in memory.problems}
    return Refreshed(world, built, problems, time.monotonic() - started)


def read_table(settings: Settings, name: str) -> pd.DataFrame:
    """Return a table as it was last written; empty, with its columns, before there is data.

    Args:
        settings: Say where it lies.
        name: One of `TABLES`.
    """
    table = TABLES[name]
    try:
        return table.shaped(pd.read_parquet(_path(settings, name)))
    except FileNotFoundError:
        return table.empty
    except (OSError, KeyError, ValueError, TypeError) as error:
        logger.warning("%s cannot be read; a running `mlops up` rewrites it: %s", name, error)
        return table.empty


def _renew(name: str, table: ObservedTable, world: ObservedWorld, memory: Memory) -> bool:
    """Make one table if it is missing or anything it was made from has changed."""
    path = _path(world.settings, name)
    seen = memory.built.get(name)
    # Also a table that somebody damaged or removed is written again.
    there = memory.written.get(name) == stamp_of(path) or name in memory.problems
    if there and seen is not None and world.is_unchanged(seen):
        return False
    world.used.clear()
    try:
        frame = table.of(world)
        _write(frame, path)
        memory.written[name] = stamp_of(path)
        problem = ""
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if memory.problems.get(name) != problem:  # once, not at every refresh
            logger.exception("the table %s stays as it was", name)
    memory.built[name] = dict(world.used)
    memory.problems.pop(name, None)
    if problem:
        memory.problems[name] = problem
    return not problem


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all, if it differs from what is there."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    content = buffer.getvalue()
    if path.exists() and path.read_bytes() == content:
        return
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def _path(settings: Settings, name: str) -> Path:
    return settings.observed / f"{name}.parquet"
