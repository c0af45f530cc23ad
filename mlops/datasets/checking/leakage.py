"""Columns that know the future: what the target, or the time at which it is known, has gone into.

A column is suspect if it predicts the target on its own too well on rows that the small model has
not seen; if it is a step function of the target or of the outcome's time; or if it is a statistic
of the target over the rows that share its value, which could only be computed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.declared.calendar import calendar_part, days_of

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

CERTAIN: Final = 0.99  # R² above which a column is the target in another form
SUSPICIOUS: Final = 0.9
_FUNCTION: Final = 0.999  # R² with which a length of time determines what is computed from it
_ROWS: Final = 40_000
_BINS: Final = 256
_ROWS_PER_BIN: Final = 20
_CLIPPED: Final = 0.001  # share of the target cut at each end: one value must not decide
_SHRINKING: Final = 5.0  # rows, weight of the mean of all rows in a group's mean
_FEWEST: Final = 30  # rows below which nothing can be said
_FEWEST_CHANGES: Final = 9  # expected ones below which a step function is no surprise
_CHANGES: Final = 0.01  # of the expected number: changes along a column that determines another
_IMPURITY: Final = 0.001
_EXACT: Final = 1e-6  # of the target's standard deviation
_STATISTICS: Final = ("mean", "median", "min", "max", "std", "sum")
_SELECTED: Final = ("median", "min", "max")  # a value of the group itself
_FEWEST_GROUPS: Final = 10  # below which a count may be one that the group has, by chance
_MINUTE: Final = np.timedelta64(1, "m")


class KnownAfterwards(NamedTuple):
    """What is known only when the target is.

    Attributes:
        target: ``(n,)``, finite.
        event: Times of the events, ``datetime64``; None without time.
        outcome: Times at which the target is known; None if the definition names none.
    """

    target: Floats
    event: Any = None
    outcome: Any = None


class Suspicion(NamedTuple):
    """Why a column seems to know the future.

    Attributes:
        kind: What has gone into it; ``power``: it predicts too well.
        reason: In words, to follow the column's name.
        certain: Whether there is hardly another explanation.
    """

    kind: Literal["target", "outcome", "aggregate", "power"]
    reason: str
    certain: bool


def suspicion(values: npt.NDArray[Any], known: KnownAfterwards) -> Suspicion | None:
    """Judge one column.

    Args:
        values: ``(n,)``: numbers, times (``datetime64``) or texts; a missing value is NaN, NaT or
            None.
        known: Of the same rows.

    Returns:
        The strongest suspicion, or None.
    """
    if len(values) < _FEWEST:
        return None
    if statistic := _aggregate(values, known):
        reason = f"is the {statistic} of the target over the rows that share its value"
        return Suspicion("aggregate", reason, True)
    values, known = _fewer(values, known)
    numbers = _as_numbers(values, known.event)
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    few = 2 <= len(distinct) <= max(2, len(values) // 10)
    if few and _runs(codes, known.target):
        return Suspicion("target", "is computed from the target: it changes only with it", True)
    power = power_alone(values, known)
    reverse = 0.0 if numbers is None else _held_out(known.target, numbers)
    best = max(power, reverse)
    if best < CERTAIN and _follows_outcome(codes, numbers, known, few):
        return Suspicion("outcome", "is computed from the time at which the target is known", True)
    if best < SUSPICIOUS:
        return None
    how = "predicts the target on its own" if power >= reverse else "is predicted by the target"
    return Suspicion("power", f"{how} with R² {best:.3f}", best >= CERTAIN)


def power_alone(values: npt.NDArray[Any], known: KnownAfterwards) -> float:
    """Return the R² with which one column predicts the target on rows that it has not seen.

    Args:
        values: As in `suspicion`.
        known: Of the same rows.

    Returns:
        At most 1; at least 0.
    """
    if len(values) < _FEWEST:
        return 0.0
    values, known = _fewer(values, known)
    numbers = _as_numbers(values, known.event)
    if numbers is None:
        return _held_out_by_group(pd.factorize(values, use_na_sentinel=False)[0], known.target)
    return _held_out(numbers, known.target)


def _fewer(
    values: npt.NDArray[Any], known: KnownAfterwards
) -> tuple[npt.NDArray[Any], KnownAfterwards]:
    """Keep every so many rows: more say nothing new about power and step functions."""
    step = -(-len(values) // _ROWS)
    thinner = (None if each is None else each[::step] for each in known)
    return values[::step], KnownAfterwards(*thinner)  # type: ignore[arg-type]


def _as_numbers(values: npt.NDArray[Any], event: Any) -> Floats | None:
    """Return numbers as they are, times as minutes from the event, and None for texts."""
    if values.dtype.kind == "M":
        start = event if event is not None else np.datetime64(0, "us")
        return _minutes(values, start)
    return values.astype(np.float64) if values.dtype.kind in "fiub" else None


def _minutes(times: Any, start: Any) -> Floats:
    return np.asarray((times - start) / _MINUTE, dtype=np.float64)


def _halves(rows: int) -> npt.NDArray[np.bool_]:
    """Return which rows are learned from: half of them, always the same."""
    return np.asarray(np.random.default_rng(0).permutation(rows) % 2 == 0)


def _r2(target: Floats, predicted: Floats) -> float:
    spread = ((target - target.mean()) ** 2).sum()
    return float(max(0.0, 1 - ((target - predicted) ** 2).sum() / spread)) if spread > 0 else 0.0


def _clipped(target: Floats) -> Floats:
    return np.clip(target, *np.quantile(target, [_CLIPPED, 1 - _CLIPPED]))


def _held_out(numbers: Floats, target: Floats) -> float:
    """Return the R² of the better of two small models, on the other half, times what is given.

    One is a straight line, also between ranks; the other joins the means of quantile bins, also of
    the rank of the target, whose largest values then decide no more than others.
    """
    given = np.isfinite(numbers) & np.isfinite(target)
    if given.sum() < _FEWEST:
        return 0.0
    x, y = numbers[given], target[given]
    learned = _halves(len(x))
    ranks = pd.Series(y).rank().to_numpy(np.float64)
    best = max(_line(x, y, learned), _line(pd.Series(x).rank().to_numpy(), ranks, learned))
    for wanted in (_clipped(y), ranks):
        best = max(best, _joined_means(x, wanted, learned))
    return best * float(given.mean())


def _line(x: Floats, y: Floats, learned: npt.NDArray[np.bool_]) -> float:
    known_x, known_y = x[learned] - x[learned].mean(), y[learned] - y[learned].mean()
    spread = float((known_x**2).sum())
    if not 0 < spread < np.inf:
        return 0.0
    slope = float((known_x * known_y).sum()) / spread
    return _r2(y[~learned], y[learned].mean() + slope * (x[~learned] - x[learned].mean()))


def _joined_means(x: Floats, y: Floats, learned: npt.NDArray[np.bool_]) -> float:
    bins = min(_BINS, max(2, int(learned.sum()) // _ROWS_PER_BIN))
    edges = np.unique(np.quantile(x[learned], np.linspace(0, 1, bins + 1)[1:-1]))
    places = np.searchsorted(edges, x[learned], side="right")
    counts = np.bincount(places, minlength=len(edges) + 1)
    filled = counts > 0
    mean_x = np.bincount(places, x[learned], len(counts))[filled] / counts[filled]
    mean_y = np.bincount(places, y[learned], len(counts))[filled] / counts[filled]
    return _r2(y[~learned], np.interp(x[~learned], mean_x, mean_y))


def _held_out_by_group(codes: Codes, target: Floats) -> float:
    """Return the R² of the groups' means, drawn towards the mean of all, on the other half."""
    y = _clipped(target)
    learned = _halves(len(y))
    size = int(codes.max()) + 1
    mean = y[learned].mean()
    counts = np.bincount(codes[learned], minlength=size)
    sums = np.bincount(codes[learned], y[learned], size)
    means = (sums + _SHRINKING * mean) / (counts + _SHRINKING)
    return _r2(y[~learned], means[codes[~learned]])


