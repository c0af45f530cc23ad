"""The one way from requests to numbers, for training and for serving.

Only what is known at pickup goes in. The vendor does not: which company's meter a cab carries must
not change its estimate. Rate code, passengers and trip type are missing together for dispatched
trips, which differ from street hails, so that they are missing is a feature of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.dataset import Columns, Encoder, FeatureLayout, Matrix, Stratum
from mlops.datasets.taxi.features.calendar import moments
from mlops.datasets.taxi.features.positions import DIMENSIONS
from mlops.datasets.taxi.features.routes import AS_OF_COLUMNS, BAND_COLUMNS, RouteStatistics
from mlops.datasets.taxi.features.smoothing import ROUTE_COLUMNS
from mlops.datasets.taxi.features.sums import (
    MAX_MILES,
    MIN_MILES,
    ZONES,
    band_code,
    route_code,
    zone_codes,
)
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    TRIP_TYPE,
)
from mlops.datasets.taxi.zones import borough_of
from mlops.errors import ConfigurationError, DataQualityError

_GEOMETRY: Final = (
    *(f"{end}_{axis}" for end in ("pickup", "dropoff") for axis in "xyz"[:DIMENSIONS]),
    "straight_miles",
    "bearing",
)
_COMPUTED: Final = (
    "pickup_zone",
    "dropoff_zone",
    "minute_of_day",
    "weekday",
    "holiday",
    "passengers",
    "rate_code",
    "trip_type",
    "codes_missing",
    "miles",  # missing where the request has no plausible distance
    "likely_miles",  # the request's distance, or else the route's
    "miles_over_route",
    "miles_over_straight",
    "minutes_at_route_pace",
    "minutes_at_pickup_pace",
    "minutes_at_dropoff_pace",
)
FEATURES: Final[tuple[str, ...]] = (*ROUTE_COLUMNS, *_GEOMETRY, *BAND_COLUMNS, *_COMPUTED)
COLUMN: Final[dict[str, int]] = {name: position for position, name in enumerate(FEATURES)}
_BOROUGHS: Final = np.unique(borough_of(np.arange(ZONES)), return_inverse=True)[1]
LAYOUT: Final = FeatureLayout(
    names=FEATURES,
    codes={"pickup_zone": ZONES, "dropoff_zone": ZONES},
    clock=("minute_of_day", "weekday"),
    grouping=("pickup_zone", "dropoff_zone"),
    # A zone that is unknown shares its group with those outside of all boroughs.
    strata=(
        Stratum("pickup_zone", (*_BOROUGHS.tolist(), int(_BOROUGHS[0]))),
        Stratum("miles"),
    ),
)

_NEEDED: Final = (PICKUP_AT, PICKUP_ZONE, DROPOFF_ZONE)
# Zones touch: within half a mile, a ratio to the straight line would explode.
SHORT_MILES: Final = 0.5


@dataclass(frozen=True, eq=False)
class FeatureEncoder:
    """Turns requests into a dense matrix with the columns `FEATURES`.

    Attributes:
        statistics: What is known of routes; part of the encoder, so that a model answers the same
            wherever it is loaded.
    """

    statistics: RouteStatistics

    def __reduce__(self) -> Any:
        return FeatureEncoder, (self.statistics,)

    @property
    def layout(self) -> FeatureLayout:
        """What the columns of its matrices are."""
        return LAYOUT

    @property
    def sha256(self) -> str:
        """Hash of what it knows of routes."""
        return self.statistics.sha256

    def encode(self, frame: Columns, *, history: bool = False) -> Matrix:
        """Encode requests.

        Args:
            frame: `REQUEST_COLUMNS`, as a frame or as arrays by name; all but pickup time and zones
                may be missing. A distance that no meter measures (0, or above 100 miles) counts as
                missing.
            history: Take `AS_OF_COLUMNS` from the frame: what was known on the day of each trip,
                which is what a model must learn from. Otherwise the encoder's own statistics.

        Returns:
            Shape ``(n, len(FEATURES))``, float32; NaN where unknown.

        Raises:
            DataQualityError: If a needed column is missing.
        """
        needed = (*_NEEDED, *AS_OF_COLUMNS) if history else _NEEDED
        missing = [name for name in needed if name not in frame]
        if missing:
            raise DataQualityError(
                f"the requests lack the column {', '.join(missing)}",
                f"give at least {', '.join(_NEEDED)}",
            )
        when = moments(frame[PICKUP_AT])
        pickup, dropoff = zone_codes(frame[PICKUP_ZONE]), zone_codes(frame[DROPOFF_ZONE])
        out = np.empty((len(pickup), len(FEATURES)), dtype=np.float32)
        known = self.route_table.shape[1]
        self.route_table.take(route_code(pickup, dropoff), axis=0, out=out[:, :known], mode="clip")
        column = {name: out[:, position] for name, position in COLUMN.items()}
        if history:
            for name in AS_OF_COLUMNS:
                column[name][:] = np.asarray(frame[name])
        else:
            band = when.band
            column[BAND_COLUMNS[0]][:] = self.statistics.pickup_bands[band_code(pickup, band)]
            column[BAND_COLUMNS[1]][:] = self.statistics.dropoff_bands[band_code(dropoff, band)]
        column["pickup_zone"][:] = pickup
        column["dropoff_zone"][:] = dropoff
        column["minute_of_day"][:] = when.minute_of_day
        column["weekday"][:] = when.weekday
        column["holiday"][:] = when.holiday
        _encode_codes(frame, column)
        _encode_miles(_optional(frame, DISTANCE, len(out)), column)
        return out

    @cached_property
    def route_table(self) -> Matrix:
        """`ROUTE_COLUMNS` and geometry of every route: one gather serves a request."""
        where = self.statistics.positions
        start, end = np.repeat(where, ZONES, axis=0), np.tile(where, (ZONES, 1))
        way = end - start
        straight = np.sqrt((way**2).sum(axis=1))
        bearing = np.arctan2(way[:, 1], way[:, 0])
        geometry = (start, end, straight[:, None], bearing[:, None])
        return np.ascontiguousarray(np.hstack([self.statistics.routes, *geometry]), np.float32)


def routes_of(encoder: Encoder) -> RouteStatistics:
    """Return what an encoder of trips knows of routes.

    Raises:
        ConfigurationError: If it encodes the rows of another dataset.
    """
    if isinstance(encoder, FeatureEncoder):
        return encoder.statistics
    raise ConfigurationError(
        "this model does not predict taxi trips, so that it knows of no routes",
        "choose a version of the dataset taxi",
    )


def _optional(frame: Columns, name: str, rows: int) -> Matrix:
    if name not in frame:
        return np.full(rows, np.nan, dtype=np.float32)
    values = frame[name]
    if isinstance(values, pd.Series):  # maybe of a nullable type
        return values.to_numpy(dtype=np.float32, na_value=np.nan)
    return np.asarray(values, dtype=np.float32)


def _encode_codes(frame: Columns, column: dict[str, Matrix]) -> None:
    rows = len(column["passengers"])
    passengers, rate_code = (_optional(frame, name, rows) for name in (PASSENGERS, RATE_CODE))
    column["passengers"][:] = passengers
    column["rate_code"][:] = rate_code
    column["trip_type"][:] = _optional(frame, TRIP_TYPE, rows)
    column["codes_missing"][:] = np.isnan(passengers) & np.isnan(rate_code)


def _encode_miles(given: Matrix, column: dict[str, Matrix]) -> None:
    """Encode the distance, on its own and against what the route and the clock make of it."""
    plausible = (given > MIN_MILES) & (given <= MAX_MILES)
    route_miles = column["route_miles"]
    miles = np.where(plausible, given, route_miles)
    column["miles"][:] = np.where(plausible, given, np.float32(np.nan))
    column["likely_miles"][:] = miles
    column["miles_over_route"][:] = miles / route_miles
    column["miles_over_straight"][:] = miles / (column["straight_miles"] + SHORT_MILES)
    column["minutes_at_route_pace"][:] = miles * column["route_pace"]
    column["minutes_at_pickup_pace"][:] = miles * column["pickup_hour_pace"]
    column["minutes_at_dropoff_pace"][:] = miles * column["dropoff_hour_pace"]
