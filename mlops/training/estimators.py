"""Baselines: what a model must beat to be worth its trouble; and what every estimator can do.

Estimators take the dense matrix of an encoder and return answers in the unit of the target.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlops.datasets.dataset import FeatureLayout, Matrix, Target


class Estimator(Protocol):
    """What a family builds."""

    def fit(self, features: Matrix, target: Target) -> Any:
        """Learn from rows of features and their answers."""

    def predict(self, features: Matrix) -> Any:
        """Return answers, shape ``(n,)``, or quantiles of them, ``(n, quantiles)``."""


class GlobalMean:
    """Predicts the mean of the training rows: what knowing nothing is worth."""

    def fit(self, features: Matrix, target: Target) -> GlobalMean:
        """Learn the mean."""
        self.mean_ = float(np.mean(target))
        return self

    def predict(self, features: Matrix) -> Target:
        """Return the mean for every row."""
        return np.full(len(features), self.mean_)


class GroupMedian:
    """Predicts the median of a group's training rows: what a table of groups is worth.

    Args:
        layout: Names the features whose combination is a row's group, the broadest first.
        min_rows: A group with fewer is answered by the broader one, and the last by all rows.
    """

    def __init__(self, layout: FeatureLayout, min_rows: int = 3) -> None:
        self.layout, self.min_rows = layout, min_rows

    def fit(self, features: Matrix, target: Target) -> GroupMedian:
        """Learn the medians of all rows, of broader groups and of the finest."""
        self.median_ = float(np.median(target))
        self.medians_ = [_medians(keys, target, self.min_rows) for keys in self._keys(features)]
        return self

    def predict(self, features: Matrix) -> Target:
        """Return the median of each row's finest group that has one."""
        answers = np.full(len(features), self.median_)
        for keys, (known, medians) in zip(self._keys(features), self.medians_, strict=True):
            if len(known):
                places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
                answers = np.where(known[places] == keys, medians[places], answers)
        return answers

    def _keys(self, features: Matrix) -> list[npt.NDArray[np.int64]]:
        """Return the number of each row's group, ``(n,)``, from the broadest to the finest."""
        keys, found = np.zeros(len(features), dtype=np.int64), []
        for name in self.layout.grouping:
            keys = keys * (self.layout.codes[name] + 1) + self.layout.codes_in(features, name)
            found.append(keys)
        return found


def _medians(
    keys: npt.NDArray[np.int64], target: Target, min_rows: int
) -> tuple[npt.NDArray[np.int64], Target]:
    """Return the groups with enough rows, ascending, and the median of each."""
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    groups = np.split(target[order], starts[1:])
    large = [place for place, group in enumerate(groups) if len(group) >= min_rows]
    return found[large], np.array([np.median(groups[place]) for place in large])
