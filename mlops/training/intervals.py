"""Prediction intervals that are honest whatever the model: conformal calibration.

Calibrated on predictions of rows that the predicting fit never saw; there, by construction, the
nominal share lies inside. The nominal coverage is that between the outer `QUANTILES`, 80 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from mlops.datasets.dataset import FeatureLayout, Matrix, Stratum, Target
from mlops.training.estimators import Estimator

NOMINAL_COVERAGE: Final = 0.8
_BINS: Final = 10
_MIN_PER_BIN: Final = 50
# A group's margin counts in full only far beyond so many rows: with fewer, what it lacked last
# month says little of the next. Of 500 to 4,000, the best on four pairs of months.
_MARGIN_PRIOR_ROWS: Final = 4_000
_NUMBER_SHARES: Final = (0.2, 0.4, 0.6, 0.8, 0.95)  # of rows below; the long tail apart
_FOLDS: Final = 3  # each fit learns from two thirds: its quantiles are those of the model, nearly


class IntervalModel(Protocol):
    """Something that puts bounds around predictions."""

    def bounds(self, features: Matrix, center: Target) -> tuple[Target, Target]:
        """Return lower and upper bounds, each ``(n,)``, for predictions ``center``."""


@dataclass(frozen=True)
class ResidualInterval:
    """Errors seen around predictions of the same size: split conformal prediction, binned.

    Lei et al., "Distribution-free predictive inference for regression", JASA 2018; binning by the
    prediction (Mondrian conformal) lets large answers be less certain than small ones.
    """

    edges: npt.NDArray[np.float64]  # between bins of predictions, (bins - 1,)
    below: npt.NDArray[np.float64]  # lower bound - prediction, per bin
    above: npt.NDArray[np.float64]

    @classmethod
    def calibrate(cls, center: Target, actual: Target) -> ResidualInterval:
        """Learn from predictions of unseen rows and their answers."""
        bins = int(np.clip(len(center) // _MIN_PER_BIN, 1, _BINS))
        edges = np.quantile(center, np.arange(1, bins) / bins)
        members = np.searchsorted(edges, center, side="right")
        tail = (1 - NOMINAL_COVERAGE) / 2
        errors = [(actual - center)[members == index] for index in range(bins)]
        below = [-_conformal_quantile(-e, 1 - tail) if len(e) else 0.0 for e in errors]
        above = [_conformal_quantile(e, 1 - tail) if len(e) else 0.0 for e in errors]
        return cls(edges, np.array(below), np.array(above))

    def bounds(self, features: Matrix, center: Target) -> tuple[Target, Target]:
        """Return lower and upper bounds, each ``(n,)``."""
        members = np.searchsorted(self.edges, center, side="right")
        return center + self.below[members], center + self.above[members]


@dataclass(frozen=True)
class MarginTable:
    """What is added to the margin by the value of one feature."""

    column: int  # of the features
    edges: npt.NDArray[np.float64]  # ascending, the last infinite: missing values lie beyond it
    margins: npt.NDArray[np.float64]  # one per interval between edges, ``(edges + 1,)``

    @classmethod
    def calibrate(
        cls,
        column: int,
        edges: npt.NDArray[np.float64],
        groups: npt.NDArray[np.int64],
        features: Matrix,
        outside: npt.NDArray[np.float64],
    ) -> MarginTable:
        """Learn what each group lacks of the nominal coverage, drawn to zero where it is small.

        Args:
            column: Of the features.
            edges: Of the intervals of its values.
            groups: Which intervals share their margin, ``(edges + 1,)``.
            features: Of the calibrating rows, ``(n, features)``.
            outside: How far each lies outside of its interval so far, negative inside, ``(n,)``.
        """
        table = cls(column, edges, np.zeros(len(edges) + 1))
        group = groups[table._members(features)]
        for number in np.unique(group):
            lacking = outside[group == number]
            weight = len(lacking) / (len(lacking) + _MARGIN_PRIOR_ROWS)
            table.margins[groups == number] = weight * _conformal_quantile(
                lacking, NOMINAL_COVERAGE
            )
        return table

    def margins_of(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Return what to add for each row, ``(n,)``."""
        return self.margins[self._members(features)]

    def _members(self, features: Matrix) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.edges, features[:, self.column], side="right")


