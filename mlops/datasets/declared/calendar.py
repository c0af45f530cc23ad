"""Parts of a time that features and groups are made of, for whole columns and for one time.

Times are local wall-clock times of the dataset's zone, so an hour keeps its meaning when the clocks
change. A part of a missing time is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops.datasets.definition import CalendarPart

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

# Positions in `mlops.datasets.declared.names.PARTS_OF_DAY`.
_PART_OF_HOUR: Final = tuple(np.repeat(np.arange(6), [6, 4, 3, 4, 4, 3]).tolist())
_MICROSECONDS_PER_MINUTE: Final = 60_000_000
_THURSDAY: Final = 3  # 1970-01-01, counted from Monday = 0

_OF_ONE: Final[dict[str, Callable[[datetime], int]]] = {
    "minute_of_day": lambda at: at.hour * 60 + at.minute,
    "hour": lambda at: at.hour,
    "part_of_day": lambda at: _PART_OF_HOUR[at.hour],
    "weekday": lambda at: at.weekday(),
    "day_of_month": lambda at: at.day,
    "day_of_year": lambda at: at.timetuple().tm_yday,
    "month": lambda at: at.month,
}


def times_of(values: npt.ArrayLike) -> Times:
    """Return a column of local times as an array, ``datetime64[us]``, ``(n,)``."""
    return np.asarray(values, dtype="datetime64[us]")


def days_of(times: Times) -> Floats:
    """Return days since 1970-01-01; NaN where the time is missing."""
    return _numbers(times.astype("datetime64[D]").astype(np.int64), times)


def calendar_part(times: Times, part: CalendarPart) -> Floats:
    """Take a part of each time.

    Args:
        times: ``datetime64[us]``, shape ``(n,)``; may be missing.
        part: Weekdays count from Monday = 0, parts of the day as `PARTS_OF_DAY`; months and days
            from 1.

    Returns:
        Whole numbers, ``(n,)``; NaN where the time is missing.
    """
    return _numbers(_whole_part(times, part), times)


def part_of_one(part: CalendarPart) -> Callable[[datetime], int]:
    """Return the function that takes the same part of one time."""
    return _OF_ONE[part]


def _whole_part(times: Times, part: CalendarPart) -> npt.NDArray[np.int64]:
    days = times.astype("datetime64[D]")
    minute = (times - days).astype(np.int64) // _MICROSECONDS_PER_MINUTE
    hour = np.clip(minute // 60, 0, 23)  # a missing time has any
    found: Any
    if part == "minute_of_day":
        found = minute
    elif part == "hour":
        found = hour
    elif part == "part_of_day":
        found = np.array(_PART_OF_HOUR)[hour]
    elif part == "weekday":
        found = (days.astype(np.int64) + _THURSDAY) % 7
    elif part == "day_of_month":
        found = (days - times.astype("datetime64[M]")).astype(np.int64) + 1
    elif part == "day_of_year":
        found = (days - times.astype("datetime64[Y]")).astype(np.int64) + 1
    else:
        found = times.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return np.asarray(found, dtype=np.int64)


def _numbers(whole: npt.NDArray[np.int64], times: Times) -> Floats:
    return np.where(np.isnat(times), np.nan, whole)
