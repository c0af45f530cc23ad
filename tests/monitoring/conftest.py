"""A small watched world: synthetic months, a model that knows only routes, and its profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.months import month_bounds
from mlops.data.reading import read_trips
from mlops.data.trips import DISTANCE, DROPOFF_AT, PICKUP_AT, TARGET
from mlops.features.routes import RouteStatistics
from mlops.monitoring.judging import report_window
from mlops.monitoring.learning import build_profile
from mlops.monitoring.profile import ReferenceProfile
from mlops.monitoring.report import WindowReport
from mlops.monitoring.windows import TripWindow
from mlops.settings import FeatureSettings, MonitoringSettings, ValidationSettings

TESTED_FROM = datetime(2024, 1, 1)
SHORTEST, LONGEST = 1.0, 60.0


@dataclass(frozen=True, eq=False)
class World:
    """What is needed to watch: routes, a profile, and good trips of a month to come."""

    routes: RouteStatistics
    profile: ReferenceProfile
    history: TripWindow
    live: pd.DataFrame
    settings: MonitoringSettings

    def predict(self, trips: pd.DataFrame) -> pd.DataFrame:
        return route_model(self.routes, trips)

    def window(self, trips: pd.DataFrame, **more: Any) -> TripWindow:
        return TripWindow.of(trips, self.predict(trips), self.routes, ValidationSettings(), **more)

    def report(self, trips: pd.DataFrame, **more: Any) -> WindowReport:
        window = self.window(trips)
        return report_window(window, self.profile, self.settings, name="w", **more)


def route_model(routes: RouteStatistics, trips: pd.DataFrame) -> pd.DataFrame:
    """Predict from the route's pace: a model as good as it needs to be here."""
    known = routes.lookup(trips.assign(**{PICKUP_AT: trips[PICKUP_AT].fillna(TESTED_FROM)}))
    miles = trips[DISTANCE].where(trips[DISTANCE] > 0.05, known["route_miles"])
    minutes = np.clip(miles * known["route_pace"], SHORTEST, LONGEST)
    return pd.DataFrame(
        {
            "prediction_minutes": minutes,
            "lower_minutes": (0.7 * minutes).clip(lower=SHORTEST),
            "upper_minutes": (1.4 * minutes).clip(upper=LONGEST),
        },
        index=trips.index,
    ).astype("float64")


def world_of(past: pd.DataFrame, live: pd.DataFrame) -> World:
    """Profile the route model on a past whose last month tested it."""
    routes = RouteStatistics.of(past[past[TARGET].between(1, 60)], TESTED_FROM, FeatureSettings())
    settings = MonitoringSettings()
    history = TripWindow.of(past, route_model(routes, past), routes, ValidationSettings())
    profile = build_profile(history, "7", TESTED_FROM, (SHORTEST, LONGEST), settings)
    return World(routes, profile, history, live, settings)


@pytest.fixture(scope="session")
def world(sample_history: Callable[..., pd.DataFrame]) -> World:
    """Return a world of synthetic trips."""
    past = sample_history("2023-12", "2024-01", rows=9_000)
    return world_of(past, sample_history("2024-02", rows=9_000))


@pytest.fixture(scope="session")
def real_world(real_data: Path) -> World:
    """Return a world of real trips, those that break rules included."""
    *past, live = (real_month(real_data, m) for m in ("2023-12", "2024-01", "2024-02"))
    return world_of(pd.concat(past, ignore_index=True), live)


def real_month(folder: Path, month: str) -> pd.DataFrame:
    trips = read_trips(folder / "green" / f"green_tripdata_{month}.parquet", "green")
    trips[TARGET] = (trips[DROPOFF_AT] - trips[PICKUP_AT]) / pd.Timedelta(minutes=1)
    start, end = month_bounds(month)
    inside = trips[(trips[PICKUP_AT] >= start) & (trips[PICKUP_AT] < end)]
    return inside.sort_values(PICKUP_AT, kind="stable").reset_index(drop=True)