@dataclass(frozen=True)
class QuantileInterval:
    """Conformalised quantile regression: Romano, Patterson and Candès, NeurIPS 2019.

    One margin for all rows keeps the promise on average; small groups pay for the large ones. So
    each group of a stratum adds a margin of its own, as far as its rows are evidence.
    """

    estimator: Estimator  # predicts (n, quantiles), the outer two are the bounds
    margin: float  # by which calibration widens (or, if negative, narrows) both sides
    tables: tuple[MarginTable, ...] = ()

    @classmethod
    def calibrate(
        cls,
        estimator: Estimator,
        features: Matrix,
        quantiles: Any,
        actual: Target,
        layout: FeatureLayout,
    ) -> QuantileInterval:
        """Learn the margins.

        Args:
            estimator: Bounds future rows; may be fitted on more than its calibrated twins.
            features: Of the calibrating rows, ``(n, features)``.
            quantiles: What twins predicted for rows they never saw, ``(n, quantiles)``.
            actual: Their answers.
            layout: Of the features; names those by which rows differ.
        """
        outside = np.maximum(quantiles[:, 0] - actual, actual - quantiles[:, -1])
        margin = _conformal_quantile(outside, NOMINAL_COVERAGE)
        left, tables = outside - margin, []
        for stratum in layout.strata:
            column = layout.column[stratum.feature]
            edges, groups = _intervals(stratum, features[:, column])
            table = MarginTable.calibrate(column, edges, groups, features, left)
            left = left - table.margins_of(features)
            tables.append(table)
        return cls(estimator, margin, tuple(tables))

    def bounds(self, features: Matrix, center: Target) -> tuple[Target, Target]:
        """Return lower and upper bounds, each ``(n,)``."""
        quantiles = self.estimator.predict(features)
        margin = self.margin + sum(table.margins_of(features) for table in self.tables)
        return quantiles[:, 0] - margin, quantiles[:, -1] + margin


def _intervals(
    stratum: Stratum, values: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the edges between the values of a stratum, and the group of each interval."""
    if stratum.groups:
        *codes, unknown = stratum.groups
        edges = np.append(np.arange(len(codes)), np.inf).astype(np.float64)
        return edges, np.array([unknown, *codes, unknown])
    given = values[~np.isnan(values)].astype(np.float64)
    inner = np.unique(np.quantile(given, _NUMBER_SHARES)) if len(given) else np.empty(0)
    return np.append(inner, np.inf), np.arange(len(inner) + 2)


def folds_of(events: npt.NDArray[np.datetime64], rows: int) -> npt.NDArray[np.int64]:
    """Divide rows into folds for `out_of_fold`, ``(n,)``: whole days, every third in one fold.

    Rows of a day share what was special about it, so that a fit that knew some of them would know
    too much of the others. Rows of fewer days than there are folds, or without a time, are dealt
    one by one.
    """
    days, day = np.unique(events.astype("datetime64[D]"), return_inverse=True)
    return (day if len(days) >= _FOLDS else np.arange(rows)) % _FOLDS


def out_of_fold(
    build: Callable[[], Estimator],
    features: Matrix,
    target: Target,
    folds: npt.NDArray[np.int64],
) -> npt.NDArray[Any]:
    """Predict each row by an estimator fitted on the other folds (cross-conformal prediction).

    Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 2015.

    Args:
        build: Makes an estimator that is not fitted yet.
        features: Shape ``(n, features)``.
        target: Shape ``(n,)``.
        folds: Of each row, ``(n,)``.

    Returns:
        Predictions in the order of the rows, ``(n,)`` or ``(n, quantiles)``.
    """
    predictions: npt.NDArray[Any] = np.empty(0)
    for fold in np.unique(folds):
        held_out = folds == fold
        estimator = build()
        estimator.fit(features[~held_out], target[~held_out])
        predicted = estimator.predict(features[held_out])
        if not len(predictions):
            predictions = np.empty((len(features), *predicted.shape[1:]), predicted.dtype)
        predictions[held_out] = predicted
    return predictions


def _conformal_quantile(scores: npt.NDArray[np.float64], coverage: float) -> float:
    """Return the smallest score that covers a new one with the given probability.

    Its rank is one more than a plain quantile's would be, because the new score counts too.
    """
    rank = int(np.ceil((len(scores) + 1) * coverage))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])
