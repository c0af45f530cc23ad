"""Cuts what arrived into windows: a pure function of the times of arrival, and nothing else.

A cut never depends on when it is made. Cutting again later, with more arrivals, from the start or
from the end of any window, gives the same windows. So only the end of the last one needs to be
remembered, and the stored windows hold it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops.settings import MonitoringSettings

Instants = npt.NDArray[np.int64]  # microseconds

DAY_US: Final = 86_400_000_000
_NEVER: Final = np.iinfo(np.int64).max


class Span(NamedTuple):
    """A half-open span of time, in microseconds."""

    start: int
    end: int


def cut(arrived: Instants, until: int, settings: MonitoringSettings) -> list[Span]:
    """Cut arrivals into complete windows.

    A window begins with an arrival. It is complete when it holds ``window_trips``, or when it is
    ``window_days`` old and holds ``min_window_trips``. What arrived at the same instant stays
    together: a request with thousands of rows is not divided.

    Args:
        arrived: Sorted; shape ``(n,)``.
        until: Everything that arrived before is known.
        settings: Sizes.

    Returns:
        The complete windows, in order; what is left behind the last belongs to one to come.
    """
    known = arrived[: np.searchsorted(arrived, until)]
    spans: list[Span] = []
    first = 0
    while first < len(known):
        start = int(known[first])
        by_age = start + int(settings.window_days * DAY_US)
        if np.searchsorted(known, by_age) - first < settings.min_window_trips:
            by_age = _after(known, first + settings.min_window_trips)
        end = min(by_age, _after(known, first + settings.window_trips))
        if end > until:
            break
        spans.append(Span(start, end))
        first = int(np.searchsorted(known, end))
    return spans


def _after(known: Instants, count: int) -> int:
    """Return the end of the span that holds the first ``count`` arrivals."""
    return int(known[count - 1]) + 1 if count <= len(known) else int(_NEVER)
