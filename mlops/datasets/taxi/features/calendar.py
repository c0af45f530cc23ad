"""What the clock and the calendar say of a pickup, by integer arithmetic on whole columns.

Times are local wall-clock times in New York, so hours keep their meaning when clocks change.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]

_MICROSECONDS_PER_MINUTE: Final = 60_000_000
_MINUTES_PER_DAY: Final = 1_440
_THURSDAY: Final = 3  # 1970-01-01, counted from Monday = 0
_FIRST_ORDINAL: Final = date(1970, 1, 1).toordinal()

# Parts of the day with similar traffic: night, early, morning rush, midday, afternoon rush,
# evening, late. A working day and a day off have their own.
_BAND_OF_HOUR: Final = np.repeat(np.arange(7), [6, 1, 3, 5, 4, 3, 2])
_BANDS: Final = _BAND_OF_HOUR.tolist()
NUMBER_OF_BANDS: Final = 14


class Moments(NamedTuple):
    """Pickup times taken apart; every array has shape ``(n,)``."""

    day: Ints  # days since 1970-01-01
    minute_of_day: Ints  # 0 to 1439
    weekday: Ints  # 0 Monday to 6 Sunday
    holiday: npt.NDArray[np.bool_]  # a federal holiday of the United States

    @property
    def band(self) -> Ints:
        """Part of the day, 0 to `NUMBER_OF_BANDS` - 1; weekends and holidays are the upper half."""
        free = (self.weekday >= 5) | self.holiday
        return np.asarray(_BAND_OF_HOUR[self.minute_of_day // 60] + NUMBER_OF_BANDS // 2 * free)


def moments(pickup_at: npt.ArrayLike | pd.Series[Any]) -> Moments:
    """Take pickup times apart.

    Args:
        pickup_at: Times without a zone, none missing.
    """
    microseconds = np.asarray(pickup_at, dtype="datetime64[us]").view(np.int64)
    minutes = microseconds // _MICROSECONDS_PER_MINUTE
    day = minutes // _MINUTES_PER_DAY
    return Moments(
        day=day,
        minute_of_day=minutes - day * _MINUTES_PER_DAY,
        weekday=(day + _THURSDAY) % 7,
        holiday=_is_holiday(day),
    )


class Moment(NamedTuple):
    """One pickup time taken apart, as in `Moments`."""

    minute_of_day: int
    weekday: int
    holiday: bool
    band: int


def moment(pickup_at: datetime) -> Moment:
    """Take one pickup time apart, in a thousandth of the time that arrays take to be set up."""
    weekday = pickup_at.weekday()
    holiday = pickup_at.toordinal() in _holidays_of(pickup_at.year)
    free = weekday >= 5 or holiday
    return Moment(
        minute_of_day=pickup_at.hour * 60 + pickup_at.minute,
        weekday=weekday,
        holiday=holiday,
        band=_BANDS[pickup_at.hour] + (NUMBER_OF_BANDS // 2 if free else 0),
    )


def day_number(at: Any) -> int:
    """Return the days from 1970-01-01 to the day of a time."""
    return int(np.datetime64(at, "D").astype(np.int64))


def _is_holiday(day: Ints) -> npt.NDArray[np.bool_]:
    if not len(day):
        return np.zeros(0, dtype=bool)
    first, last = (
        int(np.datetime64(int(d), "D").astype("datetime64[Y]").astype(int)) + 1970
        for d in (day.min(), day.max())
    )
    return np.isin(day, _holidays(first, last))


@lru_cache(maxsize=256)
def _holidays_of(year: int) -> frozenset[int]:
    """Return the ordinals (`date.toordinal`) of a year's holidays."""
    return frozenset((_holidays(year, year) + _FIRST_ORDINAL).tolist())


@lru_cache(maxsize=64)
def _holidays(first_year: int, last_year: int) -> Ints:
    """Federal holidays of the years, as observed (5 U.S.C. 6103), as day numbers."""
    from pandas.tseries.holiday import USFederalHolidayCalendar

    found = USFederalHolidayCalendar().holidays(
        datetime(first_year, 1, 1), datetime(last_year, 12, 31)
    )
    return np.asarray(found.to_numpy().astype("datetime64[D]").astype(np.int64))
