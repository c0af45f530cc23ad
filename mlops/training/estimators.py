"""Baselines: what a model must beat to be worth its trouble; and what every estimator can do.

Estimators take the dense matrix of `mlops.datasets.taxi.features.encoding` and return minutes.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlops.datasets.taxi.features.encoding import COLUMN, Matrix
from mlops.datasets.taxi.features.sums import ZONES

Minutes = npt.NDArray[np.float64]


class Estimator(Protocol):
    """What a family builds."""

    def fit(self, features: Matrix, minutes: Minutes) -> Any:
        """Learn from rows of features and the minutes the trips took."""

    def predict(self, features: Matrix) -> Any:
        """Return minutes, shape ``(n,)``, or quantiles of them, ``(n, quantiles)``."""


class GlobalMean:
    """Predicts the mean of the training trips: what knowing nothing is worth."""

    def fit(self, features: Matrix, minutes: Minutes) -> GlobalMean:
        """Learn the mean."""
        self.mean_ = float(np.mean(minutes))
        return self

    def predict(self, features: Matrix) -> Minutes:
        """Return the mean for every row."""
        return np.full(len(features), self.mean_)


class RouteMedian:
    """Predicts the median of a route's training trips: what a table of routes is worth.

    Args:
        min_trips: A route with fewer is answered by its pickup zone, and that by the city.
    """

    def __init__(self, min_trips: int = 3) -> None:
        self.min_trips = min_trips

    def fit(self, features: Matrix, minutes: Minutes) -> RouteMedian:
        """Learn the medians of the city, each pickup zone and each route."""
        pickup, route = _codes(features)
        self.medians_ = np.full(ZONES * ZONES, float(np.median(minutes)))
        by_pickup = _medians(pickup, minutes, self.min_trips)
        for zone, median in by_pickup.items():
            self.medians_[zone * ZONES : (zone + 1) * ZONES] = median
        for code, median in _medians(route, minutes, self.min_trips).items():
            self.medians_[code] = median
        return self

    def predict(self, features: Matrix) -> Minutes:
        """Return the median of each row's route."""
        return np.asarray(self.medians_[_codes(features)[1]])


def _codes(features: Matrix) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    pickup = features[:, COLUMN["pickup_zone"]].astype(np.int64)
    return pickup, pickup * ZONES + features[:, COLUMN["dropoff_zone"]].astype(np.int64)


def _medians(codes: npt.NDArray[np.int64], minutes: Minutes, min_trips: int) -> dict[int, float]:
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    groups = np.split(minutes[order], starts[1:])
    return {
        int(code): float(np.median(group))
        for code, group in zip(found, groups, strict=True)
        if len(group) >= min_trips
    }
