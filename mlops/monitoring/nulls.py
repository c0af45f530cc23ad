"""How large each statistic gets when nothing has changed, learned from windows of real history.

Traffic is not a sample of independent trips: weather, holidays and events move a day's trips
together, and no textbook's p-value knows of them. So the spread of each statistic is measured on
contiguous windows of history against what came before them, as a function of the window's size:
variance = persistent part + part that shrinks with 1/n. Many statistics are looked at together; the
limit is one on the largest of a family's standardised deviations (the single-step maxT procedure of
P. H. Westfall and S. S. Young, *Resampling-Based Multiple Testing*, 1993), which controls the share
of quiet windows with any alarm, however the statistics depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from mlops.evaluation.metrics import Result
from mlops.monitoring.measurements import Measurement, Side, value_at
from mlops.monitoring.observations import Floats

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


class Spread(Result):
    """The variance of an effect of n rows: ``persistent + shrinking / n``."""

    persistent: float
    shrinking: float

    def deviation(self, n: int) -> float:
        """Return the standard deviation of the effect of ``n`` rows."""
        return math.sqrt(self.persistent + self.shrinking / n)


class Nulls(Result):
    """What is expected under "no change".

    Attributes:
        centres: Of divergences, by key; all else is expected to have no effect.
        spreads: By pool: one feature, or one slice, has too few quiet windows of its own to tell
            how its variance falls with n.
        widths: By key: how the variance of a statistic compares with that of its pool.
    """

    centres: dict[str, Centre]
    spreads: dict[str, Spread]
    widths: dict[str, float]

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


def fit_nulls(windows: Iterable[Iterable[Measurement]]) -> Nulls:
    """Fit centres and spreads to what was measured on quiet windows."""
    by_key: dict[str, list[Measurement]] = {}
    by_pool: dict[str, list[Measurement]] = {}
    for m in (m for window in windows for m in window if m.n >= MIN_ROWS):
        by_key.setdefault(m.key, []).append(m)
        by_pool.setdefault(m.pool, []).append(m)
    centres = {key: _centre(group) for key, group in by_key.items() if group[0].is_divergence}
    centred = Nulls(centres=centres, spreads={}, widths={})
    spreads = {
        pool: fit_spread(
            [m.n for m in group],
            [centred.away(m) for m in group],
            # Two shares of independent trips differ by no less: see the arcsine.
            least=1.0 if group[0].scale == "share" else _TINY,
        )
        for pool, group in by_pool.items()
    }
    pooled = Nulls(centres=centres, spreads=spreads, widths={})
    return pooled.model_copy(
        update={"widths": {key: _width(group, pooled) for key, group in by_key.items()}}
    )


def _width(group: Sequence[Measurement], pooled: Nulls) -> float:
    """Return how variable a statistic is within its pool, halfway between its own and the pool's.

    Shrinkage towards the pool (B. Efron and C. Morris, "Data analysis using Stein's estimator and
    its generalizations", JASA 70, 1975): its own few windows are not to be trusted entirely.
    """
    ratios = [(pooled.away(m) / pooled.spread(m)) ** 2 for m in group]
    return float(1 + np.mean(ratios)) / 2


def fit_spread(rows: Sequence[int], effects: Sequence[float], least: float) -> Spread:
    """Fit the variance of centred effects.

    Args:
        rows: Of each window.
        effects: Of each window, less what is expected of it.
        least: The shrinking part is at least that.
    """
    n, squares = np.asarray(rows, dtype=np.float64), np.asarray(effects, dtype=np.float64) ** 2
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


def _centre(group: Sequence[Measurement]) -> Centre:
    """Fit divergences such that their effects are right on average."""
    n = np.array([m.n for m in group], dtype=np.float64)
    effects: Floats = np.array([m.effect for m in group], dtype=np.float64)
    squares: Floats = np.power(effects, 3.0)
    level, slope = _line(n, squares, n)
    level, slope = _line(n, squares, 1 / np.maximum(level + slope / n, _TINY))
    shift = float(np.mean(effects / np.cbrt(np.maximum(level + slope / n, _TINY)))) ** 3
    return Centre(level=level * shift, slope=slope * shift)


def _line(n: Floats, values: Floats, weights: Floats) -> tuple[float, float]:
    """Fit ``values ~ a + b / n`` with a and b not negative, by weighted least squares."""
    from scipy.optimize import nnls

    # Columns of comparable size, or the solver's tolerance would swallow one of them.
    unit = float(np.median(n))
    design = np.column_stack([np.ones_like(n), unit / n]) * weights[:, None]
    (a, b), _ = nnls(design, values * weights)
    return float(a), float(b) * unit
