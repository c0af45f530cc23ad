"""The fits behind a registered version: the same for those that make it and those that check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops.data.references import TrainingSetManifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.training.artifact import TripDurationModel
from mlops.training.families import QUANTILES_FAMILY


def refit(
    manifest: TrainingSetManifest,
    at_test: RouteStatistics,
    family: str,
    params: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> TripDurationModel:
    """Fit on train and validation: the model that will serve.

    A model of quantiles comes with its interval, which the winner takes over; others have none yet.

    Args:
        manifest: The training set.
        at_test: What is known of routes when the test window begins.
        family: Of the model.
        params: What the search found.
        seed: Of everything random.
        threads: For fitting.
    """
    trips = read_window(manifest, "train", "validation")
    model = TripDurationModel.fit(family, params, trips, at_test, seed=seed, threads=threads)
    if family == QUANTILES_FAMILY:
        return model.with_own_quantiles(trips, seed=seed, threads=threads)
    return model
