"""What a reference remembers of its rows: counts and sums by part of the day, never rows.

A window of two days has its own mix of nights and rush hours. What is expected of it is the
reference reweighted to that mix (post-stratification: D. Holt and T. M. F. Smith, "Post
Stratification", JRSS A 142, 1979), so that only what changed *within* a part of the day counts.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np

from mlops.datasets.watching import Feature, Floats, Ints, Mask
from mlops.evaluation.results import Result
from mlops.monitoring.findings.measurements import MeasureName

# Rarer categories are counted together: a smaller share is lost in the noise of a window.
_MIN_CATEGORY_SHARE: Final = 0.005
_QUANTILE_BINS: Final = 50
# Rows of the whole reference that a part of the day with few rows of its own borrows.
_PULL: Final = 100.0
_TINY: Final = 1e-12


class FeatureCounts(Result):
    """Where the values of one feature fall, by part of the day.

    Attributes:
        name: Of the feature.
        kind: Of the feature.
        unit: Of the edges.
        label: The feature is known only afterwards.
        points: Categories counted one by one, or inner edges between bins, ascending.
        counts: Rows per part of the day and bin. The last bin is "missing"; a category's last but
            one is "any other".
    """

    name: str
    kind: Literal["category", "number"]
    unit: str
    label: bool
    points: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, feature: Feature, values: Floats) -> FeatureCounts:
        """Choose bins for the values of a feature, shape ``(n,)``; nothing is counted yet."""
        known = values[np.isfinite(values)]
        return cls(
            name=feature.name,
            kind=feature.kind,
            unit=feature.unit,
            label=feature.label,
            points=_categories(known) if feature.kind == "category" else _edges(known),
            counts=(),
        )

    @property
    def bins(self) -> int:
        """Number of bins, "missing" included."""
        return len(self.points) + 2

    def codes(self, values: Floats) -> Ints:
        """Return the bin of each value."""
        points = np.array(self.points)
        missing = ~np.isfinite(values)
        if self.kind == "number":
            found = np.searchsorted(points, values, side="right")
        else:
            near = np.minimum(np.searchsorted(points, values), max(len(points) - 1, 0))
            same = points[near] == values if len(points) else np.zeros(len(values), bool)
            found = np.where(same, near, len(points))
        return np.asarray(np.where(missing, self.bins - 1, found), dtype=np.int64)

    def counting(self, codes: Ints, stratum: Ints, strata: int) -> FeatureCounts:
        """Return the same bins with the counts of other values, given as `codes`."""
        counts = stratified_counts(codes, stratum, self.bins, strata)
        return self.model_copy(update={"counts": tuple(map(tuple, counts.tolist()))})

    def expected(self, mix: Floats) -> Floats:
        """Return the share of each bin expected of a window, shape ``(bins,)``.

        Args:
            mix: The window's share of each part of the day, shape ``(strata,)``.
        """
        return expected_shares(np.array(self.counts, dtype=np.float64), mix)

    def quantile(self, level: float, mix: Floats | None = None) -> float:
        """Return a quantile expected of numbers, between edges by a straight line.

        Args:
            level: From 0 to 1.
            mix: Of a window; by default, that of the reference.
        """
        counts = np.array(self.counts, dtype=np.float64)
        known = (counts.sum(axis=0) if mix is None else expected_shares(counts, mix))[:-1]
        below = np.cumsum(known / max(known.sum(), _TINY))[:-1]
        return float(np.interp(level, below, self.points)) if len(below) else 0.0


class ShareTable(Result):
    """How many rows lacked and how many had a property, by part of the day."""

    name: MeasureName
    counts: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, name: str, having: Mask, stratum: Ints, strata: int) -> ShareTable:
        """Count a property, shape ``(n,)``."""
        counts = stratified_counts(having.astype(np.int64), stratum, 2, strata)
        return cls(name=name, counts=tuple((int(no), int(yes)) for no, yes in counts))


class ErrorTable(Result):
    """Sums over errors of predictions, by slice and part of the day.

    Attributes:
        dimension: What was cut.
        slice: Name of the slice.
        sums: Per part of the day: rows, squared errors, absolute errors, errors, and rows inside
            the prediction interval.
    """

    dimension: str
    slice: str
    sums: tuple[tuple[float, ...], ...]

    @property
    def rows(self) -> float:
        """How many rows were summed."""
        return sum(part[0] for part in self.sums)

    def expected(self, mix: Floats) -> Floats:
        """Return the means expected of a window: squared, absolute, plain error, and coverage."""
        sums = np.array(self.sums)
        overall = sums[:, 1:].sum(axis=0) / max(sums[:, 0].sum(), 1.0)
        return np.asarray(mix @ ((sums[:, 1:] + _PULL * overall) / (sums[:, :1] + _PULL)))


def mix_of(stratum: Ints, strata: int) -> Floats:
    """Return the share of each part of the day, shape ``(strata,)``."""
    return np.bincount(stratum, minlength=strata) / max(len(stratum), 1)


def stratified_counts(codes: Ints, stratum: Ints, bins: int, strata: int) -> Ints:
    """Count codes by part of the day, shape ``(strata, bins)``."""
    cells = np.bincount(stratum * bins + codes, minlength=strata * bins)
    return np.asarray(cells.reshape(strata, bins))


def expected_shares(counts: Floats, mix: Floats) -> Floats:
    """Reweight counts by part of the day to a window's mix.

    Args:
        counts: Shape ``(strata, bins)``.
        mix: Shape ``(strata,)``, summing to 1.

    Returns:
        Shares, shape ``(bins,)``, summing to 1 unless there is no count at all.
    """
    overall = counts.sum(axis=0) / max(counts.sum(), 1.0)
    within = (counts + _PULL * overall) / (counts.sum(axis=1, keepdims=True) + _PULL)
    return np.asarray(mix @ within)


def _categories(known: Floats) -> tuple[float, ...]:
    values, rows = np.unique(known, return_counts=True)
    return tuple(values[rows >= _MIN_CATEGORY_SHARE * len(known)].tolist())


def _edges(known: Floats) -> tuple[float, ...]:
    if not len(known):
        return ()
    levels = np.arange(1, _QUANTILE_BINS) / _QUANTILE_BINS
    edges: Any = np.unique(np.quantile(known, levels))
    return tuple(edges.tolist())
