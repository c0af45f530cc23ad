"""The fits behind a registered version: the same for those that make it and those that check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops.data.references import TrainingSetManifest
from mlops.data.snapshots import read_window
from mlops.features.routes import RouteStatistics
from mlops.training.artifact import TripDurationModel


def refit(
    manifest: TrainingSetManifest,
    at_test: RouteStatistics,
    family: str,
    params: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> TripDurationModel:
    """Fit on train and validation: the model that will serve, still without an interval.

    Args:
        manifest: The training set.
        at_test: What is known of routes when the test window begins.
        family: Of the model.
        params: What the search found.
        seed: Of everything random.
        threads: For fitting.
    """
    trips = read_window(manifest, "train", "validation")
    return TripDurationModel.fit(family, params, trips, at_test, seed=seed, threads=threads)


def fit_twin(
    manifest: TrainingSetManifest,
    at_validation: RouteStatistics,
    family: str,
    params: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> TripDurationModel:
    """Fit on train alone, as a search does with the parameters it found."""
    trips = read_window(manifest, "train")
    return TripDurationModel.fit(family, params, trips, at_validation, seed=seed, threads=threads)


def calibrated(
    model: TripDurationModel,
    twin: TripDurationModel,
    quantiles: TripDurationModel | None,
    manifest: TrainingSetManifest,
) -> TripDurationModel:
    """Give a model its prediction interval, calibrated on trips its twin never saw.

    Args:
        model: Fitted on train and validation.
        twin: Fitted on train alone: of the quantiles, or of the model itself if there are none.
            Its errors on validation are honest.
        quantiles: The family of quantiles, fitted on train and validation; None: the interval is
            made of the twin's errors.
        manifest: The training set.
    """
    validation = read_window(manifest, "validation")
    if quantiles is None:
        return model.with_residual_interval(twin, validation)
    return model.with_quantile_interval(quantiles, twin, validation)
