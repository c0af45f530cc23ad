"""Prediction intervals that are honest whatever the model: conformal calibration.

Calibrated on predictions of trips that the predicting fit never saw; there, by construction, the
nominal share lies inside. The nominal coverage is that between the outer `QUANTILES`, 80 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.encoding import COLUMN, Matrix
from mlops.datasets.taxi.trips import NUMBER_OF_ZONES
from mlops.datasets.taxi.zones import borough_of
from mlops.training.estimators import Estimator, Minutes

NOMINAL_COVERAGE: Final = 0.8
_BINS: Final = 10
_MIN_PER_BIN: Final = 50
# A borough's or a distance's margin counts in full only far beyond so many trips: with fewer, what
# it lacked last month says little of the next. Of 500 to 4,000, the best on four pairs of months.
_MARGIN_PRIOR_TRIPS: Final = 4_000
_DISTANCE_SHARES: Final = (0.2, 0.4, 0.6, 0.8, 0.95)  # of trips below; the long tail apart
_FOLDS: Final = 3  # each fit learns from two thirds: its quantiles are those of the model, nearly


class IntervalModel(Protocol):
    """Something that puts bounds around predictions."""

    def bounds(self, features: Matrix, center: Minutes) -> tuple[Minutes, Minutes]:
        """Return lower and upper minutes, each ``(n,)``, for predictions ``center``."""


@dataclass(frozen=True)
class ResidualInterval:
    """Errors seen around predictions of the same size: split conformal prediction, binned.

    Lei et al., "Distribution-free predictive inference for regression", JASA 2018; binning by the
    prediction (Mondrian conformal) lets long trips be less certain than short ones.
    """

    edges: npt.NDArray[np.float64]  # between bins of predicted minutes, (bins - 1,)
    below: npt.NDArray[np.float64]  # lower bound - prediction, per bin
    above: npt.NDArray[np.float64]

    @classmethod
    def calibrate(cls, center: Minutes, actual: Minutes) -> ResidualInterval:
        """Learn from predictions of unseen trips and the minutes these took."""
        bins = int(np.clip(len(center) // _MIN_PER_BIN, 1, _BINS))
        edges = np.quantile(center, np.arange(1, bins) / bins)
        members = np.searchsorted(edges, center, side="right")
        tail = (1 - NOMINAL_COVERAGE) / 2
        errors = [(actual - center)[members == index] for index in range(bins)]
        below = [-_conformal_quantile(-e, 1 - tail) if len(e) else 0.0 for e in errors]
        above = [_conformal_quantile(e, 1 - tail) if len(e) else 0.0 for e in errors]
        return cls(edges, np.array(below), np.array(above))

    def bounds(self, features: Matrix, center: Minutes) -> tuple[Minutes, Minutes]:
        """Return lower and upper minutes, each ``(n,)``."""
        members = np.searchsorted(self.edges, center, side="right")
        return center + self.below[members], center + self.above[members]


@dataclass(frozen=True)
class MarginTable:
    """Minutes added to the margin by the value of one feature."""

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
            features: Of the calibrating trips, ``(n, features)``.
            outside: Minutes outside of their interval so far, negative inside, ``(n,)``.
        """
        table = cls(column, edges, np.zeros(len(edges) + 1))
        group = groups[table._members(features)]
        for number in np.unique(group):
            lacking = outside[group == number]
            weight = len(lacking) / (len(lacking) + _MARGIN_PRIOR_TRIPS)
            table.margins[groups == number] = weight * _conformal_quantile(
                lacking, NOMINAL_COVERAGE
            )
        return table

    def margins_of(self, features: Matrix) -> npt.NDArray[np.float64]:
        """Return the minutes to add for each row, ``(n,)``."""
        return self.margins[self._members(features)]

    def _members(self, features: Matrix) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.edges, features[:, self.column], side="right")


