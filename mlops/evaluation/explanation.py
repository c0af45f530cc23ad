"""Looks into a fitted candidate: what its features add, how it learned, where it is wrong.

Exact, and cheap by looking at no more trips than the model's size allows: the whole main job must
not notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.encoding import FEATURES, Matrix
from mlops.datasets.taxi.trips import TARGET
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
from mlops.training.artifact import TripDurationModel
from mlops.training.families import family_of
from mlops.training.tuning import Trial

# TreeSHAP takes time in proportion to trips and nodes: 50 to 170 ns for each pair of them.
_NODES_VISITED: Final = 1_500_000
_MIN_EXPLAINED: Final = 32
MAX_EXPLAINED: Final = 2_000
_MAX_CURVE_TRIPS: Final = 10_000


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
        """Likewise on the training trips."""

    @property
    def curve_rounds(self) -> Sequence[int]:
        """Rounds, from 1; empty if the family is not boosted."""


def gain_insight(
    model: TripDurationModel,
    trips: pd.DataFrame,
    predicted: npt.ArrayLike,
    window: WindowName,
    search: SearchOutcome | None = None,
) -> Insight:
    """Look into a model.

    Args:
        model: Fitted without the trips.
        trips: Request columns and the duration, ``n`` rows.
        predicted: Its predictions for them, shape ``(n,)``, minutes.
        window: Which trips these are.
        search: By which it was found; None for a refit.

    Raises:
        DataQualityError: If there is no trip.
    """
    minutes = np.asarray(predicted, dtype=np.float64)
    return Insight(
        window=window,
        trials=tuple(_point(trial) for trial in search.trials) if search else (),
        curve=_curve(model, trips, search) if search else None,
        contributions=mean_contributions(model, trips, minutes),
        slices=slice_metrics(trips, trips[TARGET], minutes),
    )


def mean_contributions(
    model: TripDurationModel, trips: pd.DataFrame, predicted: FloatArray
) -> Contributions | None:
    """Return what each feature adds to predictions on average, or None for a baseline.

    Args:
        model: The model.
        trips: Request columns, ``n`` rows; some are chosen, evenly spread over the predictions.
        predicted: Predictions for them, shape ``(n,)``, minutes.
    """
    if family_of(model.family).baseline:
        return None

    def rows_for(nodes: int) -> Matrix:
        affordable = int(np.clip(_NODES_VISITED // max(nodes, 1), _MIN_EXPLAINED, MAX_EXPLAINED))
        return model.encoder.encode(trips.iloc[_spread(predicted, affordable)])

    values, base = contributions_of(model, rows_for)
    return summarise_contributions(values, base, FEATURES)


def _spread(predicted: FloatArray, count: int) -> npt.NDArray[np.int64]:
    """Return rows evenly spread over the sorted predictions: all sizes of trips, in proportion."""
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


def _curve(model: TripDurationModel, trips: pd.DataFrame, search: SearchOutcome) -> Curve | None:
    if search.curve_rounds:
        return Curve(
            unit="rounds",
            loss="pinball loss" if _predicts_quantiles(model) else "RMSE",
            steps=tuple(search.curve_rounds),
            validation=tuple(search.learning_curve),
            training=tuple(search.training_curve),
        )
    trees: Any = getattr(model.estimator, "estimators_", None)
    return _forest_curve(model, trees, trips) if trees is not None else None


def _predicts_quantiles(model: TripDurationModel) -> bool:
    return "quantile_alpha" in getattr(model.estimator, "params", {})


def _forest_curve(model: TripDurationModel, trees: Sequence[Any], trips: pd.DataFrame) -> Curve:
    """Average ever more trees; their training trips, mostly learned by heart, would say nothing."""
    step = -(-len(trips) // _MAX_CURVE_TRIPS)
    some = trips.iloc[::step]
    features = model.encoder.encode(some)
    total, errors = np.zeros(len(some)), []
    actual = some[TARGET].to_numpy(dtype=np.float64)
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
