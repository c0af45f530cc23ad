"""How wrong a model is for each group of rows, and how sure that is.

Rows that share circumstances, as those of the same hour do, have similar errors, so they are
resampled together: a cluster bootstrap (A. C. Davison and D. V. Hinkley, *Bootstrap Methods and
their Application*, 1997, section 3.8) with percentile intervals (section 5.3.1). Every group is
seen in the same resamples, so differences between groups have intervals too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.dataset import Dataset
from mlops.evaluation.results import Result

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 500
# Resamples of so many clusters tell as much as of more, which would take gigabytes.
_MOST_CLUSTERS: Final = 4_000

_SUMS: Final = ("rows", "squared", "absolute", "plain", "inside", "actual")


class Estimate(Result):
    """A number with its confidence interval."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Tell whether a value lies outside of the interval."""
        return not self.low <= value <= self.high


class GroupErrors(Result):
    """Errors on the rows of one group, in the unit of the target.

    Attributes:
        dimension: What rows were grouped by; empty for all of them.
        group: Its name.
        rows: How many there are.
        actual: Mean of their answers.
        mae: Mean absolute error.
        rmse: Root mean squared error.
        bias: Mean of predicted - actual.
        relative: Sum of absolute errors over sum of answers, a share; None unless all answers of
            the window are above zero.
        coverage: Share of answers inside of the prediction interval; None if there is none.
        against_rest: MAE minus the MAE of all rows that are not in the group; None if there are no
            others.
    """

    dimension: str
    group: str
    rows: int
    actual: float
    mae: Estimate
    rmse: Estimate
    bias: Estimate
    relative: Estimate | None
    coverage: Estimate | None
    against_rest: Estimate | None


def measure_groups(
    rows: pd.DataFrame, predicted: Floats, dataset: Dataset
) -> tuple[GroupErrors, ...]:
    """Measure the errors of all rows, and of each group; the same rows give the same intervals.

    Args:
        rows: With their answers, at least one.
        predicted: Answer, lower and upper bound, ``(n, 3)``; bounds may be NaN.
        dataset: That they belong to.

    Returns:
        All rows first, then the groups that have rows, those of one dimension together.
    """
    actual = rows[dataset.target].to_numpy(dtype=np.float64)
    error = predicted[:, 0] - actual
    without = set() if np.isfinite(predicted[:, 1:]).all() else {"coverage"}
    without |= set() if (actual > 0).all() else {"relative"}
    inside = (predicted[:, 1] <= actual) & (actual <= predicted[:, 2])
    each = np.column_stack([np.ones(len(actual)), error**2, np.abs(error), error, inside, actual])
    cluster, clusters = clusters_of(rows, dataset)
    drawn = resamples(clusters)
    total = _summed(each, cluster, clusters, np.zeros(len(each), dtype=np.int64), 1)
    found = list(_measured("", ["all"], total, total, drawn, without))
    for dimension, labels in dataset.groups(rows).items():
        codes = np.asarray(labels.cat.codes, dtype=np.int64)
        names = list(map(str, labels.cat.categories))
        sums = _summed(each, cluster, clusters, codes, len(names))
        found += _measured(str(dimension), names, sums, total, drawn, without)
    return tuple(found)


def clusters_of(rows: pd.DataFrame, dataset: Dataset) -> tuple[Ints, int]:
    """Return the cluster of each row as a number from 0, and how many clusters there are."""
    cluster = dataset.clusters(rows)
    clusters = int(cluster.max()) + 1
    if clusters <= _MOST_CLUSTERS:
        return cluster, clusters
    # Several clusters drawn together, whichever they are, vary as they do one by one.
    together = np.random.default_rng(0).permutation(clusters) % _MOST_CLUSTERS
    return together[cluster], _MOST_CLUSTERS


def resamples(clusters: int) -> Floats:
    """Return how often each cluster is in each resample, ``(RESAMPLES, clusters)``."""
    shares = np.full(clusters, 1 / clusters)
    draws = np.random.default_rng(0).multinomial(clusters, shares, RESAMPLES)
    counts: Floats = draws.astype(np.float64)
    return counts


def interval_of(values: Floats) -> tuple[float, float]:
    """Return the percentile interval of the values of resamples, NaN left out."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _summed(each: Floats, cluster: Ints, clusters: int, codes: Ints, groups: int) -> Floats:
    """Return the sums of each column by cluster and group, ``(len(_SUMS), clusters, groups)``."""
    cell, cells = cluster * groups + codes, clusters * groups
    sums = [np.bincount(cell, weights=column, minlength=cells) for column in each.T]
    stacked: Floats = np.array(sums, dtype=np.float64).reshape(len(_SUMS), clusters, groups)
    return stacked


def _measured(
    dimension: str,
    names: Sequence[str],
    sums: Floats,
    total: Floats,
    drawn: Floats,
    without: Set[str],
) -> Iterator[GroupErrors]:
    point, resampled = sums.sum(axis=1), np.einsum("rh,shg->srg", drawn, sums, optimize=True)
    rest, rest_resampled = (
        total.sum(axis=1) - point,
        (np.einsum("rh,shg->srg", drawn, total, optimize=True) - resampled),
    )
    own = {name: (_ratio(name, point), _ratio(name, resampled)) for name in _RATIOS}
    gap = own["mae"][0] - _ratio("mae", rest), own["mae"][1] - _ratio("mae", rest_resampled)
    for index, name in enumerate(names):
        estimates = {
            key: None if key in without else _estimate(*values, index)
            for key, values in own.items()
        }
        yield GroupErrors(
            dimension=dimension,
            group=name,
            rows=int(point[0, index]),
            actual=float(point[5, index] / point[0, index]),
            against_rest=_estimate(*gap, index) if rest[0, index] else None,
            **estimates,
        )


_RATIOS: Final = ("mae", "rmse", "bias", "relative", "coverage")


def _ratio(name: str, sums: Floats) -> Floats:
    """Return a measure from sums, whose first axis is that of `_SUMS`."""
    rows, squared, absolute, plain, inside, actual = sums
    # A small group may be in no resampled cluster at all: that resample says nothing of it.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            {
                "mae": lambda: absolute / rows,
                "rmse": lambda: np.sqrt(squared / rows),
                "bias": lambda: plain / rows,
                "relative": lambda: absolute / actual,
                "coverage": lambda: inside / rows,
            }[name]()
        )


def _estimate(point: Floats, resampled: Floats, index: int) -> Any:
    value = float(point[index])
    low, high = interval_of(resampled[:, index])
    # With one cluster all resamples are the same rows, up to rounding.
    return Estimate(value=value, low=min(low, value), high=max(high, value))
