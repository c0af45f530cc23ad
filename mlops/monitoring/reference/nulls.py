"""How large each statistic gets when nothing has changed, learned from windows of real history.

Rows are not a sample of independent ones: weather, holidays and events move those of a day
together, and no textbook's p-value knows of them. So the spread of each statistic is measured on
contiguous windows of history against what came before them, as a function of the window's size:
variance = persistent part + part that shrinks with 1/n. Many statistics are looked at together; the
limit is one on the largest standardised deviation of a kind (the single-step maxT procedure of
P. H. Westfall and S. S. Young, *Resampling-Based Multiple Testing*, 1993), which controls the share
of quiet windows with any alarm, however the statistics depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from mlops.datasets.watching import Floats
from mlops.evaluation.results import Result
from mlops.monitoring.findings.measurements import Measurement, MeasureName, Side, value_at

# Fewer rows say nothing on their own; their statistics are reported, not judged.
MIN_ROWS: Final = 100
_EULER_GAMMA: Final = 0.5772156649015329
_TINY: Final = 1e-9


class Centre(Result):
    """What a divergence amounts to without a change, as a square: ``level + slope / n``."""

    level: float
    slope: float

    def effect(self, n: int) -> float:
        """Return the effect expected of ``n`` rows."""
        return math.pow(max(self.level + self.slope / n, _TINY), 1 / 3)

    def effects(self, n: Floats) -> Floats:
        """Return the effects expected of windows of ``n`` rows each."""
        return np.asarray(np.cbrt(np.maximum(self.level + self.slope / n, _TINY)))


class Spread(Result):
    """The variance of an effect of n rows: ``persistent + shrinking / n``."""

    persistent: float
    shrinking: float

    def deviation(self, n: int) -> float:
        """Return the standard deviation of the effect of ``n`` rows."""
        return math.sqrt(self.persistent + self.shrinking / n)

    def deviations(self, n: Floats) -> Floats:
        """Return the standard deviations of the effects of windows of ``n`` rows each."""
        return np.asarray(np.sqrt(self.persistent + self.shrinking / n))


class Nulls(Result):
    """What is expected under "no change".

    Attributes:
        centres: Of divergences, by key; all else is expected to have no effect.
        spreads: By pool: one feature, or one slice, has too few quiet windows of its own to tell
            how its variance falls with n.
        widths: By key: how the variance of a statistic compares with that of its pool.
    """

    centres: dict[MeasureName, Centre]
    spreads: dict[MeasureName, Spread]
    widths: dict[MeasureName, float]

    def knows(self, measurement: Measurement) -> bool:
        """Tell whether a measurement can be judged."""
        learned = not measurement.is_divergence or measurement.key in self.centres
        return learned and measurement.pool in self.spreads and measurement.n >= MIN_ROWS

    def away(self, measurement: Measurement) -> float:
        """Return how far an effect is from the expected one; of a divergence, relative to it."""
        if not measurement.is_divergence:
            return measurement.effect
        return measurement.effect / self.centres[measurement.key].effect(measurement.n) - 1

    def spread(self, measurement: Measurement) -> float:
        """Return the standard deviation of `away` under "no change"."""
        width = self.widths.get(measurement.key, 1.0)
        return self.spreads[measurement.pool].deviation(measurement.n) * math.sqrt(width)

    def score(self, measurement: Measurement) -> float:
        """Return by how many standard deviations a measurement is off, on the side that matters."""
        return sided(measurement.side, self.away(measurement)) / self.spread(measurement)

    def value_at(self, measurement: Measurement, score: float) -> float:
        """Return the value at which a measurement would have a score."""
        away = score * self.spread(measurement)
        if measurement.is_divergence:
            centre = self.centres[measurement.key].effect(measurement.n)
            return value_at(measurement.scale, centre * (1 + away), 0.0)
        down = measurement.side == "low" or (measurement.side == "both" and measurement.effect < 0)
        return value_at(measurement.scale, -away if down else away, measurement.reference)

    def worst(self, window: Iterable[Measurement]) -> float | None:
        """Return the largest score among measurements; None if none can be judged."""
        return max((self.score(m) for m in window if self.knows(m)), default=None)


class _Sample(NamedTuple):
    """What was measured of one statistic on quiet windows, shape ``(windows,)`` each."""

    like: Measurement  # one of them, for all that they have in common
    n: Floats
    effects: Floats


def fit_nulls(windows: Iterable[Iterable[Measurement]]) -> Nulls:
    """Fit centres and spreads to what was measured on quiet windows."""
    samples = _samples(windows)
    centres = {key: _centre(s.n, s.effects) for key, s in samples.items() if s.like.is_divergence}
    away = {
        key: s.effects / centres[key].effects(s.n) - 1 if key in centres else s.effects
        for key, s in samples.items()
    }
    members: dict[str, list[str]] = {}
    for key, sample in samples.items():
        members.setdefault(sample.like.pool, []).append(key)
    spreads = {
        pool: fit_spread(
            np.concatenate([samples[key].n for key in keys]),
            np.concatenate([away[key] for key in keys]),
            # Two shares of independent rows differ by no less: see the arcsine.
            least=1.0 if samples[keys[0]].like.scale == "share" else _TINY,
        )
        for pool, keys in members.items()
    }
    widths = {
        key: _width(away[key], spreads[s.like.pool].deviations(s.n)) for key, s in samples.items()
    }
    return Nulls(centres=centres, spreads=spreads, widths=widths)


def _samples(windows: Iterable[Iterable[Measurement]]) -> dict[str, _Sample]:
    by_key: dict[str, list[Measurement]] = {}
    for measurement in (m for window in windows for m in window if m.n >= MIN_ROWS):
        by_key.setdefault(measurement.key, []).append(measurement)
    return {
        key: _Sample(
            group[0],
            np.array([m.n for m in group], dtype=np.float64),
            np.array([m.effect for m in group], dtype=np.float64),
        )
        for key, group in by_key.items()
    }


def _width(away: Floats, deviations: Floats) -> float:
    """Return how variable a statistic is within its pool, halfway between its own and the pool's.

    Shrinkage towards the pool (B. Efron and C. Morris, "Data analysis using Stein's estimator and
    its generalizations", JASA 70, 1975): its own few windows are not to be trusted entirely.
    """
    return float(1 + np.mean((away / deviations) ** 2)) / 2


def fit_spread(n: Floats, effects: Floats, least: float) -> Spread:
    """Fit the variance of centred effects.

    Args:
        n: Rows of each window, shape ``(windows,)``.
        effects: Of each window, less what is expected of it.
        least: The shrinking part is at least that.
    """
    squares = effects**2
    persistent, shrinking = _line(n, squares, np.ones_like(n))
    # Squares of normals spread like their mean: weigh each by a first guess of its own.
    persistent, shrinking = _line(n, squares, 1 / np.maximum(persistent + shrinking / n, _TINY))
    return Spread(persistent=persistent, shrinking=max(shrinking, least))


def limit_of(maxima: Sequence[float], false_alarms: float) -> float:
    """Return the limit that the largest score of a quiet window exceeds with a given chance.

    The quantile of a Gumbel distribution with the mean and variance of the maxima (E. J. Gumbel,
    *Statistics of Extremes*, 1958: the law of the largest of many), but no less than the same
    quantile of the maxima themselves.

    Args:
        maxima: Largest score of each quiet window, at least two.
        false_alarms: The chance, e.g. 0.02.
    """
    values: Floats = np.asarray(maxima, dtype=np.float64)
    scale = values.std(ddof=1) * np.sqrt(6) / np.pi
    gumbel = values.mean() - scale * (_EULER_GAMMA + np.log(-np.log(1 - false_alarms)))
    return float(max(gumbel, np.quantile(values, 1 - false_alarms)))


def sided(side: Side, away: float) -> float:
    """Return a deviation such that larger is worse."""
    return abs(away) if side == "both" else -away if side == "low" else away


def _centre(n: Floats, effects: Floats) -> Centre:
    """Fit divergences such that their effects are right on average."""
    squares: Floats = np.power(effects, 3.0)
    level, slope = _line(n, squares, n)
    level, slope = _line(n, squares, 1 / np.maximum(level + slope / n, _TINY))
    usual = Centre(level=level, slope=slope).effects(n)
    shift = float(np.mean(effects / usual)) ** 3
    return Centre(level=level * shift, slope=slope * shift)


def _line(n: Floats, values: Floats, weights: Floats) -> tuple[float, float]:
    """Fit ``values ~ a + b / n`` with a and b not negative, by weighted least squares."""
    from scipy.optimize import nnls

    # Columns of comparable size, or the solver's tolerance would swallow one of them.
    unit = float(np.median(n))
    design = np.column_stack([np.ones_like(n), unit / n]) * weights[:, None]
    (a, b), _ = nnls(design, values * weights)
    return float(a), float(b) * unit
