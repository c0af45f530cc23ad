"""From files to rows: the columns that a definition declares, with the types that it declares.

What a file holds beyond them is ignored. Numbers are float64 (of those whose unit is %, a percent
sign in the file is left out), flags 1, 0 or NaN, categories texts
or None, and times the local wall clock of the dataset's zone: a time that carries a zone is
converted, one that carries none is local already.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops.data.files.conversion import (
    converted,
    refuse_wrong_type,
    with_point,
    without,
    without_percent,
)
from mlops.data.files.folders import files_of
from mlops.data.files.tables import Table, open_table
from mlops.datasets.definition import DatasetDefinition, FeatureDeclaration
from mlops.errors import ConfigurationError, SourceError

_ROWS: Final = 1 << 18  # per frame
MONTH: Final = "{month}"
# Of the conversion, by declared type.
_KINDS: Final = {"number": "float64", "category": "text", "flag": "flag", "time": "time"}
_DTYPES: Final[dict[str, Any]] = {"category": object, "time": "datetime64[us]"}
_NOTHING: Final = {"category": None, "time": np.datetime64("NaT")}

Derive = Callable[[pd.DataFrame], pd.DataFrame]


def read_table(
    definition: DatasetDefinition, months: Sequence[str] = (), *, labels: bool = True
) -> pd.DataFrame:
    """Read a table whole.

    Args:
        definition: Declares the columns, and where the files lie.
        months: ``YYYY-MM``, for a location with ``{month}``.
        labels: As in `iter_frames`.

    Returns:
        The rows in the order of months and files, with an index from zero.

    Raises:
        SourceError: As for `iter_frames`.
        ConfigurationError: As for `iter_frames`.
    """
    frames = [
        frame
        for month in months or [""]
        for path in source_files(definition, month)
        for frame in iter_frames(definition, path, labels=labels)
    ]
    if frames:
        return pd.concat(frames, ignore_index=True)
    wanted = wanted_columns(definition, labels)
    return pd.DataFrame({name: nothing(column, 0) for name, column in wanted.items()})


def source_files(definition: DatasetDefinition, month: str = "") -> list[str]:
    """Return the files of a table, or of one month of it.

    Raises:
        ConfigurationError: If the location needs a month and none is given, or the reverse.
        SourceError: If there is no file.
    """
    location = definition.source.location
    if (MONTH in location) != bool(month):
        raise ConfigurationError(
            f"source.location: {location} "
            + ("has a {month}, but no month is given" if not month else "has no {month}"),
            "name the months to read" if not month else "write {month} where the month stands",
        )
    location = location.replace(MONTH, month)
    return [location] if "://" in location else [str(path) for path in files_of(location)]


def iter_frames(
    definition: DatasetDefinition, path: str, rows: int = _ROWS, *, labels: bool = True
) -> Iterator[pd.DataFrame]:
    """Read a file, ``rows`` at a time, so that memory stays flat.

    Args:
        definition: Declares the columns.
        path: Of parquet, CSV or compressed CSV: local, or an fsspec URL.
        rows: Per frame; the last one may be shorter.
        labels: With ``False`` the file holds requests: what is known only afterwards is not read,
            and what is optional may not be there.

    Yields:
        Consecutive frames of `wanted_columns`, each with an index from zero.

    Raises:
        SourceError: Naming the file and, where there are, the column and the row.
        ConfigurationError: If the function that derives columns cannot be loaded.
    """
    wanted = wanted_columns(definition, labels)
    zone = definition.zone
    derive = derive_function(definition)
    with open_table(path) as table:
        places = _places(table, wanted, path, definition, labels=labels, lenient=derive is not None)
        # A file of which no column is needed still has rows.
        read = [*places.values()] or [0]
        first = 0
        for batch in table.batches(read, rows):
            columns = dict(zip(places, batch.columns, strict=False))
            if stand_ins := definition.source.missing:
                columns = {name: without(each, stand_ins) for name, each in columns.items()}
            numbers = [name for name in columns if wanted[name].type == "number"]
            percents = [name for name in numbers if wanted[name].unit == "%"]
            columns |= {name: without_percent(columns[name]) for name in percents}
            if definition.source.decimal == ",":
                columns |= {name: with_point(columns[name]) for name in numbers}
            arrays = {
                name: converted(values, _KINDS[wanted[name].type], name, path, first, "auto", zone)
                for name, values in columns.items()
            }
            frame = pd.DataFrame(arrays, index=pd.RangeIndex(batch.num_rows), copy=False)
            if derive:
                frame = _derived(frame, derive, definition, path)
            missing = [name for name in wanted if name not in frame]
            needed = [name for name in missing if labels or not wanted[name].optional]
            if needed:
                raise _missing(needed, [*frame], path)
            for name in missing:
                frame[name] = nothing(wanted[name], len(frame))
            yield frame[[*wanted]]
            first += batch.num_rows


def wanted_columns(
    definition: DatasetDefinition, labels: bool = True
) -> dict[str, FeatureDeclaration]:
    """Return the columns to read: all, or what is known when a prediction is asked for.

    Args:
        definition: Declares them.
        labels: With ``False`` only the event's time, the features, and keys if there are.
    """
    if labels:
        return definition.columns
    keys = {name: definition.columns[name] for name in definition.key}
    optional = {name: each.model_copy(update={"optional": True}) for name, each in keys.items()}
    return {**optional, **definition.request_columns}


def derive_function(definition: DatasetDefinition) -> Derive | None:
    """Load the function that derives columns, if the definition names one.

    Raises:
        ConfigurationError: If there is no such function.
    """
    if not definition.derive:
        return None
    module, _, name = definition.derive.partition(":")
    try:
        found: Derive = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"derive: {definition.derive} cannot be loaded: {error}",
            "name a function as module:function, in a module that Python can import",
        ) from error
    return found


def dtype_of(column: FeatureDeclaration) -> Any:
    """Return the NumPy type of a column's values."""
    return _DTYPES.get(column.type, np.float64)


