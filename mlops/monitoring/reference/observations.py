"""The columns that monitoring watches, computed the same way for a reference and for a window.

A reference is built once, long before the windows it is compared with: whatever the two do not
compute alike would look like drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    PASSENGERS,
    PICKUP_ZONE,
    RATE_CODE,
    TARGET,
    TRIP_TYPE,
    VENDOR,
)
from mlops.errors import DataQualityError

Floats = npt.NDArray[np.float64]

PREDICTION: Final = "prediction_minutes"
LOWER: Final = "lower_minutes"
UPPER: Final = "upper_minutes"

DISTANCE_RATIO: Final = "distance_over_route"

# The log keeps single precision, and an interval has only as many widths as its model has bins:
# what is computed in one precision and in the other must not fall on two sides of a table's edge.
_DECIMALS: Final = 3


@dataclass(frozen=True)
class Feature:
    """One watched column.

    Attributes:
        name: Of the column.
        kind: Compared as categories or as numbers.
        unit: Of its values.
        meaning: In words, for reports.
        label: Known only after the trip.
    """

    name: str
    kind: Literal["category", "number"]
    unit: str
    meaning: str
    label: bool = False


FEATURES: Final = (
    Feature(PICKUP_ZONE, "category", "zone", "where trips begin"),
    Feature(DROPOFF_ZONE, "category", "zone", "where trips end"),
    Feature(PASSENGERS, "category", "passengers", "passengers per trip"),
    Feature(RATE_CODE, "category", "code", "tariff of the trip"),
    Feature(TRIP_TYPE, "category", "code", "street hail or dispatch"),
    Feature(VENDOR, "category", "code", "who supplied the record"),
    Feature(DISTANCE, "number", "miles", "distance of the trip"),
    Feature(DISTANCE_RATIO, "number", "", "distance over the route's usual miles"),
    Feature(PREDICTION, "number", "min", "predicted duration"),
    Feature("interval_width", "number", "min", "width of the prediction interval"),
    Feature("prediction_over_route", "number", "", "prediction over the route's usual minutes"),
    Feature(TARGET, "number", "min", "actual duration", label=True),
    Feature("duration_over_route", "number", "", "duration over the route's usual", label=True),
)


class Routes(Protocol):
    """What is known of routes; `mlops.datasets.taxi.features.routes.RouteStatistics` has it."""

    def lookup(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return at least ``route_miles`` and ``route_minutes`` for each request."""
        ...


def observe(trips: pd.DataFrame, predictions: pd.DataFrame | None, routes: Routes) -> pd.DataFrame:
    """Compute the watched columns of trips.

    Args:
        trips: Request columns, and the duration where it is known.
        predictions: ``prediction_minutes``, ``lower_minutes`` and ``upper_minutes`` in the order of
            the trips; None if there are none.
        routes: The model's own statistics, frozen: an expectation that follows the window would
            follow its faults too.

    Returns:
        The columns of `FEATURES` that can be computed, float64, with the index of ``trips``; NaN
        where a value is missing.

    Raises:
        DataQualityError: If there are not as many predictions as trips.
    """
    usual = routes.lookup(trips)
    miles = _numbers(trips, DISTANCE)
    plausible = (miles > MIN_MILES) & (miles <= MAX_MILES)
    columns = {f.name: _numbers(trips, f.name) for f in FEATURES if f.kind == "category"}
    columns[DISTANCE] = miles
    columns[DISTANCE_RATIO] = np.where(plausible, miles, np.nan) / _numbers(usual, "route_miles")
    if predictions is not None:
        if len(predictions) != len(trips):
            raise DataQualityError(
                f"there are {len(trips)} trips and {len(predictions)} predictions",
                "give one prediction per trip, in the same order",
            )
        minutes = _finite(predictions, PREDICTION)
        columns[PREDICTION] = minutes
        width = _finite(predictions, UPPER) - _finite(predictions, LOWER)
        columns["interval_width"] = np.round(width, _DECIMALS)
        columns["prediction_over_route"] = minutes / _numbers(usual, "route_minutes")
    if TARGET in trips:
        actual = _numbers(trips, TARGET)
        columns[TARGET] = actual
        columns["duration_over_route"] = actual / _numbers(usual, "route_minutes")
    return pd.DataFrame(columns, index=trips.index)


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    if name not in frame:
        return np.full(len(frame), np.nan)
    values: Any = frame[name]
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _finite(frame: pd.DataFrame, name: str) -> Floats:
    """Infinite predictions are counted as such elsewhere; here they are missing."""
    values = _numbers(frame, name)
    return np.where(np.isfinite(values), values, np.nan)
