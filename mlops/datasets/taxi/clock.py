"""What a wall clock in New York can say: durations across its changes, and hours that never are.

Trips carry wall-clock times without an offset. In March the clocks skip the hour from 2 to 3, in
November they show the hour from 1 to 2 twice. In that hour a time has two readings, and only the
duration tells them apart: a trip is taken to last the shortest time that its two clocks allow.

The calendar is that of the Energy Policy Act of 2005, in force since 2007; a test compares it with
the time zone database.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_YEARS: Final = range(2007, 2101)
_HOUR: Final = np.timedelta64(1, "h")
_WINTER: Final = 5 * _HOUR  # that New York is behind UTC
_SKIPPED_HOUR: Final = 2


def minutes_between(pickups: npt.ArrayLike, dropoffs: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return how long trips lasted, in minutes.

    Args:
        pickups: Wall-clock times in New York; missing ones give NaN.
        dropoffs: Wall-clock times in New York, equally many.

    Returns:
        The shortest duration that is not negative among the readings of both times; where all are
        negative, the one nearest to zero.
    """
    start, end = _times(pickups), _times(dropoffs)
    shown = (end - start) / np.timedelta64(1, "m")
    changing = _night(start) | _night(end) | (_changes_before(start) != _changes_before(end))
    if changing.any():
        shown[changing] = _real(start[changing], end[changing])
    return np.asarray(shown, dtype=np.float64)


def to_utc(times: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the instants of wall-clock times in UTC; of two readings the first."""
    at = _times(times)
    return np.asarray(at + _WINTER - _offset(at, False))


def to_new_york(instants: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return what the clocks of New York show at instants in UTC."""
    at = _times(instants) - _WINTER
    springs, autumns = _nights()
    forward = np.searchsorted(springs, at, side="right")
    back = np.searchsorted(autumns - _HOUR, at, side="right")
    return np.asarray(at + (forward - back) * _HOUR)


def skipped(times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return which wall-clock times lie in an hour that the clocks skip; missing ones do not."""
    at = _times(times)
    springs, _ = _nights()
    position = np.searchsorted(springs, at, side="right") - 1
    before = springs[np.maximum(position, 0)]
    return np.asarray((position >= 0) & (at < before + _HOUR) & ~np.isnat(at))


def is_skipped(at: datetime) -> bool:
    """Return whether a wall-clock time lies in an hour that the clocks skip."""
    return at.hour == _SKIPPED_HOUR and at.month == 3 and at.date() in _spring_days()


def _real(start: Any, end: Any) -> npt.NDArray[np.float64]:
    """Return minutes between two arrays of times, of all readings the shortest possible."""
    readings = np.stack(
        [
            (end - start - (_offset(end, second) - _offset(start, first))) / np.timedelta64(1, "m")
            for first in (False, True)
            for second in (False, True)
        ]
    )
    possible = np.where(readings >= 0, readings, np.inf).min(axis=0)
    return np.where(np.isfinite(possible), possible, readings.max(axis=0))


def _offset(times: Any, late: bool) -> Any:
    """Return by how much the clock is ahead of winter time.

    Args:
        times: Wall-clock times.
        late: Read a time that is shown twice as the second, and one that is skipped as if the
            clock had been put forward already (`datetime.fold`).
    """
    springs, autumns = _nights()
    forward = np.searchsorted(springs + (0 if late else _HOUR), times, side="right")
    back = np.searchsorted(autumns - (_HOUR if late else 0), times, side="right")
    return (forward - back) * _HOUR


def _changes_before(times: Any) -> Any:
    springs, autumns = _nights()
    return np.searchsorted(springs, times) + np.searchsorted(autumns, times)


def _night(times: Any) -> Any:
    """Return which times lie in a night in which the clocks change."""
    return np.isin(times.astype("datetime64[D]"), _change_days())


@lru_cache(maxsize=1)
def _nights() -> tuple[Any, Any]:
    """Return when, by the wall clock, clocks go forward (from 2 to 3) and back (from 2 to 1)."""
    days = [
        [np.datetime64(_sunday(year, month, week), "us") + 2 * _HOUR for year in _YEARS]
        for month, week in ((3, 2), (11, 1))
    ]
    return np.array(days[0]), np.array(days[1])


@lru_cache(maxsize=1)
def _change_days() -> Any:
    return np.concatenate(_nights()).astype("datetime64[D]")


@lru_cache(maxsize=1)
def _spring_days() -> frozenset[date]:
    return frozenset(_sunday(year, 3, 2) for year in _YEARS)


def _sunday(year: int, month: int, number: int) -> date:
    first = date(year, month, 1)
    return date(year, month, 1 + (6 - first.weekday()) % 7 + 7 * (number - 1))


def _times(values: npt.ArrayLike) -> npt.NDArray[Any]:
    return np.asarray(values, dtype="datetime64[us]")
