"""What is watched of taxi trips; see `mlops.datasets.watching.Watching`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.answers import PREDICTION
from mlops.datasets.dataset import Encoder
from mlops.datasets.taxi.contract.rules import FIRST_PICKUP, LAST_PICKUP, rules_in_force
from mlops.datasets.taxi.contract.schema import broken_rules, trip_schema
from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS, moments
from mlops.datasets.taxi.features.encoding import routes_of
from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES
from mlops.datasets.taxi.slices import slice_labels
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_AT,
    DROPOFF_ZONE,
    FARE,
    NEW_YORK,
    OPTIONAL,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    REQUEST_COLUMNS,
    TARGET,
    TRIP_TYPE,
    VENDOR,
)
from mlops.datasets.watching import (
    Feature,
    Ints,
    Mask,
    Units,
    WatchedRule,
    numbers,
    observed_answers,
)
from mlops.settings import ValidationSettings

DISTANCE_RATIO: Final = "distance_over_route"
MILES_USED: Final = "miles_used"  # as the log calls it
KILOMETRES_PER_MILE: Final = 1.609344
LABELS: Final = {TARGET: "float64", DROPOFF_AT: "datetime64[us]", FARE: "float64"}
# Whether a trip lies in the month of its file is a question to files, not to a window.
_NOT_OF_WINDOWS: Final = ("pickup_outside_month",)

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


@dataclass(frozen=True)
class TripWatching:
    """What is watched of trips.

    Attributes:
        limits: Of the data contract.
    """

    limits: ValidationSettings

    event = PICKUP_AT
    outcome = DROPOFF_AT
    target = TARGET
    unit = "min"
    plural = "trips"
    zone = NEW_YORK
    possible = (FIRST_PICKUP, LAST_PICKUP)
    label_delay = timedelta(0)  # the source publishes whole months, long after their trips
    asked = MappingProxyType(REQUEST_COLUMNS)
    labels = MappingProxyType(LABELS)
    optional = OPTIONAL
    features = FEATURES
    strata = NUMBER_OF_BANDS
    units = Units(
        DISTANCE_RATIO,
        "distances",
        "those usual on the same routes",
        {
            KILOMETRES_PER_MILE: "distances look like kilometres",
            1 / KILOMETRES_PER_MILE: "distances look as if converted from kilometres twice",
        },
    )
    every_minute = True

    @cached_property
    def rules(self) -> tuple[WatchedRule, ...]:
        """The rules that are not ignored."""
        return tuple(
            WatchedRule(name, rule.at_pickup, rule.action == "quarantine")
            for name, rule in rules_in_force(self.limits).items()
            if name not in _NOT_OF_WINDOWS
        )

    def stratum(self, events: pd.Series[Any]) -> Ints:
        """Return the band of each pickup; weekends and holidays have their own."""
        return moments(events).band

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each trip along each dimension."""
        return slice_labels(rows)

    def observe(
        self, rows: pd.DataFrame, predictions: pd.DataFrame | None, encoder: Encoder
    ) -> pd.DataFrame:
        """Compute `FEATURES`, some of them against what the model knows of routes."""
        usual = routes_of(encoder).lookup(rows)
        usual_minutes = numbers(usual, "route_minutes")
        miles = numbers(rows, DISTANCE)
        plausible = np.where((miles > MIN_MILES) & (miles <= MAX_MILES), miles, np.nan)
        columns: dict[str, Any] = {
            feature.name: numbers(rows, feature.name)
            for feature in FEATURES
            if feature.kind == "category"
        }
        columns[DISTANCE] = miles
        columns[DISTANCE_RATIO] = plausible / numbers(usual, "route_miles")
        if predictions is not None:
            columns |= observed_answers(predictions, rows, self.plural)
            columns["prediction_over_route"] = columns[PREDICTION] / usual_minutes
        if TARGET in rows:
            columns[TARGET] = numbers(rows, TARGET)
            columns["duration_over_route"] = columns[TARGET] / usual_minutes
        return pd.DataFrame(columns, index=rows.index)

    def broken(self, rows: pd.DataFrame, *, labelled: bool) -> Mapping[str, Mask]:
        """Return the trips that break each rule."""
        rules = rules_in_force(self.limits, at_pickup=not labelled)
        rules = {name: rule for name, rule in rules.items() if name not in _NOT_OF_WINDOWS}
        return broken_rules(rows, trip_schema(rules, self.limits))

    def rare(self, rows: pd.DataFrame, encoder: Encoder) -> Mapping[str, Mask]:
        """Return nothing: what should be rare among trips are broken rules and missing values."""
        return {}

    def computed(self, rows: pd.DataFrame, encoder: Encoder) -> pd.DataFrame:
        """Return the miles used: the request's, or else the route's usual ones."""
        given = rows[DISTANCE]
        usual = routes_of(encoder).lookup(rows)["route_miles"]
        plausible = (given > MIN_MILES) & (given <= MAX_MILES)
        return pd.DataFrame({MILES_USED: given.where(plausible, usual)})
