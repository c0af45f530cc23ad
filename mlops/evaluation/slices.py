"""Where a model is wrong: the same errors for each slice of the rows.

An average hides a model that got better for one group and worse for another; the gate judges each
slice on its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.evaluation.results import SliceMetrics


def slice_metrics(
    labels: pd.DataFrame, actual: npt.ArrayLike, predicted: npt.ArrayLike
) -> tuple[SliceMetrics, ...]:
    """Measure the errors of each slice that has at least one row.

    Args:
        labels: The slice of each of ``n`` rows along each dimension (`Dataset.slices`).
        actual: Answers, shape ``(n,)``.
        predicted: Predictions, shape ``(n,)``.

    Returns:
        One entry per slice; those of one dimension lie together and their rows sum to ``n``.
    """
    error = np.asarray(predicted, dtype=np.float64) - np.asarray(actual, dtype=np.float64)
    return tuple(
        entry for dimension in labels for entry in _dimension(dimension, labels[dimension], error)
    )


def _dimension(
    dimension: Any, labels: pd.Series[Any], error: npt.NDArray[np.float64]
) -> list[SliceMetrics]:
    codes, names = labels.cat.codes.to_numpy(), labels.cat.categories
    rows = np.bincount(codes, minlength=len(names))
    # One pass per statistic over all rows, whatever the number of slices.
    squared, absolute, signed = (
        np.bincount(codes, weights=values, minlength=len(names)) / rows
        for values in (error**2, np.abs(error), error)
    )
    return [
        SliceMetrics(
            dimension=str(dimension),
            slice=str(name),
            rows=int(rows[i]),
            rmse=float(np.sqrt(squared[i])),
            mae=float(absolute[i]),
            bias=float(signed[i]),
        )
        for i, name in enumerate(names)
    ]
