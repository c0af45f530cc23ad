"""From a trained model to what the online server runs; the only one of both that knows training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mlops.datasets.taxi.features.encoding import COLUMN, FEATURES, Matrix
from mlops.datasets.taxi.features.sums import ZONES
from mlops.errors import MlopsError
from mlops.serving.model.bundle import PARITY_MINUTES, Bounds, Head, StoredMargins
from mlops.serving.model.compiled import CompiledModel
from mlops.serving.model.golden import golden_answers
from mlops.serving.model.kernels import (
    Kernel,
    LinearKernel,
    TreeKernel,
    Values,
    tree_contributions,
)
from mlops.serving.model.trees import (
    Tree,
    booster_trees,
    constant_tree,
    forest_trees,
    histogram_trees,
    merged_booster,
)
from mlops.training.artifact import MEDIAN, TripDurationModel
from mlops.training.boosting import BoostedTrees, HistogramTrees
from mlops.training.estimators import GlobalMean
from mlops.training.intervals import QuantileInterval, ResidualInterval

# Compiling takes 0.15 s, and spares each trip 0.3 microseconds on two cores.
_WORTH_COMPILING: Final = 500_000


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
    compiled = CompiledModel(
        head=Head(
            version=version,
            family=model.family,
            as_of=model.encoder.statistics.as_of,
            shortest=model.shortest,
            longest=model.longest,
            bounds=_bounds(model.interval),
            info=dict(info or {}),
            golden=golden_answers(model),
        ),
        encoder=model.encoder,
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


def output_trees(model: TripDurationModel) -> list[list[Tree]]:
    """Return the trees of each output of a model.

    Returns:
        The trees of the prediction, none if it is a linear model; and those of the lower and the
        upper bound if the interval has a model of its own.

    Raises:
        MlopsError: If the family cannot be served.
    """
    outputs = [_center_trees(model)]
    if isinstance(model.interval, QuantileInterval):
        quantiles: Any = model.interval.estimator
        first, *_, last = booster_trees(quantiles.booster)
        outputs += [first, last]
    return outputs


def contributions_of(
    model: TripDurationModel, rows_for: Callable[[int], Matrix]
) -> tuple[Values, float]:
    """Return what each feature adds to predictions, exactly.

    Args:
        model: Of any family but `route_median`.
        rows_for: Given the number of nodes of the model's trees, 0 for a sum, returns the features
            to explain: exact values take time in proportion to both.

    Returns:
        Minutes per feature, ``(n, len(FEATURES))``, and the base: they add up to the prediction
        before it is held to the durations that the model was taught.

    Raises:
        MlopsError: If the family cannot be compiled.
    """
    trees = _center_trees(model)
    features = rows_for(sum(len(tree.left) for tree in trees))
    if not trees:
        return _linear_kernel(model).contributions(features)
    return tree_contributions(merged_booster([trees], len(FEATURES)), features)


def _kernel(model: TripDurationModel) -> Kernel:
    center, *bounds = output_trees(model)
    if center:
        return _tree_kernel([center, *bounds])
    return replace(_linear_kernel(model), bounds=_tree_kernel(bounds) if bounds else None)


def _tree_kernel(outputs: Sequence[Sequence[Tree]]) -> TreeKernel:
    return TreeKernel(merged_booster(outputs, len(FEATURES)))


def _center_trees(model: TripDurationModel) -> list[Tree]:
    estimator: Any = model.estimator
    if isinstance(estimator, BoostedTrees):
        outputs = booster_trees(estimator.booster)
        return outputs[0] if len(outputs) == 1 else outputs[MEDIAN]
    if isinstance(estimator, HistogramTrees):
        return histogram_trees(estimator.model)
    if isinstance(estimator, GlobalMean):
        return [constant_tree(estimator.mean_)]
    if hasattr(estimator, "estimators_"):
        return forest_trees(estimator)
    if hasattr(estimator, "named_steps"):
        return []
    raise MlopsError(
        f"{model.family}: models of this family cannot be served online",
        "deploy a version of another family",
    )


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
        return Bounds(
            kind="quantiles",
            margin=float(interval.margin),
            tables=tuple(
                StoredMargins(
                    column=table.column,
                    edges=tuple(table.edges[:-1].tolist()),
                    margins=tuple(table.margins.tolist()),
                )
                for table in interval.tables
            ),
        )
    if isinstance(interval, ResidualInterval):
        return Bounds(
            kind="residuals",
            edges=tuple(interval.edges.tolist()),
            below=tuple(interval.below.tolist()),
            above=tuple(interval.above.tolist()),
        )
    return Bounds()
