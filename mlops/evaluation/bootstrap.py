"""Is a gain more than luck? A paired bootstrap of the relative RMSE gain of one model over another.

Efron & Tibshirani, *An Introduction to the Bootstrap* (1993): resampling pairs, chapter 8; blocks
of neighbours for dependent data, section 8.6; percentile interval, chapter 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlops.evaluation.metrics import FloatArray

# Enough units that the interval hardly depends on where blocks begin, few enough that the cost
# of 500 resamples (30 ms) does not grow with the window.
_MAX_BLOCKS: Final = 2_000
# A loss beyond any meaning; keeps numbers finite when the other model makes no error at all.
_MAX_RATIO: Final = 1e6


@dataclass(frozen=True)
class GainInterval:
    """Relative RMSE gain, 1 - RMSE ÷ RMSE of the other: 0.03 is three percent better."""

    estimate: float
    lower: float
    upper: float


def relative_gain(
    errors: FloatArray,
    other_errors: FloatArray,
    confidence: float,
    samples: int,
) -> GainInterval:
    """Estimate how much smaller the RMSE of one model is than another's, with its interval.

    Both models are resampled together, so that what makes a row hard for both cancels out. The
    unit of resampling is a block of consecutive rows: neighbours in time have much in common and
    are not independent. Each resample's RMSE can only fall when an error shrinks, hence so does the
    whole interval's loss: a uniformly better model never looks worse.

    Args:
        errors: Errors of the model, shape ``(n,)``, in the order of time.
        other_errors: Errors of the other model on the same rows in the same order.
        confidence: Of the two-sided percentile interval, e.g. 0.95.
        samples: Number of resamples; the same rows are always resampled alike.
    """
    starts = np.arange(0, len(errors), -(-len(errors) // _MAX_BLOCKS))
    blocks = np.add.reduceat(np.column_stack([errors**2, other_errors**2]), starts, axis=0)
    drawn = np.random.default_rng(0).integers(0, len(blocks), size=(samples, len(blocks)))
    # The number of rows cancels in the ratio of the two, so sums serve as well as means.
    resampled = blocks[drawn].sum(axis=1)
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(_gain(resampled), [tail, 1 - tail])
    return GainInterval(float(_gain(blocks.sum(axis=0))), float(lower), float(upper))


def _gain(squared_sums: FloatArray) -> FloatArray:
    """Turn sums of squared errors, shape ``(…, 2)``, into relative gains, shape ``(…)``."""
    mine, other = squared_sums[..., 0], squared_sums[..., 1]
    flawless = other == 0
    with np.errstate(over="ignore"):
        ratio = np.sqrt(mine / np.where(flawless, 1.0, other))
    ratio = np.where(flawless, np.where(mine > 0, _MAX_RATIO, 1.0), ratio)
    return np.asarray(1 - np.minimum(ratio, _MAX_RATIO))
