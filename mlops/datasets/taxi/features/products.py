"""The data product `route_statistics`: route history frozen at the boundaries of the windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from mlops import fingerprints
from mlops.data.references import RouteStatisticsManifest, TrainingSetManifest
from mlops.data.store.snapshots import read_window
from mlops.data.store.statistics import mornings_of, publish_statistics
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.settings import FeatureSettings, Settings


def publish_route_statistics(
    training_set: TrainingSetManifest, settings: Settings
) -> RouteStatisticsManifest:
    """Compute and publish route history up to validation, up to test, and up to the end.

    The same training set and settings give the same hash; a published product is rebuilt only if
    it is damaged.

    Args:
        training_set: The trips to learn routes from.
        settings: Smoothing and half-life of the history, and the store.
    """
    sha256 = fingerprints.of_values(
        fingerprints.of_code("data", "datasets/taxi"),
        training_set.sha256,
        settings.features.model_dump(mode="json"),
    )
    days = mornings_of(training_set, training_set.test.ends)
    return publish_statistics(
        training_set,
        sha256,
        lambda: freeze_routes(training_set, days, settings.features),
        RouteStatistics.save,
        RouteStatistics.load,
        settings,
    )


def freeze_routes(
    training_set: TrainingSetManifest, days: Mapping[str, datetime], settings: FeatureSettings
) -> dict[str, RouteStatistics]:
    """Compute what the trips of a training set tell of routes on the mornings of named days."""
    trips = pd.concat(
        [read_window(training_set, window) for window in ("train", "validation", "test")],
        ignore_index=True,
    )
    return {name: RouteStatistics.of(trips, as_of, settings) for name, as_of in days.items()}
