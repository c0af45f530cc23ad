"""Are the times of a file what they are taken for: New York wall-clock times, or instants?

Spark and others stamp wall-clock times as UTC; read as instants, every trip moves by hours. Others
drop the zone of instants. Both show: in New York the hours from 2 to 6 are the quietest, and the
trips of a month lie in that month.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.data.months import month_bounds
from mlops.datasets.taxi.clock import to_new_york, to_utc

_NIGHT_HOURS: Final = 4
_QUIETEST: Final = range(1, 5)  # where the quietest four hours begin, in New York
_ENOUGH: Final = 1_000  # trips from which on the hours of a day say something
_QUIET: Final = 0.6  # of the average hour: a night, and no chance
_STRAYS: Final = 5  # trips that may lie outside of a month by themselves


def contradiction(pickups: pd.Series[Any], zoned: bool, month: str = "") -> str:
    """Say how pickup times contradict the way in which they were read.

    Args:
        pickups: As read: New York wall-clock times.
        zoned: Whether they carried a zone, hence were taken for instants.
        month: ``YYYY-MM`` in which they should lie; empty if that is not known.

    Returns:
        A sentence; empty if nothing contradicts.
    """
    taken = pickups.dropna().to_numpy("datetime64[us]")
    other = to_utc(taken) if zoned else to_new_york(taken)
    evidence = [_about_hours(taken, other)]
    if month:
        evidence.append(_about_month(taken, other, month))
    reasons = " and ".join(text for text in evidence if text)
    if not reasons:
        return ""
    if zoned:
        return f"the times carry a time zone but look like New York wall-clock times: {reasons}"
    return f"the times carry no time zone but look like UTC: {reasons}"


def _about_month(taken: Any, other: Any, month: str) -> str:
    start, end = month_bounds(month)
    outside, fewer = _outside(taken, start, end), _outside(other, start, end)
    if outside <= _STRAYS + 3 * fewer:
        return ""
    others = f"(on the other clock: {fewer:,})"
    return f"{outside:,} of {len(taken):,} trips lie outside {month} {others}"


def _outside(times: Any, start: datetime, end: datetime) -> int:
    inside = (times >= np.datetime64(start, "us")) & (times < np.datetime64(end, "us"))
    near = np.abs(times - np.datetime64(start, "us")) < np.timedelta64(62, "D")
    return int((near & ~inside).sum())  # what lies years away is a broken clock


def _about_hours(taken: Any, other: Any) -> str:
    quiet, real = _quietest(taken), _quietest(other)
    if quiet is None or real is None or quiet in _QUIETEST or real not in _QUIETEST:
        return ""
    return f"the quietest hours of the day begin at {quiet}:00 (on the other clock: at {real}:00)"


def _quietest(times: Any) -> int | None:
    """Return when the quietest hours of the day begin; None if no hours are clearly quiet."""
    if len(times) < _ENOUGH:
        return None
    hours = (times.astype("datetime64[h]").astype(np.int64) % 24).astype(np.intp)
    counts = np.bincount(hours, minlength=24)
    sums = np.array([np.roll(counts, -h)[:_NIGHT_HOURS].sum() for h in range(24)])
    first = int(sums.argmin())
    return first if sums[first] < _QUIET * len(times) * _NIGHT_HOURS / 24 else None