def nothing(column: FeatureDeclaration, rows: int) -> Any:
    """Return a column of which every value is missing, ``(rows,)``."""
    return np.full(rows, _NOTHING.get(column.type, np.nan), dtype=dtype_of(column))


def _places(
    table: Table,
    wanted: dict[str, FeatureDeclaration],
    path: str,
    definition: DatasetDefinition,
    *,
    labels: bool,
    lenient: bool,
) -> dict[str, int]:
    """Return where each wanted column is in the file; with ``lenient`` it may be derived."""
    names = [name for name, _ in table.fields]
    places: dict[str, int] = {}
    for name, column in wanted.items():
        if names.count(name) > 1:
            raise SourceError(
                f"{path}: {names.count(name)} columns are called {name}", "keep one of them"
            )
        if name in names:
            places[name] = names.index(name)
            kind = table.fields[places[name]][1]
            refuse_wrong_type(kind, name, _KINDS[column.type], path)
    missing = [n for n, each in wanted.items() if n not in names and (labels or not each.optional)]
    if missing and not lenient:
        raise _missing(missing, names, path)
    return places


def _missing(missing: Sequence[str], names: Collection[str], path: str) -> SourceError:
    told = []
    for name in missing:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        told.append(f"{name} (the nearest one is {close[0]})" if close else name)
    which = f"the column {told[0]} is" if len(told) == 1 else f"the columns {', '.join(told)} are"
    shown = ", ".join([*names][:40]) or "none"
    return SourceError(
        f"{path}: {which} missing; there are: {shown}",
        "rename columns in the file or in the definition",
    )


def _derived(
    frame: pd.DataFrame, derive: Derive, definition: DatasetDefinition, path: str
) -> pd.DataFrame:
    """Add derived columns and bring them to their types."""
    rows = len(frame)
    try:
        derived = derive(frame)
        if not isinstance(derived, pd.DataFrame) or len(derived) != rows:
            raise TypeError(f"it must return a frame of the same {rows:,} rows")
    except Exception as error:  # whatever the user's function raises
        raise SourceError(
            f"{path}: {definition.derive} failed: {type(error).__name__}: {error}",
            "correct the function that the definition names as derive",
        ) from error
    derived = derived.reset_index(drop=True)
    for name in [name for name in derived if name in definition.columns and name not in frame]:
        kind = definition.columns[name].type
        where = f"{path}, derived by {definition.derive}"
        values = pa.chunked_array([pa.array(derived[name], from_pandas=True)])
        refuse_wrong_type(values.type, str(name), _KINDS[kind], where)
        zone = definition.zone
        derived[name] = converted(values, _KINDS[kind], str(name), where, 0, "auto", zone)
    return derived
