"""From a trained model to what the online server runs; the only one of both that knows training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mlops.datasets.dataset import Matrix
from mlops.errors import MlopsError
from mlops.serving.model.any_estimator import EstimatorKernel
from mlops.serving.model.bundle import Bounds, Head, StoredMargins
from mlops.serving.model.compiled import CompiledModel
from mlops.serving.model.encoders import served
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
from mlops.training.artifact import MEDIAN, TabularModel
from mlops.training.boosting import BoostedTrees, HistogramTrees
from mlops.training.estimators import GlobalMean, GroupMedian
from mlops.training.intervals import QuantileInterval, ResidualInterval
from mlops.training.trend import LinearTrend, TrendAndTrees

# Compiling takes 0.15 s, and spares each row 0.3 microseconds on two cores.
_WORTH_COMPILING: Final = 500_000
# What stands for the cost of explaining a model whose inside is not known: few rows.
_MANY_NODES: Final = 1 << 40


def compile_model(
    model: TabularModel, version: int, info: Mapping[str, str] | None = None
) -> CompiledModel:
    """Compile a trained model, and prove that it answers the same.

    Args:
        model: Of any family but `group_median`.
        version: The registered version.
        info: What else the bundle should tell of the model.

    Raises:
        MlopsError: If the family cannot be served, or if answers to golden requests differ by more
            than `mlops.serving.model.bundle.tolerance`.
    """
    encoder = served(model.encoder)
    compiled = CompiledModel(
        head=Head(
            version=version,
            family=model.family,
            as_of=encoder.as_of,
            shortest=model.shortest,
            longest=model.longest,
            bounds=_bounds(model.interval),
            features=encoder.layout.names,
            info=dict(info or {}),
            golden=golden_answers(model, encoder),
        ),
        encoder=encoder,
        kernel=_kernel(model),
    )
    difference, allowed = compiled.parity(), compiled.head.tolerance
    if difference > allowed:
        raise MlopsError(
            f"version {version} ({model.family}): compiled, its answers to golden requests are off"
            f" by up to {difference:.2g}; at most {allowed:g} is allowed",
            "this is a fault of the compilation: deploy another version and report it",
        )
    return compiled


def fastest_model(model: TabularModel, version: int, rows: int) -> TabularModel | CompiledModel:
    """Return what predicts a number of rows soonest, with the same answers.

    One booster for centre and bounds beats one each, if there are enough rows to make up for the
    compilation. Forests stay with scikit-learn: it walks one big tree at a time, which then lies in
    a core's cache for all rows of a block.

    Raises:
        MlopsError: As `compile_model`.
    """
    boosted = isinstance(model.estimator, BoostedTrees | HistogramTrees)
    return compile_model(model, version) if boosted and rows >= _WORTH_COMPILING else model


def output_trees(model: TabularModel) -> list[list[Tree]]:
    """Return the trees of each output of a model.

    Returns:
        The trees of the prediction, none if it is a linear model, of its residuals if it has a
        trend; and those of the lower and the upper bound if the interval has a model of its own.

    Raises:
        MlopsError: If the family cannot be served.
    """
    return [_center_trees(model), *_bound_trees(model)]


def contributions_of(
    model: TabularModel, rows_for: Callable[[int], Matrix]
) -> tuple[Values, float]:
    """Return what each feature adds to predictions, exactly.

    Args:
        model: Of any family but `group_median`.
        rows_for: Given the number of nodes of the model's trees, 0 for a sum, returns the features
            to explain: exact values take time in proportion to both.

    Returns:
        Per feature, ``(n, features)``, and the base: they add up to the prediction
        before it is held to the range that the model was taught.

    Raises:
        MlopsError: If the family cannot be compiled.
    """
    if _is_of_another_library(model.estimator):
        return EstimatorKernel(model.estimator, None).contributions(rows_for(_MANY_NODES))
    trees = _center_trees(model)
    features = rows_for(sum(len(tree.left) for tree in trees))
    linear = _linear_kernel(model, [trees] if trees else [])
    if linear is not None:
        return linear.contributions(features)
    return tree_contributions(merged_booster([trees], len(model.features)), features)


def _kernel(model: TabularModel) -> Kernel:
    if _is_of_another_library(model.estimator):
        bounds = _bound_trees(model)
        return EstimatorKernel(model.estimator, _tree_kernel(bounds, model) if bounds else None)
    outputs = [trees for trees in output_trees(model) if trees]
    return _linear_kernel(model, outputs) or _tree_kernel(outputs, model)


def _tree_kernel(outputs: Sequence[Sequence[Tree]], model: TabularModel) -> TreeKernel:
    return TreeKernel(merged_booster(outputs, len(model.features)))


def _is_of_another_library(estimator: Any) -> bool:
    """Tell whether nothing here knows the inside of an estimator: an extension brought it."""
    own = BoostedTrees | HistogramTrees | TrendAndTrees | GlobalMean | GroupMedian
    return not (isinstance(estimator, own) or _is_forest(estimator) or _is_linear(estimator))


def _is_forest(estimator: Any) -> bool:
    return type(estimator).__name__ in ("RandomForestRegressor", "ExtraTreesRegressor")


def _is_linear(estimator: Any) -> bool:
    first = next(iter(getattr(estimator, "named_steps", {}).values()), None)
    return type(first).__name__ == "LinearEncoding"


def _bound_trees(model: TabularModel) -> list[list[Tree]]:
    if not isinstance(model.interval, QuantileInterval):
        return []
    quantiles: Any = model.interval.estimator
    first, *_, last = booster_trees(quantiles.booster)
    return [first, last]


def _center_trees(model: TabularModel) -> list[Tree]:
    estimator: Any = model.estimator
    if isinstance(estimator, BoostedTrees):
        outputs = booster_trees(estimator.booster)
        return outputs[0] if len(outputs) == 1 else outputs[MEDIAN]
    if isinstance(estimator, HistogramTrees):
        return histogram_trees(estimator.model)
    if isinstance(estimator, TrendAndTrees):
        return booster_trees(estimator.trees.booster)[0]
    if isinstance(estimator, GlobalMean):
        return [constant_tree(estimator.mean_)]
    if _is_forest(estimator):
        return forest_trees(estimator)
    if _is_linear(estimator):
        return []
    raise MlopsError(
        f"{model.family}: models of this family cannot be served online",
        "deploy a version of another family",
    )


def _linear_kernel(model: TabularModel, outputs: Sequence[Sequence[Tree]]) -> LinearKernel | None:
    """Return the linear part of a model with the trees beside it; None if it has no such part."""
    estimator: Any = model.estimator
    trees = _tree_kernel(outputs, model) if outputs else None
    if isinstance(estimator, TrendAndTrees):
        return _trend_kernel(estimator.trend, trees)
    if not _is_linear(estimator):
        return None
    from mlops.training.linear import DAYS, HOURS

    (_, encoding), (_, linear) = estimator.steps
    layout, sizes = encoding.layout, [*encoding.sizes.values()]
    codes = len(layout.codes)
    slopes, hour, numbers = np.split(
        np.ravel(linear.coef_).astype(np.float64), [sum(sizes[:codes]), sum(sizes)]
    )
    return LinearKernel(
        intercept=np.ravel(linear.intercept_).astype(np.float64),
        codes=np.array([layout.column[name] for name in layout.codes], dtype=np.int64),
        sizes=np.array(sizes[:codes], dtype=np.int64),
        slopes=slopes,
        shares=np.concatenate([[], *encoding.shares_[:codes]]),
        clock=np.array([layout.column[name] for name in layout.clock or ()], dtype=np.int64),
        hour=hour.reshape(DAYS, HOURS) if layout.clock else hour,
        numbers=np.array(encoding.numbers, dtype=np.int64),
        low=encoding.low_,
        high=encoding.high_,
        mean=encoding.mean_,
        slope=numbers / encoding.spread_,
        residual=np.array([False]),
        trees=trees,
    )


def _trend_kernel(trend: LinearTrend, trees: TreeKernel | None) -> LinearKernel:
    chosen, nothing = np.array(trend.chosen_, dtype=np.int64), np.empty(0)
    unlimited = np.full(len(chosen), np.inf)
    return LinearKernel(
        intercept=np.array([trend.shift_ + trend.level_]),
        codes=np.empty(0, dtype=np.int64),
        sizes=np.empty(0, dtype=np.int64),
        slopes=nothing,
        shares=nothing,
        clock=np.empty(0, dtype=np.int64),
        hour=nothing,
        numbers=chosen,
        low=-unlimited,
        high=unlimited,
        mean=trend.means_[chosen],
        slope=trend.slopes_ / trend.spreads_[chosen],
        residual=np.array([True]),
        trees=trees,
    )


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
