"""Columns that give the target together: a sum or a product that is exact in nearly every row.

`casual + registered` is the number of rentals, `distance / speed` the time of a trip. No column of
such a formula predicts the target well enough on its own to be suspected, yet together they leave
nothing to learn: either they are known only afterwards, or no model is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROWS: Final = 4_000  # or five for each column, if that is more
_GIVEN: Final = 0.9  # share of rows that must have all values
_EXACT: Final = 0.99  # share of rows in which a formula must be right
_NEAR: Final = 0.02  # distance of a fitted weight from -1, 0 and 1
_WEIGHT: Final = 0.005  # share of the target's spread below which a column has no part in it
_FEWEST: Final = 100  # rows
_MOST_PARTS: Final = 6


class ExactFormula(NamedTuple):
    """A formula that gives the target.

    Attributes:
        columns: That it consists of, at least two.
        text: Such as ``casual + registered``.
    """

    columns: tuple[str, ...]
    text: str

    @property
    def reason(self) -> str:
        """Why each of its columns is suspect, to follow the column's name."""
        return f"is part of a formula that gives the target exactly: {self.text}"


def exact_formula(columns: Mapping[str, Any], target: Floats) -> ExactFormula | None:
    """Find a sum, difference, product or quotient of number columns that is the target.

    Args:
        columns: Numbers by name, ``(n,)`` each, NaN where missing.
        target: ``(n,)``, finite.

    Returns:
        The formula, or None.
    """
    # A column that is often empty cannot be part of what holds in nearly every row.
    names = [name for name, values in columns.items() if np.isfinite(values).mean() >= _GIVEN]
    if len(names) < 2 or len(target) < _FEWEST:
        return None
    wanted = max(_ROWS, 5 * len(names))
    rows = np.linspace(0, len(target) - 1, min(wanted, len(target))).astype(int)
    x = np.column_stack([np.asarray(columns[name], dtype=np.float64)[rows] for name in names])
    y = target[rows]
    whole = np.isfinite(x).all(axis=1)
    if whole.mean() < _GIVEN:
        return None
    x, y = x[whole], y[whole]
    if len(y) < max(_FEWEST, 2 * len(names)) or y.std() == 0:
        return None
    step = _step(y)
    if (weights := _signs(x, y)) is not None and _fits(x @ weights, y, step):
        return ExactFormula(*_written(names, weights, " + ", " - "))
    positive = [place for place in range(len(names)) if (x[:, place] > 0).all()]
    if len(positive) < 2 or not (y > 0).all():
        return None
    logs = np.log(x[:, positive])
    weights = _signs(np.column_stack([logs, np.ones(len(y))]), np.log(y), constant=True)
    if weights is None:
        return None
    product = np.exp(logs @ weights)
    if not _fits(product * np.median(y / product), y, step):
        return None
    return ExactFormula(*_written([names[place] for place in positive], weights, " × ", " / "))


def _signs(x: Floats, y: Floats, *, constant: bool = False) -> Floats | None:
    """Fit weights; return them rounded if each is -1, 0 or 1, and at least two are not 0."""
    spread = x.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    fitted = np.linalg.lstsq(x / scale, y, rcond=None)[0] / scale
    if constant:
        fitted, spread = fitted[:-1], spread[:-1]
    fitted = np.where(np.abs(fitted) * spread < _WEIGHT * y.std(), 0.0, fitted)
    weights = np.asarray(np.round(fitted), dtype=np.float64)
    exact = (np.abs(weights) <= 1).all() and (np.abs(fitted - weights) <= _NEAR).all()
    return weights if exact and 2 <= np.count_nonzero(weights) <= _MOST_PARTS else None


def _step(y: Floats) -> float:
    """Return the unit of the last decimal that the target is rounded to, 0 if to none."""
    return next((10.0**-n for n in range(4) if np.abs(y * 10.0**n % 1 - 0.5).min() > 0.499), 0.0)


def _fits(given: Floats, y: Floats, step: float) -> bool:
    """Tell whether a formula is right up to rounding, which must be small beside the spread."""
    off = np.abs(given - y)
    close = off <= 0.51 * step + 1e-9 * np.abs(y)
    return bool(close.mean() >= _EXACT and np.median(off) <= 0.05 * y.std())


def _written(
    names: list[str], weights: Floats, plus: str, minus: str
) -> tuple[tuple[str, ...], str]:
    """Return the columns of a formula and its text; what is added or multiplied comes first."""
    used = sorted(np.flatnonzero(weights), key=lambda place: -weights[place])
    first, *others = used
    text = names[first] if weights[first] > 0 else f"1{minus}{names[first]}"
    for place in others:
        text += (plus if weights[place] > 0 else minus) + names[place]
    return tuple(names[place] for place in used), text
