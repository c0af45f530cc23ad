"""Joins actual trips to the answers given to them, one-to-one, once the source has the trips.

A trip has no number that both the caller and the source know. Its natural key is the second of its
pickup and both zones; where several trips share that, the distance and the passengers tell them
apart. What is not found is unlabelled, never guessed: the join adds columns, not rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.clock import minutes_between
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_AT,
    DROPOFF_ZONE,
    FARE,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    TARGET,
)

Ints = npt.NDArray[np.int64]

# What the source must give of a trip.
COLUMNS: Final = (PICKUP_AT, PICKUP_ZONE, DROPOFF_ZONE, DISTANCE, PASSENGERS, DROPOFF_AT, FARE)

_KEY, _MILES, _PEOPLE, _PLACE, _RANK = "key", "miles", "people", "place", "rank"
_IDENTITY: Final = [_KEY, _MILES, _PEOPLE]
# From the surest agreement to the least: what agrees more is taken first, and then gone.
_AGREEMENTS: Final = (_IDENTITY, [_KEY, _MILES], [_KEY, _PEOPLE], [_KEY])
_ZONE_BITS: Final = 10
_UNKNOWN: Final = -1  # a missing distance or count; also the key of what cannot be found


@dataclass(frozen=True, eq=False)
class ActualTrips:
    """Trips that have ended, in the order in which requests are looked up.

    Attributes:
        identity: ``key``, ``miles`` and ``people`` of each, sorted; no two rows are the same.
        labels: Duration (minutes), dropoff and fare of the same trips.
    """

    identity: pd.DataFrame
    labels: pd.DataFrame

    @classmethod
    def of(cls, trips: pd.DataFrame) -> ActualTrips:
        """Sort trips for looking up.

        Args:
            trips: `COLUMNS` in canonical types. Of rows that are the same trip again, such as
                refunds, one stays: a fare that is not negative first, then the earliest dropoff.
        """
        ended = trips[trips[DROPOFF_AT].notna()]
        identity = _identity(ended)
        # Down to all that a label says, so that the order of the source decides nothing.
        order = {
            "refund": (ended[FARE] < 0).to_numpy(),
            "dropoff": ended[DROPOFF_AT].to_numpy("datetime64[us]"),
            "pickup": ended[PICKUP_AT].to_numpy("datetime64[us]"),
            "fare": ended[FARE].to_numpy(),
        }
        identity = identity.assign(**order)
        identity = identity[identity[_KEY] != _UNKNOWN]
        identity = identity.sort_values([*_IDENTITY, *order], kind="stable")
        identity = identity.drop_duplicates(_IDENTITY)[_IDENTITY]
        chosen = ended.iloc[identity.index]
        minutes = minutes_between(chosen[PICKUP_AT], chosen[DROPOFF_AT])
        labels = chosen[[DROPOFF_AT, FARE]].assign(**{TARGET: minutes})
        return cls(identity.reset_index(drop=True), labels.reset_index(drop=True))

    def match(self, requests: pd.DataFrame) -> Ints:
        """Find the trip of each request.

        Requests that say the same of a trip (retries, answers of several versions) find the same
        one; requests that differ find different ones.

        Args:
            requests: Request columns; any number of rows.

        Returns:
            Position of the trip, shape ``(n,)``; -1 where there is none.
        """
        asked = _identity(requests)
        distinct = asked[asked[_KEY] != _UNKNOWN].drop_duplicates().sort_values(_IDENTITY)
        offered = self._candidates(distinct[_KEY].to_numpy())
        found = [pd.DataFrame(columns=[*_IDENTITY, _PLACE], dtype=np.int64)]
        for agreed in _AGREEMENTS:
            if distinct.empty or offered.empty:
                break
            left = distinct.assign(**{_RANK: distinct.groupby(agreed).cumcount()})
            right = offered.assign(**{_RANK: offered.groupby(agreed).cumcount()})
            pairs = left.merge(right[[*agreed, _RANK, _PLACE]], on=[*agreed, _RANK], how="left")
            taken = pairs[_PLACE].notna().to_numpy()
            found.append(pairs[taken][[*_IDENTITY, _PLACE]])
            distinct = distinct[~taken]
            offered = offered[~offered[_PLACE].isin(pairs[_PLACE])]
        known = asked.merge(pd.concat(found), on=_IDENTITY, how="left", validate="many_to_one")
        return np.asarray(known[_PLACE].fillna(_UNKNOWN).to_numpy(np.int64))

    def label(self, requests: pd.DataFrame) -> pd.DataFrame:
        """Return requests with the duration, dropoff and fare of their trips where known.

        The rows stay the same, in number and in order.
        """
        place = self.match(requests)
        if not len(self.labels):
            missing: dict[str, Any] = {TARGET: np.nan, DROPOFF_AT: pd.NaT, FARE: np.nan}
            return requests.assign(**missing).astype({DROPOFF_AT: "datetime64[us]"})
        found: Any = self.labels.take(np.maximum(place, 0))
        columns = {name: found[name].where(place >= 0).to_numpy() for name in found}
        return requests.assign(**columns)

    def _candidates(self, keys: Ints) -> pd.DataFrame:
        """Return the trips with one of some keys, with their places."""
        keys = np.unique(keys)
        mine = self.identity[_KEY].to_numpy()
        first, last = (np.searchsorted(mine, keys, side) for side in ("left", "right"))
        counts = last - first
        begins = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(first - begins, counts)
        return self.identity.take(places).assign(**{_PLACE: places})


def _identity(trips: pd.DataFrame) -> pd.DataFrame:
    """Return what tells trips apart, as whole numbers, indexed by position."""
    pickup = trips[PICKUP_AT].to_numpy("datetime64[s]")
    second = pickup.astype(np.int64)
    zones = [trips[name].to_numpy(np.int64) for name in (PICKUP_ZONE, DROPOFF_ZONE)]
    valid = ~np.isnat(pickup) & (second >= 0)
    for zone in zones:
        valid &= (zone >= 0) & (zone < 1 << _ZONE_BITS)
    start, end = (np.where(valid, zone, 0) for zone in zones)
    key = (np.where(valid, second, 0) << 2 * _ZONE_BITS) | (start << _ZONE_BITS) | end
    return pd.DataFrame(
        {
            _KEY: np.where(valid, key, _UNKNOWN),
            _MILES: _whole(trips, DISTANCE, 100),  # meters show hundredths
            _PEOPLE: _whole(trips, PASSENGERS, 1),
        }
    )


def _whole(trips: pd.DataFrame, name: str, parts: int) -> Ints:
    values = np.rint(trips[name].to_numpy(np.float64) * parts)
    usable = np.isfinite(values) & (np.abs(values) < 1 << 53)
    return np.where(usable, values, _UNKNOWN).astype(np.int64)
