"""From a trained model to what the online server runs; the only one of both that knows training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.data.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    TRIP_TYPE,
    UNKNOWN_ZONES,
)
from mlops.errors import MlopsError
from mlops.features.encoding import COLUMN, FEATURES
from mlops.features.sums import ZONES
from mlops.serving.bundle import Bounds, Golden, Head
from mlops.serving.compiled import PARITY_MINUTES, CompiledModel
from mlops.serving.kernels import Kernel, LinearKernel, TreeKernel, Values
from mlops.serving.trees import (
    Tree,
    booster_trees,
    constant_tree,
    forest_trees,
    histogram_trees,
    merged_booster,
)
from mlops.training.artifact import OUTPUTS, TripDurationModel, middle
from mlops.training.boosting import BoostedTrees, HistogramTrees
from mlops.training.estimators import GlobalMean
from mlops.training.intervals import QuantileInterval, ResidualInterval

# Compiling takes 0.15 s, and spares each trip 0.3 microseconds on two cores.
_WORTH_COMPILING: Final = 500_000
_GOLDEN_ROWS: Final = 48
_GOLDEN_SEED: Final = 20_240_119


def compile_model(
    model: TripDurationModel, version: int, info: Mapping[str, str] | None = None
) -> CompiledModel:
    """Compile a trained model, and prove that it answers the same.

    Args:
        model: Of any family but `route_median`.
        version: The registered version.
        info: What else the bundle should tell of the model.

    Raises:
        MlopsError: If the family cannot be served, or if answers to golden requests differ by more
            than `PARITY_MINUTES`.
    """
    statistics = model.encoder.statistics
    compiled = CompiledModel(
        head=Head(
            version=version,
            family=model.family,
            as_of=statistics.as_of,
            shortest=model.shortest,
            longest=model.longest,
            bounds=_bounds(model.interval),
            info=dict(info or {}),
            golden=_golden(model),
        ),
        statistics=statistics,
        kernel=_kernel(model),
    )
    difference = compiled.parity()
    if difference > PARITY_MINUTES:
        raise MlopsError(
            f"version {version} ({model.family}): compiled, it answers golden requests"
            f" {difference:.2g} minutes off; at most {PARITY_MINUTES:g} are allowed",
            "this is a fault of the compilation: deploy another version and report it",
        )
    return compiled


def fastest_model(
    model: TripDurationModel, version: int, trips: int
) -> TripDurationModel | CompiledModel:
    """Return what predicts a number of trips soonest, with the same answers.

    One booster for centre and bounds beats one each, if there are enough trips to make up for the
    compilation. Forests stay with scikit-learn: it walks one big tree at a time, which then lies in
    a core's cache for all rows of a block.

    Raises:
        MlopsError: As `compile_model`.
    """
    boosted = isinstance(model.estimator, BoostedTrees | HistogramTrees)
    return compile_model(model, version) if boosted and trips >= _WORTH_COMPILING else model


def _kernel(model: TripDurationModel) -> Kernel:
    bounds: list[list[Tree]] = []
    if isinstance(model.interval, QuantileInterval):
        quantiles = booster_trees(_booster(model.interval.estimator))
        bounds = [quantiles[0], quantiles[-1]]
    center = _center_trees(model)
    if center is None:
        bound_kernel = _tree_kernel(bounds) if bounds else None
        return replace(_linear_kernel(model), bounds=bound_kernel)
    return _tree_kernel([center, *bounds])


def _tree_kernel(outputs: Sequence[Sequence[Tree]]) -> TreeKernel:
    return TreeKernel(merged_booster(outputs, len(FEATURES)))


def _center_trees(model: TripDurationModel) -> list[Tree] | None:
    """Return the trees whose sum is the prediction; None for a linear model.

    Raises:
        MlopsError: If the family cannot be served.
    """
    estimator: Any = model.estimator
    if isinstance(estimator, BoostedTrees):
        outputs = booster_trees(_booster(estimator))
        return outputs[0] if len(outputs) == 1 else outputs[_middle_of(len(outputs))]
    if isinstance(estimator, HistogramTrees):
        return histogram_trees(estimator._model)
    if isinstance(estimator, GlobalMean):
        return [constant_tree(estimator.mean_)]
    if hasattr(estimator, "estimators_"):
        return forest_trees(estimator)
    if hasattr(estimator, "named_steps"):
        return None
    raise MlopsError(
        f"{model.family}: models of this family cannot be served online",
        "deploy a version of another family",
    )


def _booster(estimator: Any) -> Any:
    return estimator._booster


def _middle_of(outputs: int) -> int:
    return int(middle(np.arange(outputs)[None])[0])


def _linear_kernel(model: TripDurationModel) -> LinearKernel:
    from mlops.training.linear import INDICATOR_OFFSETS, NUMBERS

    (_, encoding), (_, linear) = model.estimator.steps  # type: ignore[attr-defined]
    pickup, dropoff, hour, numbers = np.split(
        np.ravel(linear.coef_).astype(np.float64), INDICATOR_OFFSETS[1:]
    )
    known = model.encoder.statistics.routes.reshape(ZONES, ZONES, -1).astype(np.float64)
    return LinearKernel(
        intercept=np.ravel(linear.intercept_).astype(np.float64),
        pickup=pickup,
        dropoff=dropoff,
        hour=hour.reshape(7, 24),
        numbers=np.array(NUMBERS),
        low=encoding.low_,
        high=encoding.high_,
        mean=encoding.mean_,
        slope=numbers / encoding.spread_,
        pickup_share=_shares(known[:, 0, COLUMN["pickup_trips"]]),
        dropoff_share=_shares(known[0, :, COLUMN["dropoff_trips"]]),
    )


def _shares(trips: Values) -> Values:
    total = float(trips.sum())
    return trips / total if total > 0 else np.full(len(trips), 1 / len(trips))


def _bounds(interval: Any) -> Bounds:
    if isinstance(interval, QuantileInterval):
        return Bounds(kind="quantiles", margin=float(interval.margin))
    if isinstance(interval, ResidualInterval):
        return Bounds(
            kind="residuals",
            edges=tuple(interval.edges.tolist()),
            below=tuple(interval.below.tolist()),
            above=tuple(interval.above.tolist()),
        )
    return Bounds()


def _golden(model: TripDurationModel) -> Golden:
    requests = golden_requests(model.encoder.statistics.as_of)
    answers = model.predict(requests)[list(OUTPUTS)].to_numpy()
    certain = _away_from_edges(answers[:, 0], model.interval)
    requests, answers = requests[certain], answers[certain]
    return Golden(
        requests={
            name: tuple(
                at.isoformat() if name == PICKUP_AT else _json_number(at)
                for at in requests[name].tolist()
            )
            for name in requests
        },
        answers=tuple(tuple(_json_number(value) for value in row) for row in answers.tolist()),
    )


def _away_from_edges(center: Values, interval: Any) -> npt.NDArray[np.bool_]:
    """Tell which answers have the same bounds when the prediction changes in its last digits.

    Errors seen around predictions jump from bin to bin.
    """
    if not isinstance(interval, ResidualInterval):
        return np.ones(len(center), bool)
    return np.asarray((np.abs(center[:, None] - interval.edges) > PARITY_MINUTES).all(axis=1))


def golden_requests(as_of: datetime) -> pd.DataFrame:
    """Make the requests that prove a bundle: always the same for the same day.

    All kinds of zones, distances and missing values, at times of the year after that day.

    Returns:
        The columns that `CompiledModel.predict_one` takes, in its order.
    """
    random = np.random.default_rng(_GOLDEN_SEED)
    rows = _GOLDEN_ROWS

    def some(values: Any, share_missing: float) -> Values:
        return np.where(random.random(rows) < share_missing, np.nan, values)

    minutes = random.integers(0, 365 * 24 * 60, rows)
    zones = random.integers(1, ZONES, (2, rows)).astype(np.int32)
    zones[:, 0] = max(UNKNOWN_ZONES)
    zones[1, 1:4] = zones[0, 1:4]
    miles = np.round(random.lognormal(0.8, 0.9, rows), 2)
    miles[:4] = (0.0, 0.03, 99.9, 150.0)
    return pd.DataFrame(
        {
            PICKUP_AT: [as_of + timedelta(minutes=int(m)) for m in minutes],
            PICKUP_ZONE: zones[0],
            DROPOFF_ZONE: zones[1],
            DISTANCE: some(miles, 0.2),
            PASSENGERS: some(random.integers(0, 7, rows), 0.2),
            RATE_CODE: some(random.choice([1, 2, 5], rows), 0.2),
            TRIP_TYPE: some(random.choice([1, 2], rows), 0.2),
        }
    )


def _json_number(value: float) -> float | None:
    return None if np.isnan(value) else value
