"""The gatekeeper: all that happened, handed out only as far as a clock has come.

A replay proves nothing if anything of the future leaks into it. So nothing else reads the recorded
trips: a request is shown once it was made, without what is known only after the trip; a label once
its trip has ended and the label had time to arrive. Columns are named one by one, never passed on.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.taxi.trips import DROPOFF_AT, FARE, PICKUP_AT, REQUEST_COLUMNS, TARGET, TRIP_ID
from mlops.errors import DataQualityError

# What recording adds to a trip: whether a request like it is answered, and whether the ended trip
# may be learned from. The latter is itself known only afterwards.
ANSWERABLE: Final = "answerable"
LEARNABLE: Final = "learnable"

_LABELS: Final = (DROPOFF_AT, FARE, TARGET)


class FutureAccessError(RuntimeError):
    """The replay asked for what its clock has not reached: a bug that would forge its result."""


class History:
    """Everything that was recorded, of which only a `Clock` shows anything.

    Args:
        trips: Columns of a trip, the duration, `ANSWERABLE` and `LEARNABLE`; others are ignored.
        delay: How long after a trip's end its label arrives.

    Raises:
        DataQualityError: If a column is missing.
    """

    def __init__(self, trips: pd.DataFrame, delay: timedelta) -> None:
        wanted = [*REQUEST_COLUMNS, *_LABELS, ANSWERABLE, LEARNABLE]
        missing = [name for name in wanted if name not in trips]
        if missing:
            raise DataQualityError(
                f"the recorded trips lack {', '.join(missing)}", "record them from their source"
            )
        timed = trips.loc[trips[PICKUP_AT].notna(), wanted]
        # By what was requested, so that the order tells nothing of what came of it.
        self._trips = timed.sort_values(list(REQUEST_COLUMNS), kind="stable", ignore_index=True)
        self._trips.index.name = TRIP_ID
        ended = self._trips[[PICKUP_AT, DROPOFF_AT]].max(axis=1)
        # A trip without an end never gets a label.
        self._known_at = (ended + delay).where(self._trips[DROPOFF_AT].notna())

    def __len__(self) -> int:
        return len(self._trips)

    def clock(self, at: datetime) -> Clock:
        """Return a clock that shows what was known at a time."""
        return Clock(self._trips, self._known_at, at)


class Clock:
    """A time that only moves on, and what is known by then.

    Every frame has the trips' ids as index and is in the order of pickup.
    """

    def __init__(self, trips: pd.DataFrame, known_at: pd.Series[Any], now: datetime) -> None:
        self._trips, self._known_at, self._now = trips, known_at, now

    @property
    def now(self) -> datetime:
        """The present: everything later is the future."""
        return self._now

    def advance(self, to: datetime) -> None:
        """Move on.

        Raises:
            FutureAccessError: If that would be back in time.
        """
        if to < self._now:
            raise FutureAccessError(f"the clock shows {self._now} and cannot go back to {to}")
        self._now = to

    def requests(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the requests that were answered in ``[start, end)``, as they were made.

        Returns:
            Columns of a request, nothing else.

        Raises:
            FutureAccessError: If ``end`` lies in the future.
        """
        inside = self._between(start, end) & self._trips[ANSWERABLE].to_numpy(bool)
        return self._trips.loc[inside, list(REQUEST_COLUMNS)]

    def finished(self, start: datetime = datetime.min) -> pd.DataFrame:
        """Return the trips one may learn from: ended, clean, their labels arrived by now.

        Args:
            start: Only pickups from here on.

        Returns:
            Columns of a request, and dropoff, fare and duration.
        """
        known = self._between(start, self._now) & self._arrived()
        chosen = known & self._trips[LEARNABLE].to_numpy(bool)
        return self._trips.loc[chosen, [*REQUEST_COLUMNS, *_LABELS]]

    def observed(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the trips of ``[start, end)`` as they came, unclean ones included.

        Returns:
            Columns of a request, and dropoff, fare and duration, missing where not known by now.

        Raises:
            FutureAccessError: If ``end`` lies in the future.
        """
        inside = self._between(start, end)
        shown = self._trips.loc[inside, [*REQUEST_COLUMNS, *_LABELS]].copy()
        shown.loc[~self._arrived()[inside], list(_LABELS)] = None
        return shown

    def _between(self, start: datetime, end: datetime) -> Any:
        if end > self._now:
            raise FutureAccessError(f"trips until {end} are not known yet: it is {self._now}")
        at = self._trips[PICKUP_AT].to_numpy()
        return (at >= _moment(start)) & (at < _moment(end))

    def _arrived(self) -> Any:
        return self._known_at.to_numpy() <= _moment(self._now)


def content_sha256(trips: pd.DataFrame) -> str:
    """Hash the ids, names and values of trips, in linear time."""
    digest = hashlib.sha256(np.ascontiguousarray(trips.index.to_numpy()).tobytes())
    for name in trips:
        digest.update(f"{name}:{trips[name].dtype}".encode())
        digest.update(np.ascontiguousarray(trips[name].to_numpy()).view(np.uint8).data)
    return digest.hexdigest()


def _moment(time: datetime) -> np.datetime64:
    return np.datetime64(time, "us")
