"""From a file to canonical trips: the only place that knows how the files of months differ.

The months differ in types (a code is int32, int64 or float64, sometimes all null), in the unit of
their timestamps and in the case of their names; green and yellow differ in the names themselves.
Files already in canonical names are read as well: they are how requests arrive for batch scoring.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops.data.files.conversion import converted, have_zone, plain, plain_type, refuse_wrong_type
from mlops.data.files.tables import Table, open_table
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_AT,
    DROPOFF_ZONE,
    NEW_YORK,
    PICKUP_AT,
    PICKUP_ZONE,
    REQUEST_COLUMNS,
    TLC_COLUMNS,
    TRIP_COLUMNS,
    TRIP_ID,
)
from mlops.errors import SourceError
from mlops.settings import Clock

_REQUIRED_OF_REQUESTS: Final = frozenset({PICKUP_AT, PICKUP_ZONE, DROPOFF_ZONE})
_REQUIRED_OF_HISTORY: Final = _REQUIRED_OF_REQUESTS | {DROPOFF_AT, DISTANCE}
_WHOLE: Final = 1 << 18  # rows per batch when a whole file is read
_SAMPLE_ROWS: Final = 200_000  # enough to tell the hour of the day that is the quietest


def check_trip_file(path: str | Path, taxi: str, *, labels: bool = True) -> int:
    """Prove that a file is a whole table with a trip's columns, without converting its rows.

    Args:
        path: Local path or fsspec URL.
        taxi: ``green`` or ``yellow``.
        labels: Whether the columns known only after the trip must be there.

    Returns:
        The number of rows.

    Raises:
        SourceError: Naming the file, the column if there is one, and what to do.
    """
    with open_table(path) as table:
        _positions(table, path, taxi, _wanted(None, labels), labels=labels)
        return table.count()


def missing_columns(path: str | Path, taxi: str) -> tuple[str, ...]:
    """Return the columns that trips may lack and that a file of history lacks.

    Raises:
        SourceError: If it lacks one that a trip must have, or cannot be read.
    """
    wanted = _wanted(None, True)
    with open_table(path) as table:
        columns = _positions(table, path, taxi, wanted, labels=True)
    return tuple(name for name in wanted if name not in columns)


def read_trips(
    path: str | Path,
    taxi: str,
    columns: Collection[str] | None = None,
    *,
    labels: bool = True,
    clock: Clock = "auto",
) -> pd.DataFrame:
    """Read a whole file as canonical trips.

    Args:
        path: Local path or fsspec URL of parquet, CSV or compressed CSV.
        taxi: ``green`` or ``yellow``.
        columns: Canonical names to read, in that order; by default all of them.
        labels: With ``False`` the file holds requests: columns known only after the trip are not
            read. A column that a trip may lack is NaN where the file lacks it.
        clock: How its times are read, as `settings.validation.clock`.

    Returns:
        One row per trip in file order, with the types of `TRIP_COLUMNS` (or `REQUEST_COLUMNS`).

    Raises:
        SourceError: Naming the file, the column and row if there are, and what to do.
    """
    frames = [*iter_trips(path, taxi, _WHOLE, columns, labels=labels, clock=clock)]
    if len(frames) == 1:
        return frames[0]
    if frames:
        return pd.concat(frames, ignore_index=True)
    return pd.DataFrame(
        {name: np.empty(0, TRIP_COLUMNS[name]) for name in _wanted(columns, labels)}
    )


def iter_trips(
    path: str | Path,
    taxi: str,
    chunk_rows: int,
    columns: Collection[str] | None = None,
    *,
    labels: bool = True,
    clock: Clock = "auto",
) -> Iterator[pd.DataFrame]:
    """Read a file as canonical trips, ``chunk_rows`` at a time, so that memory stays flat.

    Args:
        path: As in `read_trips`.
        taxi: ``green`` or ``yellow``.
        chunk_rows: Rows per frame; the last frame may be shorter.
        columns: As in `read_trips`.
        labels: As in `read_trips`.
        clock: As in `read_trips`.

    Yields:
        Consecutive frames as `read_trips` returns, each with an index from zero.

    Raises:
        SourceError: Naming the file, the column and row if there are, and what to do.
    """
    wanted = _wanted(columns, labels)
    with open_table(path) as table:
        positions = _positions(table, path, taxi, wanted, labels=labels)
        for _, frame in _frames(table, positions, wanted, chunk_rows, path, clock):
            yield frame


def iter_requests(
    path: str | Path, taxi: str, chunk_rows: int, clock: Clock = "auto"
) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Read a file of requests in chunks, each with its trips' ids.

    Args:
        path: As in `read_trips`.
        taxi: ``green`` or ``yellow``.
        chunk_rows: Rows per chunk; the last may be shorter.
        clock: As in `read_trips`.

    Yields:
        An Arrow array of type `id_type`, the file's ``trip_id`` or else the number of the row from
        zero, and the requests.

    Raises:
        SourceError: Naming the file, the column and row if there are, and what to do.
    """
    wanted = _wanted(None, False)
    with open_table(path) as table:
        positions = _positions(table, path, taxi, wanted, labels=False)
        given = _position_of(table, [TRIP_ID], path)
        first = 0
        more = () if given is None else (given,)
        for batch, frame in _frames(table, positions, wanted, chunk_rows, path, clock, more):
            if given is None:
                ids = pa.array(np.arange(first, first + len(frame)))
            else:
                ids = plain(batch.column(len(positions))).combine_chunks()
            yield ids, frame
            first += len(frame)