@dataclass(frozen=True)
class QuantileInterval:
    """Conformalised quantile regression: Romano, Patterson and Candès, NeurIPS 2019.

    One margin for all trips keeps the promise on average; small parts of the city pay for the large
    ones. So each borough and each range of distances adds a margin of its own, as far as its trips
    are evidence.
    """

    estimator: Estimator  # predicts (n, quantiles), the outer two are the bounds
    margin: float  # minutes by which calibration widens (or, if negative, narrows) both sides
    tables: tuple[MarginTable, ...] = ()

    @classmethod
    def calibrate(
        cls, estimator: Estimator, features: Matrix, quantiles: Any, actual: Minutes
    ) -> QuantileInterval:
        """Learn the margins.

        Args:
            estimator: Bounds future trips; may be fitted on more than its calibrated twins.
            features: Of the calibrating trips, ``(n, features)``.
            quantiles: What twins predicted for trips they never saw, ``(n, quantiles)``.
            actual: The minutes these took.
        """
        outside = np.maximum(quantiles[:, 0] - actual, actual - quantiles[:, -1])
        margin = _conformal_quantile(outside, NOMINAL_COVERAGE)
        left, tables = outside - margin, []
        for column, edges, groups in _groupings(features):
            table = MarginTable.calibrate(column, edges, groups, features, left)
            left = left - table.margins_of(features)
            tables.append(table)
        return cls(estimator, margin, tuple(tables))

    def bounds(self, features: Matrix, center: Minutes) -> tuple[Minutes, Minutes]:
        """Return lower and upper minutes, each ``(n,)``."""
        quantiles = self.estimator.predict(features)
        margin = self.margin + sum(table.margins_of(features) for table in self.tables)
        return quantiles[:, 0] - margin, quantiles[:, -1] + margin


def _groupings(
    features: Matrix,
) -> Iterator[tuple[int, npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """Yield column, edges and groups of the tables: zones by borough, and distances."""
    zones = np.arange(NUMBER_OF_ZONES + 1)
    _, boroughs = np.unique(borough_of(zones), return_inverse=True)
    unknown = boroughs[0]  # what is below the first zone or no number at all
    yield (
        COLUMN["pickup_zone"],
        np.append(zones, np.inf).astype(np.float64),
        np.concatenate([[unknown], boroughs, [unknown]]),
    )
    miles = features[:, COLUMN["miles"]].astype(np.float64)
    given = miles[~np.isnan(miles)]
    inner = np.unique(np.quantile(given, _DISTANCE_SHARES)) if len(given) else np.empty(0)
    yield COLUMN["miles"], np.append(inner, np.inf), np.arange(len(inner) + 2)


def folds_of(pickup_at: pd.Series[Any]) -> npt.NDArray[np.int64]:
    """Divide trips into folds for `out_of_fold`, ``(n,)``: whole days, every third in one fold.

    Trips of a day share its weather and its traffic, so that a fit that knew some of them would
    know too much of the others. Trips of fewer days than there are folds are dealt one by one.
    """
    days, day = np.unique(pickup_at.to_numpy().astype("datetime64[D]"), return_inverse=True)
    return (day if len(days) >= _FOLDS else np.arange(len(day))) % _FOLDS


def out_of_fold(
    build: Callable[[], Estimator],
    features: Matrix,
    minutes: Minutes,
    folds: npt.NDArray[np.int64],
) -> npt.NDArray[Any]:
    """Predict each trip by an estimator fitted on the other folds (cross-conformal prediction).

    Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 2015.

    Args:
        build: Makes an estimator that is not fitted yet.
        features: Shape ``(n, features)``.
        minutes: Shape ``(n,)``.
        folds: Of each trip, ``(n,)``.

    Returns:
        Predictions in the order of the trips, ``(n,)`` or ``(n, quantiles)``.
    """
    predictions: npt.NDArray[Any] = np.empty(0)
    for fold in np.unique(folds):
        held_out = folds == fold
        estimator = build()
        estimator.fit(features[~held_out], minutes[~held_out])
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
