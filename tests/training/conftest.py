"""One small training problem for all tests of training: two synthetic months."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pytest

from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.settings import FeatureSettings


@dataclass(frozen=True)
class Problem:
    """Windows of annotated trips, and what was known of routes when validation began."""

    train: pd.DataFrame
    validation: pd.DataFrame
    statistics: RouteStatistics


@pytest.fixture(scope="session")
def problem(sample_history: Callable[..., pd.DataFrame]) -> Problem:
    settings, boundary = FeatureSettings(), datetime(2024, 1, 20)
    trips = sample_history("2023-12", "2024-01", rows=2_500)
    trips = pd.concat([trips, RouteHistory(settings).annotate(trips)], axis=1)
    later = trips["pickup_at"] >= boundary
    return Problem(trips[~later], trips[later], RouteStatistics.of(trips, boundary, settings))
