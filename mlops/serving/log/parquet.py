"""The prediction log as parquet files, one folder per day, every visible file whole.

A flush makes a small file (``part-…``). `compact` joins them: the joined file carries the names of
those it replaces inside itself, so that the rename that makes it visible replaces them in the same
instant for every reader here, and deleting them afterwards may be interrupted anywhere.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops.records.atomic import atomic_file
from mlops.records.files import damaged
from mlops.records.parquet import write_table
from mlops.serving.log.rows import AT, REPETITIVE, SCHEMA

WAY_OUT: Final = "restore {path} from a backup, or remove it: the answers in it are lost"
_REPLACES: Final = b"mlops.replaces"
_ROW_GROUP: Final = 131_072
_DAY_MICROSECONDS: Final = 86_400_000_000
_COMPACTION_LOCK: Final = ".compaction.lock"


class ParquetSink:
    """Writes parts under a folder, ``date=YYYY-MM-DD/<part>.parquet`` by the day of the answers.

    Args:
        folder: Of the log; temporaries lie in it, and those of dead writers are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, part: str, table: Any) -> None:
        """Write a part, in one file per day, each whole or not at all."""
        days = np.asarray(table[AT].cast(pa.int64())) // _DAY_MICROSECONDS
        for day in np.unique(days):
            of_day = table if (days == day).all() else table.filter(pa.array(days == day))
            target = _day_folder(self._folder, int(day)) / f"{part}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not beside its target: looking for leftovers among all files of a day takes long.
            with atomic_file(target, workplace=self._folder) as temporary:
                write_table(of_day, temporary, compression="zstd", use_dictionary=REPETITIVE)

    def close(self) -> None:
        """Nothing stays open."""


def _day_folder(folder: Path, day: int) -> Path:
    date = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(days=day)
    return folder / f"date={date:%Y-%m-%d}"


def read_parquet(
    folder: Path,
    start: datetime,
    end: datetime,
    columns: Sequence[str],
    schema: Any = SCHEMA,
) -> Any:
    """Read answers given from ``start`` to before ``end``, by time, each once.

    Args:
        folder: Of the log.
        start: With time zone; inclusive.
        end: With time zone; exclusive.
        columns: Of the schema.
        schema: Of the log today; what a file lacks, because it was written under another
            definition of the dataset, is missing.

    Raises:
        DamagedFileError: If a file is damaged: without it, other answers would be the newest.
    """
    first, last = (int(moment.timestamp() // 86_400) for moment in (start, end))
    days = [_day_folder(folder, day) for day in range(first, last + 1)]
    tables = [
        table
        for day in days
        if day.is_dir()
        for table in _read_day(day, start, end, [*dict.fromkeys([*columns, AT])])
    ]
    if not tables:
        return schema.empty_table().select(columns)
    wanted = pa.schema([schema.field(name) for name in dict.fromkeys([*columns, AT])])
    tables = [_conformed(table, wanted) for table in tables]
    return pa.concat_tables(tables).unify_dictionaries().sort_by(AT).select(columns)


def _conformed(table: Any, wanted: Any) -> Any:
    """Return a table with the columns of a schema; what cannot be one of them is missing."""
    if table.schema.equals(wanted):
        return table
    return pa.table([_taken(table, field) for field in wanted], schema=wanted)


def _taken(table: Any, field: Any) -> Any:
    try:
        return table[field.name].cast(field.type)
    except (KeyError, pa.ArrowException):
        return pa.nulls(table.num_rows, field.type)


def _read_day(day: Path, start: datetime, end: datetime, columns: Sequence[str]) -> list[Any]:
    while True:
        replaced, files = _files(day)
        inside = (pc.field(AT) >= pa.scalar(start)) & (pc.field(AT) < pa.scalar(end))
        try:
            tables = [_read(file, columns).filter(inside) for file in files]
        except FileNotFoundError:
            continue  # joined meanwhile
        # A folder's listing is no snapshot: it may have missed both a part and what replaced it.
        if _files(day)[0] == replaced:
            return tables


def _files(day: Path) -> tuple[set[str], list[Path]]:
    """Return the names of all joined files' parts, and the files that hold each row once."""
    files = sorted(day.glob("*.parquet"))
    replaced: set[str] = set()
    for file in files:
        if file.name.startswith("joined-"):
            replaced.update(_replaces(file))
    return replaced, [file for file in files if file.name not in replaced]


def _read(file: Path, columns: Sequence[str] | None = None) -> Any:
    # Small files, and maybe a forked process: Arrow's threads cost more than they give.
    with (
        _naming(file),
        pq.ParquetFile(file, page_checksum_verification=True) as opened,
    ):
        return opened.read(columns, use_threads=False)


def _schema(file: Path) -> Any:
    with _naming(file):
        return pq.read_schema(file)


def _replaces(file: Path) -> list[str]:
    with _naming(file):
        names: list[str] = json.loads(pq.read_metadata(file).metadata[_REPLACES])
    return names


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Name the file that is damaged; one that is gone was joined with others."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, ValueError, LookupError, TypeError) as error:
        raise damaged(file, str(error), WAY_OUT) from error


def compact(day: Path, at_least: int = 2, schema: Any = SCHEMA) -> int:
    """Join the parts of one day into one file; a kill at any point loses and doubles nothing.

    Args:
        day: A folder ``date=YYYY-MM-DD`` of the log, maybe still being written to.
        at_least: Parts there must be.
        schema: Of the log today; parts of another one, from before the dataset's definition was
            edited, stay as they are.

    Returns:
        How many parts were joined; 0 also while another process is at it.
    """
    with _alone(day) as alone:
        if not alone:
            return 0
        replaced, files = _files(day)
        _remove(day, replaced)  # of a compaction that was killed
        parts = [f for f in files if f.name.startswith("part-") and {*_schema(f)} == {*schema}]
        if len(parts) < max(at_least, 1):
            return 0
        names = [part.name for part in parts]
        schema = schema.with_metadata({_REPLACES: json.dumps(names).encode()})
        target = day / f"joined-{time.time_ns()}.parquet"
        with (
            atomic_file(target, workplace=day.parent) as temporary,
            pq.ParquetWriter(
                temporary,
                schema,
                compression="zstd",
                use_dictionary=REPETITIVE,
                write_page_checksum=True,
            ) as output,
        ):
            for table in _batches(parts, schema.names):
                output.write_table(table.replace_schema_metadata(schema.metadata))
        _remove(day, names)
        return len(parts)


def _batches(parts: Sequence[Path], names: Sequence[str]) -> Iterator[Any]:
    """Yield the rows of the parts in tables of about a row group each."""
    waiting: list[Any] = []
    rows = 0
    for part in parts:
        waiting.append(_read(part).select(names))
        rows += waiting[-1].num_rows
        if rows >= _ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _remove(day: Path, names: Sequence[str] | set[str]) -> None:
    for name in names:
        (day / name).unlink(missing_ok=True)


@contextmanager
def _alone(day: Path) -> Iterator[bool]:
    """Hold the log's lock on compaction; False if another process does."""
    lock = os.open(day.parent / _COMPACTION_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(lock)
