"""How wrong the predictions of a window turned out, once their labels had arrived.

Compared with what the model's own test window says of the same slices at the same parts of the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlops.datasets.answers import ANSWER, PREDICTION
from mlops.datasets.watching import Floats, Ints, Mask
from mlops.monitoring.findings.measurements import ALL_ROWS, Measurement, Scale, Side
from mlops.monitoring.reference.nulls import MIN_ROWS
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.reference.tables import ErrorTable, mix_of
from mlops.monitoring.windows.features import RowWindow

OVERALL: Final = ("all", "all")
# Enough blocks for a variance, few enough that neighbours in time stay in one block.
_BLOCKS: Final = 25
_TWO_SIDED_95: Final = 1.96


def squared_absolute_plain_inside(window: RowWindow) -> Floats:
    """Return per row: squared, absolute and plain error, and whether it was inside.

    Returns:
        Shape ``(n, 4)``; the error is predicted - actual. Without an interval, nothing is inside.
    """
    assert window.predictions is not None
    actual = window.frame[window.watching.target].to_numpy(np.float64)
    middle, lower, upper = (window.predictions[name].to_numpy(np.float64) for name in ANSWER)
    error = middle - actual
    inside = (lower <= actual) & (actual <= upper)
    return np.column_stack([error**2, np.abs(error), error, inside])


def judgeable(window: RowWindow) -> RowWindow:
    """Return the rows whose errors count: known, clean, and predicted with a finite number."""
    if window.predictions is None:
        return window.rows(np.zeros(len(window), dtype=bool))
    finite = np.isfinite(window.predictions[PREDICTION].to_numpy(np.float64))
    return window.rows(window.learnable & finite)


def sum_errors(window: RowWindow) -> tuple[ErrorTable, ...]:
    """Sum up the errors of a reference, overall and by slice, by part of the day."""
    judged = judgeable(window)
    each = np.column_stack([np.ones(len(judged)), squared_absolute_plain_inside(judged)])
    return tuple(
        ErrorTable(dimension=dimension, slice=name, sums=_sums(each[rows], judged, rows))
        for dimension, name, rows in _slices(judged)
        if rows.any()
    )


def measure_performance(window: RowWindow, profile: ReferenceProfile) -> Iterator[Measurement]:
    """Compare the errors of a window, overall and by slice, with the profile.

    Each value has a 95 % confidence interval: the variance of a mean from the means of blocks of
    neighbours in time (batch means; A. M. Law and W. D. Kelton, *Simulation Modeling and Analysis*,
    section 9.5.3), carried over to the root by the delta method.
    """
    judged = judgeable(window)
    if not len(judged):
        return
    each = squared_absolute_plain_inside(judged)
    rows_of = {(dimension, name): rows for dimension, name, rows in _slices(judged)}
    for table in profile.errors:
        rows = rows_of.get((table.dimension, table.slice))
        # What the reference hardly knows is no expectation.
        if rows is not None and rows.any() and table.rows >= MIN_ROWS:
            yield from _compare(table, each[rows], judged.stratum[rows], judged.watching.unit)


def _compare(
    table: ErrorTable, each: Floats, stratum: Ints, target_unit: str
) -> Iterator[Measurement]:
    squared, absolute, plain, inside = each.mean(axis=0)
    expected = table.expected(mix_of(stratum, len(table.sums)))
    half = _TWO_SIDED_95 * _standard_errors(each)
    rmse = float(np.sqrt(squared))
    half_rmse = half[0] / (2 * rmse) if rmse > 0 else half[0]  # delta method
    n = len(each)
    subject = f"{table.dimension}: {table.slice}" if table.dimension != OVERALL[0] else ALL_ROWS
    expected_rmse = float(np.sqrt(expected[0]))
    columns: tuple[tuple[str, Scale, Side, float, float, float, str, float], ...] = (
        ("rmse", "ratio", "high", rmse, expected_rmse, half_rmse, target_unit, expected_rmse),
        ("mae", "ratio", "high", absolute, expected[1], half[1], target_unit, expected[1]),
        # A bias of nothing has no relative change: it is held against the error it is part of.
        ("bias", "difference", "both", plain, expected[2], half[2], target_unit, expected_rmse),
        ("coverage", "share", "low", inside, expected[3], half[3], "%", 1.0),
    )
    for statistic, scale, side, value, usual, around, unit, yardstick in columns:
        found, reference = float(value), float(usual)
        interval = (found - around, found + around) if np.isfinite(around) else None
        yield Measurement(
            *("performance", subject, statistic, scale, side, n, found, reference, unit),
            interval=interval,
            yardstick=float(yardstick),
        )


def _standard_errors(each: Floats) -> Floats:
    """Return the standard errors of the column means of rows in the order of time."""
    blocks = min(_BLOCKS, len(each))
    if blocks < 2:
        return np.full(each.shape[1], np.inf)
    starts = np.linspace(0, len(each), blocks, endpoint=False).astype(int)
    means = np.add.reduceat(each, starts) / np.diff([*starts, len(each)])[:, None]
    return np.asarray(means.std(axis=0, ddof=1) / np.sqrt(blocks))


def _slices(window: RowWindow) -> Iterator[tuple[str, str, Mask]]:
    yield (*OVERALL, np.ones(len(window), dtype=bool))
    for dimension, labels in window.slices.items():
        codes, names = labels.cat.codes.to_numpy(), labels.cat.categories
        for code, name in enumerate(names):
            yield str(dimension), str(name), codes == code


def _sums(each: Floats, window: RowWindow, rows: Mask) -> tuple[tuple[float, ...], ...]:
    sums = np.zeros((window.watching.strata, each.shape[1]))
    np.add.at(sums, window.stratum[rows], each)
    return tuple(map(tuple, sums.tolist()))
