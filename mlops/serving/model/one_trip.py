"""The features of one trip, in a few microseconds instead of the arrays' hundred.

It computes what `FeatureEncoder.encode` computes, to the bit: both take the same tables, and an
operation on float32 numbers done in Python's double precision and rounded once is the float32
operation (Figueroa, "When is double rounding innocuous?", SIGNUM Newsletter 1995).
"""

from __future__ import annotations

from datetime import datetime
from math import isnan, nan
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops.datasets.dataset import Matrix
from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS, moment
from mlops.datasets.taxi.features.encoding import COLUMN, FEATURES, SHORT_MILES, FeatureEncoder
from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES, ZONES, route_code, zone_codes
from mlops.datasets.taxi.trips import NUMBER_OF_ZONES

_ROUTE_MILES: Final = COLUMN["route_miles"]
_ROUTE_PACE: Final = COLUMN["route_pace"]
_STRAIGHT_MILES: Final = COLUMN["straight_miles"]
_SHORTEST: Final = float(np.float32(MIN_MILES))
_LONGEST: Final = float(np.float32(MAX_MILES))


class TripEncoder:
    """Encodes one trip at a time.

    Args:
        encoder: Whose tables to use.
    """

    def __init__(self, encoder: FeatureEncoder) -> None:
        self._routes = encoder.route_table
        self._known = self._routes.shape[1]
        # Lists of Python numbers are read ten times as fast as arrays, one number at a time.
        self._pickup_bands: list[float] = encoder.statistics.pickup_bands.tolist()
        self._dropoff_bands: list[float] = encoder.statistics.dropoff_bands.tolist()

    def encode(
        self,
        pickup_at: datetime,
        pickup_zone: int,
        dropoff_zone: int,
        trip_distance: float | None = None,
        passenger_count: float | None = None,
        rate_code: float | None = None,
        trip_type: float | None = None,
    ) -> Matrix:
        """Return `FEATURES` of a trip, shape ``(len(FEATURES),)``; None stands for not known."""
        pickup, dropoff = _zone(pickup_zone), _zone(dropoff_zone)
        when = moment(pickup_at)
        row = np.empty(len(FEATURES), np.float32)
        row[: self._known] = self._routes[pickup * ZONES + dropoff]
        route: list[float] = row[: self._known].tolist()
        pickup_pace = self._pickup_bands[pickup * NUMBER_OF_BANDS + when.band]
        dropoff_pace = self._dropoff_bands[dropoff * NUMBER_OF_BANDS + when.band]
        passengers, rate = _number(passenger_count), _number(rate_code)
        given = float(np.float32(_number(trip_distance)))
        plausible = _SHORTEST < given <= _LONGEST
        miles = given if plausible else route[_ROUTE_MILES]
        row[self._known :] = (
            pickup_pace,
            dropoff_pace,
            pickup,
            dropoff,
            when.minute_of_day,
            when.weekday,
            when.holiday,
            passengers,
            rate,
            _number(trip_type),
            isnan(passengers) and isnan(rate),
            given if plausible else nan,
            miles,
            miles / route[_ROUTE_MILES],
            miles / float(np.float32(route[_STRAIGHT_MILES] + SHORT_MILES)),
            miles * route[_ROUTE_PACE],
            miles * pickup_pace,
            miles * dropoff_pace,
        )
        return row

    def route_miles(self, pickup_zone: int, dropoff_zone: int) -> float:
        """Return the miles that past trips of a route drove (their geometric mean, smoothed)."""
        return float(self._routes[_zone(pickup_zone) * ZONES + _zone(dropoff_zone), _ROUTE_MILES])

    def routes_miles(self, pickup_zones: npt.ArrayLike, dropoff_zones: npt.ArrayLike) -> Matrix:
        """Return the same for many routes, ``(n,)``."""
        codes = route_code(zone_codes(pickup_zones), zone_codes(dropoff_zones))
        return np.asarray(self._routes[codes, _ROUTE_MILES])


def _zone(zone: int) -> int:
    return zone if 0 <= zone <= NUMBER_OF_ZONES else 0


def _number(value: float | None) -> float:
    return nan if value is None else value
