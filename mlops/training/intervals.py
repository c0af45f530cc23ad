"""Prediction intervals that are honest whatever the model: conformal calibration.

Calibrated on a window that the calibrated model never saw; there, by construction, the nominal
share of trips lies inside. The nominal coverage is that between the outer `QUANTILES`, 80 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from mlops.features.encoding import Matrix
from mlops.training.estimators import Estimator, Minutes

NOMINAL_COVERAGE: Final = 0.8
_BINS: Final = 10
_MIN_PER_BIN: Final = 50


class Interval(Protocol):
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
class QuantileInterval:
    """Conformalised quantile regression: Romano, Patterson and Candès, NeurIPS 2019."""

    estimator: Estimator  # predicts (n, quantiles), the outer two are the bounds
    margin: float  # minutes by which calibration widens (or, if negative, narrows) both sides

    @classmethod
    def calibrate(cls, estimator: Estimator, quantiles: Any, actual: Minutes) -> QuantileInterval:
        """Learn the margin.

        Args:
            estimator: Bounds future trips; may be refitted on more than the calibrated twin.
            quantiles: What the twin predicted for trips it never saw, ``(n, quantiles)``.
            actual: The minutes these took.
        """
        outside = np.maximum(quantiles[:, 0] - actual, actual - quantiles[:, -1])
        return cls(estimator, _conformal_quantile(outside, NOMINAL_COVERAGE))

    def bounds(self, features: Matrix, center: Minutes) -> tuple[Minutes, Minutes]:
        """Return lower and upper minutes, each ``(n,)``."""
        quantiles = self.estimator.predict(features)
        return quantiles[:, 0] - self.margin, quantiles[:, -1] + self.margin


def _conformal_quantile(scores: npt.NDArray[np.float64], coverage: float) -> float:
    """Return the smallest score that covers a new one with the given probability.

    Its rank is one more than a plain quantile's would be, because the new score counts too.
    """
    rank = int(np.ceil((len(scores) + 1) * coverage))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])
