"""The data product `route_statistics`: route history frozen at the boundaries of the windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd

from mlops import fingerprints
from mlops.data.references import RouteStatisticsManifest, TrainingSetManifest
from mlops.data.store.snapshots import publish_folder, read_window
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.errors import MlopsError
from mlops.settings import FeatureSettings, Settings

PRODUCT = "route_statistics"


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
    boundaries: dict[str, datetime] = {
        "at_validation": training_set.validation.start,
        "at_test": training_set.test.start,
        "latest": training_set.test.end,
    }

    def write(folder: Path) -> None:
        frozen = freeze_routes(training_set, boundaries, settings.features)
        for name, statistics in frozen.items():
            statistics.save(folder / f"{name}.npz")

    def intact(folder: Path) -> bool:
        try:
            for name in boundaries:
                RouteStatistics.load(folder / f"{name}.npz")
        except MlopsError:
            return False
        return True

    folder = publish_folder(PRODUCT, sha256, write, settings, intact)
    return RouteStatisticsManifest(
        sha256=sha256,
        uri=str(folder),
        training_set=training_set.sha256,
        created_at=datetime.now(timezone.utc),
        **{name: str(folder / f"{name}.npz") for name in boundaries},
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