def id_type(path: str | Path) -> Any:
    """Return the Arrow type of a file's trip ids.

    Raises:
        SourceError: If the file cannot be read, or its ids are no simple values.
    """
    with open_table(path) as table:
        position = _position_of(table, [TRIP_ID], path)
        if position is None:
            return pa.int64()
        name, kind = table.fields[position]
        refuse_wrong_type(kind, name, "id", str(path))
        return plain_type(kind)


def pickups_have_zone(path: str | Path, taxi: str) -> bool:
    """Tell whether a file's pickup times carry a time zone, by its first rows."""
    with open_table(path) as table:
        positions = _positions(table, path, taxi, [PICKUP_AT], labels=False)
        first = next(table.batches([*positions.values()], _SAMPLE_ROWS), None)
        return first is not None and have_zone(first.column(0))


def _wanted(columns: Collection[str] | None, labels: bool) -> list[str]:
    known = TRIP_COLUMNS if labels else REQUEST_COLUMNS
    unknown = [name for name in columns or () if name not in known]
    if unknown:
        raise ValueError(f"not columns of a trip: {unknown}; choose from {list(known)}")
    return list(columns or known)


def _positions(
    table: Table, path: str | Path, taxi: str, wanted: Sequence[str], *, labels: bool
) -> dict[str, int]:
    """Return where each wanted column is in the file, if the file has it.

    Raises:
        SourceError: If a required column is missing, two columns could be the same one, or one has
            a type that cannot be converted.
    """
    required = _REQUIRED_OF_HISTORY if labels else _REQUIRED_OF_REQUESTS
    positions: dict[str, int] = {}
    for column in wanted:
        own = [tlc for tlc, name in TLC_COLUMNS[taxi].items() if name == column]
        candidates = [*dict.fromkeys([*own, column])]
        found = _position_of(table, candidates, path, also=_names_elsewhere(column))
        if found is not None:
            name, kind = table.fields[found]
            refuse_wrong_type(kind, name, TRIP_COLUMNS[column], str(path))
            positions[column] = found
        elif column in required:
            raise _missing_column(table, path, taxi, " or ".join(candidates))
    return positions


def _names_elsewhere(column: str) -> list[str]:
    """Return what a column is called in the files of any taxi."""
    return [tlc for names in TLC_COLUMNS.values() for tlc, name in names.items() if name == column]


def _position_of(
    table: Table, names: Sequence[str], path: str | Path, also: Sequence[str] = ()
) -> int | None:
    """Return where the column of these names is; a choice between two is left to a person."""
    wanted = {name.lower() for name in names}
    alike = {name.lower() for name in (*names, *also)}
    found = [place for place, (name, _) in enumerate(table.fields) if name.lower() in alike]
    if len(found) > 1:
        shown = " and ".join(table.fields[place][0] for place in found)
        raise SourceError(
            f"{path}: the columns {shown} all hold {names[-1]}",
            "keep one of them; remove or rename the others",
        )
    return next((place for place in found if table.fields[place][0].lower() in wanted), None)


def _missing_column(table: Table, path: str | Path, taxi: str, name: str) -> SourceError:
    in_file = sorted(field.lower() for field, _ in table.fields)
    for other, columns in TLC_COLUMNS.items():
        if other != taxi and next(iter(columns)).lower() in in_file:
            return SourceError(
                f"{path}: this is a {other} file, but {taxi} trips were requested"
                f" (no column {name})",
                f"set the taxi type to {other}, or give a {taxi} file",
            )
    for part in Path(str(path)).parts[:-1]:
        key = part.partition("=")[0].lower()
        if "=" in part and key in name.lower().split(" or "):
            return SourceError(
                f"{path}: the column {name} is only in the name of the folder {part}",
                "write the column into the files as well",
            )
    shown = ", ".join(in_file[:40]) or "none"
    return SourceError(
        f"{path}: the column {name} is missing; there are: {shown}",
        "name the columns as in the TLC's monthly files since 2015, or as mlops predict does",
    )


def _frames(
    table: Table,
    positions: dict[str, int],
    wanted: Sequence[str],
    chunk_rows: int,
    path: str | Path,
    clock: Clock,
    more: Sequence[int] = (),
) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Read the wanted columns in chunks: as Arrow with more columns behind, and as canonical."""
    first = 0
    for batch in table.batches([*positions.values(), *more], chunk_rows):
        arrays: dict[str, Any] = {}
        read = dict(zip(positions, batch.columns, strict=False))
        for column in wanted:
            if column in read:
                name = table.fields[positions[column]][0]
                dtype = TRIP_COLUMNS[column]
                arrays[column] = converted(
                    read[column], dtype, name, str(path), first, clock, NEW_YORK.key
                )
            else:
                arrays[column] = np.full(batch.num_rows, np.nan)
        yield batch, pd.DataFrame(arrays, copy=False)
        first += batch.num_rows
