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

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from mlops.evaluation.metrics import Result
from mlops.monitoring.measurements import Measurement, Side
from mlops.monitoring.tables import Floats

# Fewer rows say nothing on their own; their statistics are reported, not judged.
MIN_ROWS: Final = 100
_EULER_GAMMA: Final = 0.5772156649015329
_TINY: Final = 1e-9


class Centre(Result):
    """The value of a divergence expected of n rows: ``level + slope / n``."""

    level: float
    slope: float

    def effect(self, n: int) -> float:
        """Return the expected effect of ``n`` rows."""
        return float(np.log(max(self.level + self.slope / n, _TINY)))


class Spread(Result):
    """The variance of an effect of n rows: ``persistent + shrinking / n``."""

    persistent: float
    shrinking: float

    def deviation(self, n: int) -> float:
        """Return the standard deviation of the effect of ``n`` rows."""
        return float(np.sqrt(self.persistent + self.shrinking / n))


class Nulls(Result):
    """What is expected under "no change".

    Attributes:
        centres: Of divergences, by key; of all else no effect is expected.
        spreads: By pool: one feature, or one slice, has too few quiet windows of its own to tell
            how widely it varies.
    """

    centres: dict[str, Centre]
    spreads: dict[str, Spread]

    def knows(self, measurement: Measurement) -> bool:
        """Tell whether a measurement can be judged."""
        learned = measurement.scale != "divergence" or measurement.key in self.centres
        return learned and measurement.pool in self.spreads and measurement.n >= MIN_ROWS

    def centre(self, measurement: Measurement) -> float:
        """Return the effect expected of a measurement."""
        known = self.centres.get(measurement.key)
        return known.effect(measurement.n) if known else 0.0

    def score(self, measurement: Measurement) -> float:
        """Return by how many standard deviations a measurement is off, on the side that matters."""
        away = measurement.effect - self.centre(measurement)
        spread = self.spreads[measurement.pool].deviation(measurement.n)
        return sided(measurement.side, away) / spread

    def effect_at(self, measurement: Measurement, score: float) -> float:
        """Return the effect at which a measurement would have a score."""
        away = score * self.spreads[measurement.pool].deviation(measurement.n)
        down = measurement.side == "low" or (
            measurement.side == "both" and measurement.effect < self.centre(measurement)
        )
        return self.centre(measurement) + (-away if down else away)

    def worst(self, window: Iterable[Measurement]) -> float | None:
        """Return the largest score among measurements; None if none can be judged."""
        return max((self.score(m) for m in window if self.knows(m)), default=None)


def fit_nulls(windows: Iterable[Iterable[Measurement]]) -> Nulls:
    """Fit centres and spreads to what was measured on quiet windows."""
    found = [m for window in windows for m in window if m.n >= MIN_ROWS]
    by_key: dict[str, list[Measurement]] = {}
    by_pool: dict[str, list[Measurement]] = {}
    for m in found:
        by_pool.setdefault(m.pool, []).append(m)
        if m.scale == "divergence":
            by_key.setdefault(m.key, []).append(m)
    centres = {key: _centre(group) for key, group in by_key.items()}
    spreads = {
        pool: fit_spread(
            [m.n for m in group],
            [m.effect - (centres[m.key].effect(m.n) if m.key in centres else 0.0) for m in group],
            # Two shares of independent trips differ by no less: see the arcsine.
            least=1.0 if group[0].scale == "share" else _TINY,
        )
        for pool, group in by_pool.items()
    }
    return Nulls(centres=centres, spreads=spreads)


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
    """Fit divergences, in the middle on the scale of logarithms."""
    n = np.array([m.n for m in group], dtype=np.float64)
    logarithms = np.array([m.effect for m in group])
    level, slope = _line(n, np.exp(logarithms), n)
    level, slope = _line(n, np.exp(logarithms), 1 / np.maximum(level + slope / n, _TINY))
    fitted = np.maximum(level + slope / n, _TINY)
    shift = float(np.exp(np.mean(logarithms - np.log(fitted))))
    return Centre(level=max(level, _TINY) * shift, slope=slope * shift)


def _line(n: Floats, values: Floats, weights: Floats) -> tuple[float, float]:
    """Fit ``values ~ a + b / n`` with a and b not negative, by weighted least squares."""
    from scipy.optimize import nnls

    # Columns of comparable size, or the solver's tolerance would swallow one of them.
    unit = float(np.median(n))
    design = np.column_stack([np.ones_like(n), unit / n]) * weights[:, None]
    (a, b), _ = nnls(design, values * weights)
    return float(a), float(b) * unit
