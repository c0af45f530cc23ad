"""How wrong a model is for each group of trips, how sure that is, and for whom it is worst.

Trips of the same hour share traffic and weather, so the unit of resampling is the hour, not the
trip: a cluster bootstrap (A. C. Davison and D. V. Hinkley, *Bootstrap Methods and their
Application*, 1997, section 3.8) with percentile intervals (section 5.3.1). Every group is seen in
the same resamples, so differences between groups have intervals too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.slices import slice_labels
from mlops.datasets.taxi.trips import DROPOFF_ZONE, PICKUP_AT, TARGET
from mlops.datasets.taxi.zones import borough_of
from mlops.evaluation.results import Result

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALL: Final = "all trips"
CONFIDENCE: Final = 0.95
RESAMPLES: Final = 500

_SUMS: Final = ("trips", "squared", "absolute", "plain", "inside", "actual")


class Estimate(Result):
    """A number with its confidence interval."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Tell whether a value lies outside of the interval."""
        return not self.low <= value <= self.high


class GroupErrors(Result):
    """Errors on the trips of one group.

    Attributes:
        dimension: What trips were grouped by.
        group: Its name.
        rows: Trips.
        actual: Their mean duration, minutes.
        mae: Mean absolute error, minutes.
        rmse: Root mean squared error, minutes.
        bias: Mean of predicted - actual, minutes: positive means too long.
        relative: Sum of absolute errors over sum of durations, a share.
        coverage: Share of durations inside of the prediction interval; None if there is none.
        against_rest: MAE minus the MAE of all trips that are not in the group, minutes; None if
            there are no others.
    """

    dimension: str
    group: str
    rows: int
    actual: float
    mae: Estimate
    rmse: Estimate
    bias: Estimate
    relative: Estimate
    coverage: Estimate | None
    against_rest: Estimate | None


def group_labels(trips: pd.DataFrame) -> pd.DataFrame:
    """Name the groups of each trip: the gate's slices, and the borough where it ends."""
    dropoff = pd.Categorical(borough_of(trips[DROPOFF_ZONE].to_numpy()))
    labels = slice_labels(trips)
    labels.insert(1, "drop-off borough", pd.Series(dropoff, index=trips.index))
    return labels


def measure_groups(trips: pd.DataFrame, predicted: Floats) -> tuple[GroupErrors, ...]:
    """Measure the errors of all trips, and of each group; the same trips give the same intervals.

    Args:
        trips: Request columns and the duration, at least one trip.
        predicted: Minutes, lower and upper bound, ``(n, 3)``; bounds may be NaN.

    Returns:
        All trips first, then the groups that have trips, those of one dimension together.
    """
    actual = trips[TARGET].to_numpy(dtype=np.float64)
    error = predicted[:, 0] - actual
    has_interval = bool(np.isfinite(predicted[:, 1:]).all())
    inside = (predicted[:, 1] <= actual) & (actual <= predicted[:, 2])
    each = np.column_stack([np.ones(len(actual)), error**2, np.abs(error), error, inside, actual])
    hour, hours = hours_of(trips)
    drawn = resamples(hours)
    total = _summed(each, hour, hours, np.zeros(len(each), dtype=np.int64), 1)
    found = list(_measured("", [ALL], total, total, drawn, has_interval))
    for dimension, labels in group_labels(trips).items():
        codes = np.asarray(labels.cat.codes, dtype=np.int64)
        names = list(map(str, labels.cat.categories))
        sums = _summed(each, hour, hours, codes, len(names))
        found += _measured(str(dimension), names, sums, total, drawn, has_interval)
    return tuple(found)


def hours_of(trips: pd.DataFrame) -> tuple[Ints, int]:
    """Return the clock hour of each pickup as a number from 0, and how many hours there are."""
    hour, names = pd.factorize(trips[PICKUP_AT].dt.floor("h"), sort=True)
    return np.asarray(hour, dtype=np.int64), len(names)


def resamples(hours: int) -> Floats:
    """Return how often each hour is in each resample, ``(RESAMPLES, hours)``."""
    draws = np.random.default_rng(0).multinomial(hours, np.full(hours, 1 / hours), RESAMPLES)
    counts: Floats = draws.astype(np.float64)
    return counts


def interval_of(values: Floats) -> tuple[float, float]:
    """Return the percentile interval of the values of resamples, NaN left out."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _summed(each: Floats, hour: Ints, hours: int, codes: Ints, groups: int) -> Floats:
    """Return the sums of each column by hour and group, ``(len(_SUMS), hours, groups)``."""
    cell, cells = hour * groups + codes, hours * groups
    sums = [np.bincount(cell, weights=column, minlength=cells) for column in each.T]
    stacked: Floats = np.array(sums, dtype=np.float64).reshape(len(_SUMS), hours, groups)
    return stacked


def _measured(
    dimension: str,
    names: Sequence[str],
    sums: Floats,
    total: Floats,
    drawn: Floats,
    has_interval: bool,
) -> Iterator[GroupErrors]:
    point, resampled = sums.sum(axis=1), np.einsum("rh,shg->srg", drawn, sums, optimize=True)
    rest, rest_resampled = (
        total.sum(axis=1) - point,
        (np.einsum("rh,shg->srg", drawn, total, optimize=True) - resampled),
    )
    own = {name: (_ratio(name, point), _ratio(name, resampled)) for name in _RATIOS}
    gap = own["mae"][0] - _ratio("mae", rest), own["mae"][1] - _ratio("mae", rest_resampled)
    for index, name in enumerate(names):
        estimates = {key: _estimate(*values, index) for key, values in own.items()}
        if not has_interval:
            estimates["coverage"] = None
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
    trips, squared, absolute, plain, inside, actual = sums
    # A small group may be in no resampled hour at all: that resample says nothing of it.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            {
                "mae": lambda: absolute / trips,
                "rmse": lambda: np.sqrt(squared / trips),
                "bias": lambda: plain / trips,
                "relative": lambda: absolute / actual,
                "coverage": lambda: inside / trips,
            }[name]()
        )


def _estimate(point: Floats, resampled: Floats, index: int) -> Any:
    value = float(point[index])
    low, high = interval_of(resampled[:, index])
    # With one hour of trips all resamples are the same trips, up to rounding.
    return Estimate(value=value, low=min(low, value), high=max(high, value))
