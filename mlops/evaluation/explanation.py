"""Looks into a fitted candidate: what its features add, how it learned, where it is wrong.

Exact, and cheap by looking at no more rows than the model's size allows: the whole main job must
not notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.dataset import Dataset, Matrix
from mlops.evaluation.insight import (
    Contributions,
    Curve,
    Insight,
    TrialPoint,
    WindowName,
    summarise_contributions,
)
from mlops.evaluation.metrics import FloatArray
from mlops.evaluation.slices import slice_metrics
from mlops.serving.model.compilation import contributions_of
from mlops.training.artifact import TabularModel
from mlops.training.families import family_of
from mlops.training.tuning import Trial

# TreeSHAP takes time in proportion to rows and nodes: 50 to 170 ns for each pair of them.
_NODES_VISITED: Final = 1_500_000
_MIN_EXPLAINED: Final = 32
MAX_EXPLAINED: Final = 2_000
_MAX_CURVE_ROWS: Final = 10_000


class SearchOutcome(Protocol):
    """The part of `mlops.training.tuning.SearchResult` that an explanation needs."""

    @property
    def trials(self) -> Sequence[Trial]:
        """In order."""

    @property
    def learning_curve(self) -> Sequence[float]:
        """Loss on validation after each of ``curve_rounds``."""

    @property
    def training_curve(self) -> Sequence[float]:
        """Likewise on the training rows."""

    @property
    def curve_rounds(self) -> Sequence[int]:
        """Rounds, from 1; empty if the family is not boosted."""


def gain_insight(
    model: TabularModel,
    rows: pd.DataFrame,
    dataset: Dataset,
    predicted: npt.ArrayLike,
    window: WindowName,
    search: SearchOutcome | None = None,
) -> Insight:
    """Look into a model.

    Args:
        model: Fitted without the rows.
        rows: With their answers, ``n`` of them.
        dataset: That they belong to.
        predicted: Its predictions for them, shape ``(n,)``.
        window: Which rows these are.
        search: By which it was found; None for a refit.

    Raises:
        DataQualityError: If there is no row.
    """
    answers = np.asarray(predicted, dtype=np.float64)
    return Insight(
        window=window,
        trials=tuple(_point(trial) for trial in search.trials) if search else (),
        curve=_curve(model, rows, search) if search else None,
        contributions=mean_contributions(model, rows, answers),
        slices=slice_metrics(dataset.slices(rows), rows[dataset.target], answers),
    )


def mean_contributions(
    model: TabularModel, rows: pd.DataFrame, predicted: FloatArray
) -> Contributions | None:
    """Return what each feature adds to predictions on average, or None for a baseline.

    Args:
        model: The model.
        rows: ``n`` of them; some are chosen, evenly spread over the predictions.
        predicted: Predictions for them, shape ``(n,)``.
    """
    if family_of(model.family).baseline:
        return None

    def rows_for(nodes: int) -> Matrix:
        affordable = int(np.clip(_NODES_VISITED // max(nodes, 1), _MIN_EXPLAINED, MAX_EXPLAINED))
        return model.encoder.encode(rows.iloc[_spread(predicted, affordable)])

    values, base = contributions_of(model, rows_for)
    return summarise_contributions(values, base, model.features)


def _spread(predicted: FloatArray, count: int) -> npt.NDArray[np.int64]:
    """Return rows evenly spread over the sorted predictions: all sizes, in proportion."""
    order = np.argsort(predicted, kind="stable")
    count = min(count, len(order))
    # The middles of as many equal parts.
    return order[((np.arange(count) + 0.5) * len(order) / count).astype(np.int64)]


def _point(trial: Trial) -> TrialPoint:
    return TrialPoint(
        number=trial.number,
        seconds=trial.seconds,
        rmse=trial.rmse,
        loss=trial.loss,
        params=dict(trial.params),
    )


def _curve(model: TabularModel, rows: pd.DataFrame, search: SearchOutcome) -> Curve | None:
    if search.curve_rounds:
        return Curve(
            unit="rounds",
            loss="pinball loss" if _predicts_quantiles(model) else "RMSE",
            steps=tuple(search.curve_rounds),
            validation=tuple(search.learning_curve),
            training=tuple(search.training_curve),
        )
    trees: Any = getattr(model.estimator, "estimators_", None)
    return _forest_curve(model, trees, rows) if trees is not None else None


def _predicts_quantiles(model: TabularModel) -> bool:
    return "quantile_alpha" in getattr(model.estimator, "params", {})


def _forest_curve(model: TabularModel, trees: Sequence[Any], rows: pd.DataFrame) -> Curve:
    """Average ever more trees; their training rows, mostly learned by heart, would say nothing."""
    step = -(-len(rows) // _MAX_CURVE_ROWS)
    some = rows.iloc[::step]
    features = model.encoder.encode(some)
    total, errors = np.zeros(len(some)), []
    actual = some[model.target].to_numpy(dtype=np.float64)
    for count, tree in enumerate(trees, start=1):
        total += tree.tree_.predict(features).ravel()
        mean = np.clip(total / count, model.shortest, model.longest)
        errors.append(float(np.sqrt(np.mean((mean - actual) ** 2))))
    return Curve(
        unit="trees",
        loss="RMSE",
        steps=tuple(range(1, len(errors) + 1)),
        validation=tuple(errors),
        training=(),
    )
