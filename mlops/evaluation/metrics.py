"""How wrong predictions are, in minutes: the few numbers every comparison of models rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from mlops.errors import DataQualityError

FloatArray = npt.NDArray[np.float64]


class Result(BaseModel):
    """Base of everything evaluation hands on: immutable, no unknown keys, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metrics(Result):
    """Errors of one model on one window of trips; minutes unless said otherwise."""

    rows: int
    rmse: float  # root mean squared error
    mae: float  # mean absolute error
    mape: float  # mean absolute error relative to the actual duration, a share: 0.2 is 20 %
    r2: float  # coefficient of determination, 1 is perfect, 0 no better than the mean
    p90_error: float  # nine trips in ten are predicted at least this well
    bias: float  # mean of predicted - actual: positive means too long


class IntervalMetrics(Result):
    """How honest and how sharp a prediction interval is."""

    rows: int
    coverage: float  # share of actual durations inside the interval, bounds included
    mean_width: float  # minutes


def regression_metrics(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> Metrics:
    """Compare predictions with what happened.

    Definitions follow scikit-learn's "Metrics and scoring" user guide (section regression
    metrics), including its two conventions for the edges: a zero duration counts as the machine
    epsilon in MAPE, and R² of a constant target is 1 if predicted perfectly and 0 otherwise.

    Args:
        actual: Durations, shape ``(n,)``, minutes.
        predicted: Predictions, shape ``(n,)``, minutes.

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
        mape=float(np.mean(absolute / np.maximum(np.abs(truth), np.finfo(np.float64).eps))),
        r2=1 - squared / variance if variance > 0 else float(squared == 0),
        p90_error=float(np.quantile(absolute, 0.9)),
        bias=float(np.mean(error)),
    )


def interval_metrics(
    actual: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike
) -> IntervalMetrics:
    """Measure the coverage and the width of a prediction interval.

    Args:
        actual: Durations, shape ``(n,)``, minutes.
        lower: Lower bounds, shape ``(n,)``, minutes.
        upper: Upper bounds, shape ``(n,)``, minutes.

    Raises:
        DataQualityError: As `regression_metrics`, or if a lower bound exceeds its upper bound.
    """
    truth, low, high = _same_rows(actual=actual, lower=lower, upper=upper)
    crossed = low > high
    if crossed.any():
        raise DataQualityError(
            f"the prediction interval is crossed in {int(crossed.sum())} rows, "
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
            "pass one value per trip in each column",
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
                "clean the window, or mend the model that predicts them",
            )
    return tuple(arrays.values())
