"""What history keeps of finished trips: a few sums per city, zone, route and part of the day."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS, Ints
from mlops.datasets.taxi.trips import DISTANCE, DROPOFF_ZONE, NUMBER_OF_ZONES, PICKUP_ZONE, TARGET

Floats = npt.NDArray[np.float64]
Sums = Floats  # shape (len(Quantity), NUMBER_OF_KEYS)

ZONES: Final = NUMBER_OF_ZONES + 1  # zone 0 stands for whatever is no zone

# Outside of these a meter's distance is no measurement (0 is its most frequent error).
MIN_MILES: Final = 0.05
MAX_MILES: Final = 100.0
_MAX_MILES_PER_HOUR: Final = 100.0


class Quantity(IntEnum):
    """Rows of the sums.

    Logarithms, because durations and paces are skewed: one trip with the meter left running must
    not move the mean of its route.
    """

    TRIPS = 0
    LOG_MINUTES = 1
    MEASURED = 2  # trips with a plausible distance
    LOG_PACE = 3  # minutes per mile, of these
    LOG_MILES = 4


# Columns of the sums: the city, each pickup zone, each dropoff zone, each route, and each zone at
# each part of the day, one after the other.
CITY: Final = 0
PICKUP: Final = 1
DROPOFF: Final = PICKUP + ZONES
ROUTE: Final = DROPOFF + ZONES
PICKUP_BAND: Final = ROUTE + ZONES * ZONES
DROPOFF_BAND: Final = PICKUP_BAND + ZONES * NUMBER_OF_BANDS
NUMBER_OF_KEYS: Final = DROPOFF_BAND + ZONES * NUMBER_OF_BANDS


def zone_codes(zones: npt.ArrayLike | pd.Series[Any]) -> Ints:
    """Return zones as indices of tables, shape ``(n,)``; what is no zone becomes 0."""
    numbers = np.asarray(zones)
    valid = (numbers >= 0) & (numbers <= NUMBER_OF_ZONES)
    return np.where(valid, numbers, 0).astype(np.int64)


def route_code(pickup: Ints, dropoff: Ints) -> Ints:
    """Number a route, 0 to ``ZONES`` squared - 1."""
    return pickup * ZONES + dropoff


def band_code(zone: Ints, band: Ints) -> Ints:
    """Number a zone at a part of the day, 0 to ``ZONES * NUMBER_OF_BANDS`` - 1."""
    return zone * NUMBER_OF_BANDS + band


class PastTrips(NamedTuple):
    """What is summed of finished trips."""

    pickup: Ints  # zone codes, shape (n,)
    dropoff: Ints
    band: Ints
    values: Floats  # shape (len(Quantity), n)

    @classmethod
    def of(cls, trips: pd.DataFrame, band: Ints) -> PastTrips:
        """Read zones, distances (miles) and durations (minutes) of trips.

        Args:
            trips: Finished trips.
            band: Part of the day of each.
        """
        minutes = trips[TARGET].to_numpy(dtype=np.float64)
        miles = trips[DISTANCE].to_numpy(dtype=np.float64)
        measured = (
            (miles > MIN_MILES)
            & (miles <= MAX_MILES)
            & (miles * 60 <= _MAX_MILES_PER_HOUR * minutes)
        )
        log_minutes = np.log(minutes)
        log_miles = np.log(np.where(measured, miles, 1.0))
        values = np.empty((len(Quantity), len(trips)))
        values[Quantity.TRIPS] = 1.0
        values[Quantity.LOG_MINUTES] = log_minutes
        values[Quantity.MEASURED] = measured
        values[Quantity.LOG_PACE] = np.where(measured, log_minutes - log_miles, 0.0)
        values[Quantity.LOG_MILES] = log_miles
        return cls(zone_codes(trips[PICKUP_ZONE]), zone_codes(trips[DROPOFF_ZONE]), band, values)

    @classmethod
    def joined(cls, parts: list[PastTrips]) -> PastTrips:
        """Put parts behind one another."""
        pickup, dropoff, band, values = (
            np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)
        )
        return cls(pickup, dropoff, band, values)

    def rows(self, chosen: Any) -> PastTrips:
        """Return some of the trips: a slice, a mask or indices."""
        return PastTrips(
            self.pickup[chosen], self.dropoff[chosen], self.band[chosen], self.values[:, chosen]
        )

    def total(self) -> Sums:
        """Sum over the trips of each key."""
        keys = (
            np.full_like(self.pickup, CITY),
            PICKUP + self.pickup,
            DROPOFF + self.dropoff,
            ROUTE + route_code(self.pickup, self.dropoff),
            PICKUP_BAND + band_code(self.pickup, self.band),
            DROPOFF_BAND + band_code(self.dropoff, self.band),
        )
        everywhere = np.concatenate(keys)
        return np.stack(
            [np.bincount(everywhere, np.tile(v, len(keys)), NUMBER_OF_KEYS) for v in self.values]
        )
