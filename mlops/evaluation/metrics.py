"""How wrong predictions are: the few numbers every comparison of models rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mlops.counting import counted
from mlops.errors import DataQualityError
from mlops.evaluation.results import IntervalMetrics, Metrics

FloatArray = npt.NDArray[np.float64]


def regression_metrics(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Metrics:
    """Compare predictions with what happened.

    Definitions follow scikit-learn's "Metrics and scoring" user guide (section regression
    metrics), including its convention for R² of a constant target: 1 if predicted perfectly and 0
    otherwise. MAPE is not defined where an answer is zero.

    Args:
        actual: Answers, shape ``(n,)``.
        predicted: Predictions, shape ``(n,)``.

    Raises:
        DataQualityError: If a value is NaN or infinite, the shapes differ, or there is no row.
    """
    truth, guess = _same_rows(actual=actual, predicted=predicted)
    error = guess - truth
    absolute = np.abs(error)
    squared = float(np.mean(error**2))
    variance = float(np.var(truth))
    return Metrics(
        rows=len(truth),
        rmse=float(np.sqrt(squared)),
        mae=float(np.mean(absolute)),
        mape=float(np.mean(absolute / np.abs(truth))) if truth.all() else None,
        r2=1 - squared / variance if variance > 0 else float(squared == 0),
        p90_error=float(np.quantile(absolute, 0.9)),
        bias=float(np.mean(error)),
    )


def interval_metrics(
    actual: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike
) -> IntervalMetrics:
    """Measure the coverage and the width of a prediction interval.

    Args:
        actual: Answers, shape ``(n,)``.
        lower: Lower bounds, shape ``(n,)``.
        upper: Upper bounds, shape ``(n,)``.

    Raises:
        DataQualityError: As `regression_metrics`, or if a lower bound exceeds its upper bound.
    """
    truth, low, high = _same_rows(actual=actual, lower=lower, upper=upper)
    crossed = low > high
    if crossed.any():
        raise DataQualityError(
            f"the prediction interval is crossed in {counted(int(crossed.sum()), 'row')}, "
            f"first in row {int(np.argmax(crossed))}",
            "sort the quantiles of each row before they leave the model",
        )
    return IntervalMetrics(
        rows=len(truth),
        coverage=float(np.mean((low <= truth) & (truth <= high))),
        mean_width=float(np.mean(high - low)),
    )


def _same_rows(**columns: npt.ArrayLike) -> tuple[FloatArray, ...]:
    """Return the columns as finite float vectors of one length, or say which is not."""
    arrays: dict[str, npt.NDArray[Any]] = {
        name: np.asarray(values, dtype=np.float64) for name, values in columns.items()
    }
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) != 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise DataQualityError(
            f"metrics need vectors of the same length, got {shapes}",
            "pass one value per row in each column",
        )
    for name, array in arrays.items():
        if not len(array):
            raise DataQualityError(
                f"{name}: there is no row to evaluate", "check the window's months and its filters"
            )
        bad = ~np.isfinite(array)
        if bad.any():
            raise DataQualityError(
                f"{name}: {int(bad.sum())} of {len(array)} values are NaN or infinite, "
                f"first in row {int(np.argmax(bad))}",
                "clean the window, or fix the model that predicts them",
            )
    return tuple(arrays.values())