def _runs(codes: Codes, by: Floats) -> bool:
    """Tell whether a column changes only a few times along another one: a step function of it."""
    given = np.isfinite(by)
    codes, by = codes[given], by[given]
    shares = np.bincount(codes) / max(len(codes), 1)
    expected = len(codes) * (1 - (shares**2).sum())
    if expected < _FEWEST_CHANGES:
        return False
    # Rows that are equal in ``by`` come in any order, in which other columns change.
    order = np.lexsort((np.random.default_rng(0).random(len(by)), by))
    changes = int((np.diff(codes[order]) != 0).sum())
    return bool(changes - (np.count_nonzero(shares) - 1) <= _CHANGES * expected)


def _aggregate(values: npt.NDArray[Any], known: KnownAfterwards) -> str:
    """Return the statistic of the target that a column is, over the rows with the same value."""
    if values.dtype.kind not in "fiu":
        return ""
    numbers, target = values.astype(np.float64), known.target
    codes, _ = pd.factorize(values, use_na_sentinel=False)
    sizes = np.bincount(codes)
    repeated = (sizes[codes] > 1) & np.isfinite(numbers)
    groups = len(np.unique(codes[repeated]))
    if groups < 2 or repeated.mean() < 0.5 or groups > repeated.sum() / 2:
        return ""
    by_group = pd.Series(target[repeated]).groupby(codes[repeated])
    tolerance = _EXACT * max(float(target.std()), 1e-300)
    shown = numbers[repeated]
    chance = groups < _FEWEST_GROUPS and bool((target[repeated] % 1 == 0).all())
    for statistic in _STATISTICS:
        if chance and statistic in _SELECTED:
            continue
        value = by_group.transform(statistic).to_numpy(np.float64)
        if (np.abs(value - shown) <= tolerance + 1e-9 * np.abs(shown)).mean() > 0.9:
            return statistic
    return ""


