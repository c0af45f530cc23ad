"""A sample of rows of files that nobody has described: spread over all of them, memory flat.

Each file is read once, in batches; of each, every so many rows stay, so that a table of any length
takes the same memory. Values stay as the files hold them: `mlops.datasets.guessing.columns` says
what they are.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops.data.files.conversion import plain, with_point, without, without_percent
from mlops.data.files.folders import files_of, parts_among
from mlops.data.files.tables import open_table
from mlops.datasets.consistency import is_zone
from mlops.datasets.thinning import SAMPLE_ROWS, thinned
from mlops.errors import SourceError

_CELLS: Final = 10_000_000  # at most: a table of 500 columns is sampled more thinly
_BATCH: Final = 1 << 16
_NUMBER: Final = r"^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$"
_NUMBERS: Final = 0.8  # share of numbers from which on texts among them stand for missing values
_STAND_INS: Final = 3  # different ones in a column
_PERCENT: Final = r"^\s*([+-]?\d+([.,]\d+)?\s*%)?\s*$"
_COMMA: Final = r"^\s*([+-]?\d+(,\d+)?)?\s*$"
_MONTH: Final = re.compile(r"(?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?!\d|-\d)")


class TableSample(NamedTuple):
    """Rows of a table as its files hold them.

    Attributes:
        location: Where the files lie, absolute; ``{month}`` stands for the month of each.
        months: Of the files; empty if they are no monthly ones.
        columns: Arrow values of each column that all files have, of one type.
        left_out: Columns that cannot be used at all, and why.
        rows: In all files together.
        decimal: How decimals are written in text: with a point or a comma.
        missing: Texts that stand for a missing value.
        percents: Columns of numbers with a percent sign, which is left out.
    """

    location: str
    months: tuple[str, ...]
    columns: dict[str, Any]
    left_out: dict[str, str]
    rows: int
    decimal: str
    missing: tuple[str, ...] = ()
    percents: tuple[str, ...] = ()

    @property
    def zone(self) -> str:
        """The place whose clock the times show, if the files name one; UTC and offsets do not."""
        named = {getattr(each.type, "tz", None) or "" for each in self.columns.values()} - {""}
        zone = named.pop() if len(named) == 1 else ""
        return zone if "/" in zone and is_zone(zone) else ""

    @property
    def sampled(self) -> int:
        """How many rows there are of each column."""
        return min(map(len, self.columns.values()), default=0)


def sample_files(paths: Sequence[Path], limit: int = SAMPLE_ROWS) -> TableSample:
    """Read a sample of a table.

    Args:
        paths: Its files: one, monthly ones, or a folder.
        limit: Number of rows to keep at most.

    Raises:
        SourceError: If a file cannot be read, or the files are no table.
    """
    files, location, months = located(paths)
    parts: list[Any] = []
    names: list[list[str]] = []
    total = 0
    for file in files:
        with open_table(file) as table:
            own = [name for name, _ in table.fields]
            names.append(own)
            first = [place for place, name in enumerate(own) if own.index(name) == place]
            kept = min(limit, _CELLS // max(1, len(first))) // len(files)
            batches = table.batches(first, _BATCH)
            part, rows = thinned(batches, max(kept, 1), pa.concat_tables, _take)
        total += rows
        parts.append(part)
    parts = [part for part in parts if part is not None]
    if not parts:
        raise SourceError(f"{location}: the table has no rows", "give files with rows")
    left_out = _left_out(names)
    columns = {
        name: _together(name, [part.column(name) for part in parts], location)
        for name in dict.fromkeys(names[0])
        if name not in left_out
    }
    missing = sorted({text for each in columns.values() for text in _stand_ins(each)})
    columns = {name: without(each, missing) for name, each in columns.items()}
    percents = tuple(name for name, each in columns.items() if _fits(each, _PERCENT))
    columns |= {name: without_percent(columns[name]) for name in percents}
    decimal = "," if any(map(_has_decimal_commas, columns.values())) else "."
    if decimal == ",":
        columns = {name: with_point(each) for name, each in columns.items()}
    return TableSample(location, months, columns, left_out, total, decimal, (*missing,), percents)


def _has_decimal_commas(values: Any) -> bool:
    """Tell whether a column holds numbers with decimal commas and nothing else."""
    return _fits(values, _COMMA) and bool(pc.any(pc.match_substring(values, ",")).as_py())


def _fits(values: Any, pattern: str) -> bool:
    """Tell whether a column holds texts, all of which match a pattern."""
    if not pa.types.is_string(values.type) or values.null_count == len(values):
        return False
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _stand_ins(values: Any) -> list[str]:
    """Return the few texts without a digit that stand among numbers, where a value is missing."""
    if not pa.types.is_string(values.type):
        return []
    texts = pc.drop_null(pc.utf8_trim_whitespace(values))
    texts = pc.filter(texts, pc.not_equal(texts, ""))
    numbers = pc.match_substring_regex(texts, _NUMBER)
    others = pc.unique(pc.filter(texts, pc.invert(numbers))).to_pylist()
    few = 1 <= len(others) <= _STAND_INS and pc.mean(numbers.cast(pa.float64())).as_py() > _NUMBERS
    return others if few and not any(re.search(r"\d", text) for text in others) else []


def _take(table: Any, first: int, step: int) -> Any:
    return table if (first, step) == (0, 1) else table.take(np.arange(first, len(table), step))


def located(paths: Sequence[Path]) -> tuple[list[Path], str, tuple[str, ...]]:
    """Return the files of a table, one location that names them all, and their months, if any.

    Args:
        paths: As of `sample_files`.

    Raises:
        SourceError: If a file is not there, or no location names all of them.
    """
    files = [*dict.fromkeys(file.resolve() for path in paths for file in files_of(path))]
    if len(paths) > 1:  # a pattern such as `data/*`
        files = parts_among(files, Path(os.path.commonpath([file.parent for file in files])))
    return (files, *_location(paths, files))


def _location(paths: Sequence[Path], files: Sequence[Path]) -> tuple[str, tuple[str, ...]]:
    found = [_MONTH.findall(file.name) for file in files]
    templates = {_MONTH.sub("{month}", file.name) for file in files}
    folders = {file.parent for file in files}
    monthly = len(templates) == len(folders) == 1 and all(len(set(each)) == 1 for each in found)
    if monthly and len(files) > 1:
        months = sorted(each[0] for each in found)
        return str(files[0].parent / templates.pop()), tuple(months)
    if len(paths) == 1:
        return str(paths[0].expanduser().resolve()), ()
    folder = files[0].parent
    if len(folders) == 1 and sorted(files_of(folder)) == sorted(files):
        return str(folder), ()
    raise SourceError(
        f"{len(files)} files are no table with one location: their names do not differ by a month"
        " (YYYY-MM) alone, and they are not all files of a folder",
        "put the files of the table in a folder of its own and give that folder",
    )


def _left_out(names: Sequence[Sequence[str]]) -> dict[str, str]:
    """Say of each column that not every file has exactly once why it cannot be used."""
    left_out: dict[str, str] = {}
    having = Counter(name for own in names for name in set(own))
    for own in names:
        for name, count in Counter(own).items():
            if not name:
                left_out[name] = "has no name"
            elif count > 1:
                left_out[name] = f"{count} columns have this name; rename them in the file"
            elif having[name] < len(names):
                left_out[name] = f"only {having[name]} of {len(names)} files have it"
    return left_out


def _together(name: str, parts: Sequence[Any], location: str) -> Any:
    """Join the values of several files, which may have stored them with different types."""
    try:
        parts = [plain(part) for part in parts]
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"{location}: the column {name} is not in UTF-8: {error}", "save the file as UTF-8"
        ) from error
    kinds = {part.type for part in parts if not pa.types.is_null(part.type)}
    if len(kinds) > 1:
        numbers = all(pa.types.is_integer(each) or pa.types.is_floating(each) for each in kinds)
        common = pa.float64() if numbers else pa.string()
        parts = [part.cast(common, safe=False) for part in parts]
    elif kinds:
        parts = [part.cast(next(iter(kinds))) for part in parts]
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)
