"""From a TLC parquet file to canonical trips: the only place that knows how the files differ.

The months differ in types (a code is int32, int64 or float64, sometimes all null), in the unit of
their timestamps and in the case of their names; green and yellow differ in the names themselves.
Files already in canonical names are read as well: they are how requests arrive for batch scoring.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops.data.trips import (
    DROPOFF_ZONE,
    PICKUP_AT,
    PICKUP_ZONE,
    REQUEST_COLUMNS,
    TLC_COLUMNS,
    TRIP_COLUMNS,
    TRIP_TYPE,
)
from mlops.errors import SourceError

# A zone that is missing or not a whole number becomes this: outside 1 to 265, hence for the data
# contract to refuse row by row, rather than for one row to make its whole file unreadable.
NO_ZONE: Final = 0

_MAGIC: Final = b"PAR1"
_REQUIRED_OF_REQUESTS: Final = frozenset({PICKUP_AT, PICKUP_ZONE, DROPOFF_ZONE})
_ARROW_TYPES: Final[dict[str, Any]] = {
    "datetime64[us]": pa.timestamp("us"),
    "int32": pa.int32(),
    "float64": pa.float64(),
}


def check_trip_file(path: str | Path, taxi: str, *, labels: bool = True) -> int:
    """Prove that a file is whole parquet with a trip's columns, without reading its rows.

    Args:
        path: Local path or fsspec URL.
        taxi: ``green`` or ``yellow``.
        labels: Whether the columns known only after the trip must be there.

    Returns:
        The number of rows.

    Raises:
        SourceError: Naming the file, the column if there is one, and what to do.
    """
    with _open_trips(path) as file:
        _column_names(file.schema_arrow, path, taxi, _wanted(None, labels), labels=labels)
        return int(file.metadata.num_rows)


def read_trips(
    path: str | Path,
    taxi: str,
    columns: Collection[str] | None = None,
    *,
    labels: bool = True,
) -> pd.DataFrame:
    """Read a whole file as canonical trips.

    Args:
        path: Local path or fsspec URL.
        taxi: ``green`` or ``yellow``.
        columns: Canonical names to read, in that order; by default all of them.
        labels: With ``False`` the file holds requests: columns known only after the trip are not
            read, and every column a request may leave out is NaN where the file lacks it.

    Returns:
        One row per trip in file order, with the types of `TRIP_COLUMNS` (or `REQUEST_COLUMNS`).

    Raises:
        SourceError: Naming the file, the column if there is one, and what to do.
    """
    wanted = _wanted(columns, labels)
    with _open_trips(path) as file:
        names = _column_names(file.schema_arrow, path, taxi, wanted, labels=labels)
        return _canonical(file.read(columns=list(names.values())), names, wanted, path)


def iter_trips(
    path: str | Path,
    taxi: str,
    chunk_rows: int,
    columns: Collection[str] | None = None,
    *,
    labels: bool = True,
) -> Iterator[pd.DataFrame]:
    """Read a file as canonical trips, ``chunk_rows`` at a time, so that memory stays flat.

    Args:
        path: Local path or fsspec URL.
        taxi: ``green`` or ``yellow``.
        chunk_rows: Rows per frame; the last frame may be shorter.
        columns: As in `read_trips`.
        labels: As in `read_trips`.

    Yields:
        Consecutive frames as `read_trips` returns, each with an index from zero.

    Raises:
        SourceError: Naming the file, the column if there is one, and what to do.
    """
    wanted = _wanted(columns, labels)
    with _open_trips(path) as file:
        names = _column_names(file.schema_arrow, path, taxi, wanted, labels=labels)
        for batch in file.iter_batches(chunk_rows, columns=list(names.values())):
            yield _canonical(pa.Table.from_batches([batch]), names, wanted, path)


def _wanted(columns: Collection[str] | None, labels: bool) -> list[str]:
    known = TRIP_COLUMNS if labels else REQUEST_COLUMNS
    unknown = [name for name in columns or () if name not in known]
    if unknown:
        raise ValueError(f"not columns of a trip: {unknown}; there are {list(known)}")
    return list(columns or known)


@contextmanager
def _open_trips(path: str | Path) -> Iterator[Any]:
    """Open a parquet file; whatever it turns out to be instead becomes a `SourceError`."""
    try:
        with fsspec.open(str(path), "rb").open() as stream:
            _refuse_what_is_not_parquet(stream, path)
            # Arrow reads local files faster by itself than through a Python stream.
            local = isinstance(path, Path) or "://" not in path
            with pq.ParquetFile(str(path) if local else stream) as file:
                yield file
    except FileNotFoundError as error:
        raise SourceError(
            f"{path}: there is no such file", "check the location and the months"
        ) from error
    except (pa.ArrowException, OSError, ImportError) as error:
        raise SourceError(
            f"{path}: cannot be read as parquet: {error}",
            "the file is damaged or unreachable: fetch it again",
        ) from error


def _refuse_what_is_not_parquet(stream: Any, path: str | Path) -> None:
    head = stream.read(512)
    if not head:
        raise SourceError(f"{path}: the file is empty (0 bytes)", "delete it and fetch it again")
    if head.lstrip()[:1] == b"<":
        raise SourceError(
            f"{path}: this is an HTML or XML page saved as parquet, probably an error page",
            "delete it, open its address in a browser to see the error, and fetch it again",
        )
    if head[:4] != _MAGIC:
        raise SourceError(
            f"{path}: this is not a parquet file (it starts with {head[:4]!r})",
            "give a monthly parquet file of the TLC",
        )
    stream.seek(0, 2)
    stream.seek(max(0, stream.tell() - 4))
    if stream.read(4) != _MAGIC:
        raise SourceError(
            f"{path}: the file is truncated: its parquet footer is missing",
            "delete it and fetch it again",
        )


def _column_names(
    schema: Any, path: str | Path, taxi: str, wanted: list[str], *, labels: bool
) -> dict[str, str]:
    """Map each wanted canonical name to its name in the file, if the file has it.

    Raises:
        SourceError: If a required column is missing or has a type that cannot be converted.
    """
    in_file = {str(name).lower(): str(name) for name in schema.names}
    tlc_name = {canonical: tlc for tlc, canonical in TLC_COLUMNS[taxi].items()}
    names: dict[str, str] = {}
    for column in wanted:
        candidates = [name for name in (tlc_name.get(column), column) if name]
        found = next((in_file[c.lower()] for c in candidates if c.lower() in in_file), None)
        if found is not None:
            _refuse_wrong_type(schema.field(found).type, found, TRIP_COLUMNS[column], path)
            names[column] = found
        elif (labels and column != TRIP_TYPE) or column in _REQUIRED_OF_REQUESTS:
            raise _missing_column(in_file, path, taxi, " or ".join(candidates))
    return names


def _missing_column(in_file: Collection[str], path: str | Path, taxi: str, name: str) -> Exception:
    for other, columns in TLC_COLUMNS.items():
        if other != taxi and next(iter(columns)).lower() in in_file:
            return SourceError(
                f"{path}: this is a {other} file, but {taxi} trips were asked for"
                f" (no column {name})",
                f"set the taxi type to {other}, or give a {taxi} file",
            )
    return SourceError(
        f"{path}: the column {name} is missing; there are: {', '.join(sorted(in_file)) or 'none'}",
        "give a file with the schema of the TLC's monthly files, 2015 or later",
    )


def _refuse_wrong_type(found: Any, name: str, dtype: str, path: str | Path) -> None:
    if dtype.startswith("datetime"):
        fits = pa.types.is_timestamp(found)
        expected = "a timestamp"
    else:
        fits = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_null(found)
        expected = "a number"
    if not fits:
        raise SourceError(
            f"{path}: the column {name} holds {found}, not {expected}",
            f"convert the column to {expected} and write the file again",
        )


def _canonical(
    table: Any, names: dict[str, str], wanted: list[str], path: str | Path
) -> pd.DataFrame:
    arrays: dict[str, Any] = {}
    for column in wanted:
        dtype = TRIP_COLUMNS[column]
        name = names.get(column)
        if name is None:
            arrays[column] = np.full(table.num_rows, np.nan)
            continue
        try:
            values = table.column(name)
            if dtype == "int32":
                arrays[column] = _zones(values)
            else:
                arrays[column] = _converted(values, _ARROW_TYPES[dtype])
        except pa.ArrowException as error:
            raise SourceError(
                f"{path}: the column {name} cannot be converted to {dtype}: {error}",
                "correct the column and write the file again",
            ) from error
    return pd.DataFrame(arrays, copy=False)


def _converted(values: Any, to: Any) -> Any:
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        # The TLC's times are New York wall-clock times without a zone; so are ours.
        values = pc.local_timestamp(
            values.cast(pa.timestamp(values.type.unit, tz="America/New_York"))
        )
    if values.type != to:
        values = values.cast(to, safe=False)
    return values.to_numpy()


def _zones(values: Any) -> Any:
    if values.type == pa.int32() and values.null_count == 0:
        return values.to_numpy()
    numbers = values.cast(pa.float64(), safe=False).to_numpy()
    limits = np.iinfo(np.int32)
    whole = (numbers >= limits.min) & (numbers <= limits.max) & (numbers == np.floor(numbers))
    return np.where(whole, numbers, NO_ZONE).astype(np.int32)
