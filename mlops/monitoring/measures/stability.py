"""What needs no history to be wrong: impossible predictions, skew, a clock that stands still.

Their limits are set by hand, most of them at zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.answers import ANSWER
from mlops.errors import DataQualityError
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.windows.features import RowWindow

# Requests that came within less say nothing of the clock.
_MIN_SPAN: Final = pd.Timedelta(minutes=10)
# The log may keep float32, which is exact to 6e-8 of a number.
_ROUNDING: Final = 1e-4


def measure_predictions(window: RowWindow, profile: ReferenceProfile) -> Iterator[Measurement]:
    """Count predictions that no working model makes."""
    if window.predictions is None:
        return
    made = window.predictions[~window.refused]
    middle, lower, upper = (made[name].to_numpy(np.float64) for name in ANSWER)
    low, high = profile.shortest * (1 - _ROUNDING), profile.longest * (1 + _ROUNDING)
    with np.errstate(invalid="ignore"):
        wrong = {
            "missing": np.isnan(middle),
            "infinite": np.isinf(middle) | np.isinf(lower) | np.isinf(upper),
            "out of range": np.isfinite(middle) & ((middle < low) | (middle > high)),
            "outside their interval": (middle < lower) | (middle > upper),
        }
    for name, mask in wrong.items():
        count = float(mask.sum())
        yield Measurement(
            *("stability", "predictions", name, "difference", "high", len(made), count, 0.0),
            unit=window.watching.plural,
        )


def measure_progress(window: RowWindow) -> Iterator[Measurement]:
    """Measure how far events moved on per time that passed between requests: 1, or the clock
    stands still, runs or jumps. Requests that all came within ten minutes are not measured.
    """  # noqa: D205
    if window.arrived_at is None or not len(window):
        return
    arrived = _middle_span(pd.Series(window.arrived_at))
    if arrived >= _MIN_SPAN:
        value = float(_middle_span(window.events) / arrived)
        yield Measurement(
            "stability", "clock", "progress", "difference", "low", len(window), value, 1.0
        )


def measure_skew(logged: pd.DataFrame, recomputed: pd.DataFrame) -> Iterator[Measurement]:
    """Count rows where what was computed online differs from what history gives (train/serve skew).

    Args:
        logged: Numeric columns as the server logged them, e.g. the prediction.
        recomputed: The same columns of the same rows, computed by the training code.

    Raises:
        DataQualityError: If the two do not have the same rows.
    """
    if len(logged) != len(recomputed):
        raise DataQualityError(
            f"{len(logged)} logged rows are compared with {len(recomputed)} recomputed ones",
            "recompute exactly the rows that were logged, in their order",
        )
    for name in logged.columns.intersection(recomputed.columns):
        one, other = (frame[name].to_numpy(np.float64) for frame in (logged, recomputed))
        same = np.isclose(one, other, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True)
        share = float(np.mean(~same)) if len(same) else 0.0
        yield Measurement(
            "skew", str(name), "share", "difference", "high", len(same), share, 0.0, "%"
        )


def measure_staleness(learned_until: datetime, now: datetime) -> Iterator[Measurement]:
    """Measure the age in days of what a model knows; both times with a zone, or both without."""
    days = (now - learned_until).total_seconds() / 86_400
    yield Measurement("staleness", "model", "age", "difference", "high", 1, days, 0.0, "days")


def _middle_span(times: pd.Series[Any]) -> pd.Timedelta:
    """Return the span of the middle 80 %, which a few strays do not stretch."""
    known = times.dropna()
    if known.empty:
        return pd.Timedelta(0)
    return pd.Timedelta(known.quantile(0.9) - known.quantile(0.1))
