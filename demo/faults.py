"""Faults to inject into good trips: how detectors are proved, and how a demonstration is staged.

Each takes canonical trips with their labels and returns what would have been recorded had the world
or the feed been so; nothing else about the trips changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pandas as pd

from mlops.datasets.taxi.features.calendar import moments
from mlops.datasets.taxi.sample.generator import DRIFT_FURTHER, DRIFT_RARE_ROUTES, DRIFT_SLOWER
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_AT,
    DROPOFF_ZONE,
    PICKUP_AT,
    PICKUP_ZONE,
    TARGET,
    UNKNOWN_ZONES,
    VENDOR,
)
from mlops.datasets.taxi.watched.watching import KILOMETRES_PER_MILE

Fault = Callable[[pd.DataFrame], pd.DataFrame]

_KNOWN_ZONES: Final = 263
# The hours of a working day with the most traffic, as the parts of the day have it.
_RUSH_HOURS: Final = (7, 8, 9, 15, 16, 17, 18)


def drifting(strength: float) -> Fault:
    """Return the sample's drift at a strength from 0 to 1, for real trips."""

    def fault(trips: pd.DataFrame) -> pd.DataFrame:
        random = np.random.default_rng(0)
        rare = random.random(len(trips)) < DRIFT_RARE_ROUTES * strength
        zones = random.integers(1, _KNOWN_ZONES + 1, (2, len(trips)))
        changed = trips.assign(
            **{
                DISTANCE: trips[DISTANCE] * (1 + DRIFT_FURTHER * strength),
                PICKUP_ZONE: trips[PICKUP_ZONE].where(~rare, zones[0]).astype("int32"),
                DROPOFF_ZONE: trips[DROPOFF_ZONE].where(~rare, zones[1]).astype("int32"),
            }
        )
        return _lasting(changed, trips[TARGET] * (1 + DRIFT_SLOWER * strength))

    return fault


def zone_closure(trips: pd.DataFrame) -> pd.DataFrame:
    """Close the third busiest zone: no trip begins or ends there.

    The busiest two make a third of green trips; anything would notice.
    """
    known = trips.loc[~trips[PICKUP_ZONE].isin(UNKNOWN_ZONES), PICKUP_ZONE]
    closed = known.value_counts().index[2]
    touched = (trips[PICKUP_ZONE] == closed) | (trips[DROPOFF_ZONE] == closed)
    open_still: pd.DataFrame = trips[~touched]
    return open_still


def kilometres(trips: pd.DataFrame) -> pd.DataFrame:
    """Give distances in kilometres where miles are expected."""
    return trips.assign(**{DISTANCE: trips[DISTANCE] * KILOMETRES_PER_MILE})


def slow_rush_hour(trips: pd.DataFrame) -> pd.DataFrame:
    """Double the duration of trips in the rush hours of working days; only labels show it."""
    when = moments(trips[PICKUP_AT])
    rush = np.isin(when.minute_of_day // 60, _RUSH_HOURS) & (when.weekday < 5) & ~when.holiday
    return _lasting(trips, trips[TARGET] * np.where(rush, 2.0, 1.0))


def frozen_clock(trips: pd.DataFrame) -> pd.DataFrame:
    """Stop the clock at the first pickup; trips take as long as they do."""
    return _lasting(trips.assign(**{PICKUP_AT: trips[PICKUP_AT].iloc[0]}), trips[TARGET])


def vendor_missing(trips: pd.DataFrame) -> pd.DataFrame:
    """Lose the vendor of every trip."""
    return trips.assign(**{VENDOR: np.nan})


FAULTS: Final[Mapping[str, Fault]] = {
    "drift knob at full strength": drifting(1.0),
    "drift knob at half strength": drifting(0.5),
    "drift knob at a quarter": drifting(0.25),
    "zone closure": zone_closure,
    "kilometres instead of miles": kilometres,
    "doubled rush hour": slow_rush_hour,
    "frozen clock": frozen_clock,
    "vendor missing": vendor_missing,
}


def _lasting(trips: pd.DataFrame, minutes: pd.Series[float]) -> pd.DataFrame:
    ended = trips[PICKUP_AT] + pd.to_timedelta(minutes * 60, unit="s")
    return trips.assign(**{TARGET: minutes, DROPOFF_AT: ended.astype(trips[DROPOFF_AT].dtype)})
