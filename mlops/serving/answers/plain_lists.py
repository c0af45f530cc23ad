"""Lists of trips of the plainest kind, recognised column by column at a tenth of the usual cost.

What the recogniser cannot vouch for it leaves to `TripRequest`: it never decides what is refused. A
test holds the two to the same answer on arbitrary lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS, TRIP_ID
from mlops.inference.trip import MAX_ID_LENGTH
from mlops.serving.answers.limits import Columns

_SECOND: Final = len("2024-03-01T08:30:00")
_DIGITS: Final = [i for i in range(_SECOND) if i not in (4, 7, 10, 13, 16)]
_ABSENT: Final = object()
_LARGEST: Final = 1e9
_INTEGERS: Final = {"int32": (-(2**31), 2**31 - 1)}


@dataclass(frozen=True)
class Trips:
    """The trips of a list.

    Attributes:
        columns: `REQUEST_COLUMNS`; NaN where a request says nothing.
        ids: The trips' own ids, None where a trip has none; None if no trip has one.
    """

    columns: Columns
    ids: Sequence[int | str | None] | None

    def __len__(self) -> int:
        return len(self.columns[PICKUP_AT])


def recognised(trips: list[Any]) -> Trips | None:
    """Turn a list into columns if all its trips are of the plainest kind, else return None."""
    if set(map(type, trips)) != {dict}:
        return None
    values = {
        name: [trip.get(name, _ABSENT) for trip in trips] for name in (TRIP_ID, *REQUEST_COLUMNS)
    }
    given = sum(len(column) - column.count(_ABSENT) for column in values.values())
    if given != sum(map(len, trips)):  # there are other fields
        return None
    ids = values.pop(TRIP_ID)
    if not _are_ids(ids):
        return None
    columns: Columns = {}
    for name, kind in REQUEST_COLUMNS.items():
        column = _column(values[name], kind)
        if column is None:
            return None
        columns[name] = column
    some = any(i is not None and i is not _ABSENT for i in ids)
    return Trips(columns, [None if i is _ABSENT else i for i in ids] if some else None)


def _column(values: list[Any], kind: str) -> npt.NDArray[Any] | None:
    types = set(map(type, values))
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        if types != {int} or min(values) < low or max(values) > high:
            return None
        return np.array(values, dtype=kind)
    if kind == "float64":
        return _numbers(values, types)
    return _times(values) if types == {str} else None


def _numbers(values: list[Any], types: set[type]) -> npt.NDArray[Any] | None:
    empty = types - {float, int}
    if empty:
        if not empty <= {type(None), object}:
            return None
        if not types & {float, int}:
            return np.full(len(values), np.nan)
        missing = np.array([v is None or v is _ABSENT for v in values])
        values = [np.nan if v is None or v is _ABSENT else v for v in values]
    else:
        missing = np.zeros(len(values), dtype=bool)
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    return numbers if ((np.abs(numbers) <= _LARGEST) | missing).all() else None


def _times(texts: list[str]) -> npt.NDArray[Any] | None:
    """Read times that are all written like ``2024-03-01T08:30:00``."""
    if set(map(len, texts)) != {_SECOND}:
        return None
    joined = "".join(texts)
    if not joined.isascii():
        return None
    characters = np.frombuffer(joined.encode(), dtype=np.uint8).reshape(-1, _SECOND)
    digits = characters[:, _DIGITS] - ord("0")  # what is no digit wraps around to above 9
    separators = characters[:, (4, 7, 10, 13, 16)]
    no_year = (digits[:, :4] == 0).all(axis=1)  # numpy has a year 0, Python does not
    if (
        (digits > 9).any()
        or no_year.any()
        or (separators != np.frombuffer(b"--T::", dtype=np.uint8)).any()
    ):
        return None
    try:
        return np.array(texts, dtype="datetime64[us]")  # refuses what the calendar does not have
    except ValueError:
        return None


def _are_ids(ids: list[Any]) -> bool:
    types = set(map(type, ids)) - {object, type(None)}
    if not types:
        return True
    if types == {int}:
        present = [i for i in ids if type(i) is int]
        return min(present) >= -(2**63) and max(present) < 2**63
    return types == {str} and all(len(i) <= MAX_ID_LENGTH for i in ids if type(i) is str)