def _follows_outcome(
    codes: Codes, numbers: Floats | None, known: KnownAfterwards, few: bool
) -> bool:
    """Tell whether the outcome's time determines a column, and the event's does not."""
    if known.outcome is None or known.event is None:
        return False
    given = ~(np.isnat(known.outcome) | np.isnat(known.event))
    if given.sum() < _FEWEST:
        return False
    codes, outcome, event = codes[given], known.outcome[given], known.event[given]
    duration = _minutes(outcome, event)
    if few and _runs(codes, duration):
        return True
    if numbers is not None:
        x = numbers[given]
        if _held_out(duration, x) >= _FUNCTION:
            return True
        for of in (_minute_of_day, _epoch):
            later, earlier = _held_out(of(outcome), x), _held_out(of(event), x)
            if later >= CERTAIN and 1 - later < 0.1 * (1 - earlier):
                return True
    parts: tuple[Callable[[Any], Floats], ...] = (
        *(days_of, partial(calendar_part, part="hour"), partial(calendar_part, part="weekday")),
        _minute_of_day,
    )
    return few and any(_purer(codes, of(outcome), of(event)) for of in parts)


def _purer(codes: Codes, later: Any, earlier: Any) -> bool:
    after, before = _impurity(codes, later), _impurity(codes, earlier)
    return bool(before > _IMPURITY and after < 0.1 * before)


def _impurity(codes: Codes, by: Any) -> float:
    """Return the share of rows that differ from the most frequent value of their group."""
    groups, _ = pd.factorize(by)
    pairs, counts = np.unique(groups * (int(codes.max()) + 1) + codes, return_counts=True)
    most = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    np.maximum.at(most, pairs // (int(codes.max()) + 1), counts)
    if len(most) > len(codes) // 4:
        return 1.0  # groups of single rows are always pure
    return 1 - float(most.sum()) / len(codes)


def _epoch(times: Any) -> Floats:
    return _minutes(times, np.datetime64(0, "us"))


def _minute_of_day(times: Any) -> Floats:
    return _minutes(times, times.astype("datetime64[D]"))
