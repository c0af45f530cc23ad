"""Axes of moments: ticks whose labels differ, as short as that allows, and an end that is now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, date2num, num2date
from matplotlib.ticker import Formatter

_LEAST_DAYS: Final = 0.02  # that an axis with dates shows
# The shortest that tells all ticks apart is used.
_TIMES: Final = ("%d %b %H:%M", "%d %b %H:%M:%S", "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S")
_DAYS: Final = ("%d %b", "%d %b %Y")
_MONTHS: Final = ("%b %Y",)


def dates(on: Axes, until: datetime | None = None) -> None:
    """Let the x axis show moments (UTC); call it last.

    Args:
        on: The axes.
        until: Where the axis ends, such as now: what happened last is then seen to be long ago.
    """
    first, last = on.dataLim.intervalx
    if until is not None:
        last = max(last, date2num(until))  # type: ignore[no-untyped-call]
    if last - first < _LEAST_DAYS:  # one moment alone has no scale
        middle = (first + last) / 2
        first, last = middle - _LEAST_DAYS / 2, middle + _LEAST_DAYS / 2
        on.set_xlim(first, last)
    elif until is not None:
        on.set_xlim(first - 0.01 * (last - first), last)
    on.xaxis.set_major_locator(
        AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    )
    on.xaxis.set_major_formatter(_Moments())


def name_moments(on: Axes, moments: pd.Series[Any], at_most: int, middle: float = 0.0) -> None:
    """Name some of the places 0, 1, 2, … of an axis by their moments, evenly.

    Args:
        on: The axes.
        moments: Of the places, in their order.
        at_most: How many are named.
        middle: Where in its place a name is.
    """
    places = np.arange(len(moments))[:: max(1, -(-len(moments) // at_most))]
    labels = moment_labels([moments.iloc[place] for place in places])
    on.set_xticks(places + middle, labels)


def moment_labels(moments: Sequence[datetime]) -> list[str]:
    """Return a label for each moment; labels of different moments differ.

    Moments of one day are labelled with their times, and the first of them names the day.
    """
    if not moments:
        return []
    if all(_is_midnight(each) for each in moments):
        first_days = len(moments) > 1 and all(each.day == 1 for each in moments)
        return _distinct(moments, _MONTHS if first_days else _DAYS)
    if len(moments) > 1 and len({each.date() for each in moments}) == 1:
        labels = _distinct(moments, ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f"))
        return [f"{labels[0]}\n{moments[0]:%d %b %Y}", *labels[1:]]
    return _distinct(moments, _TIMES)


def _distinct(moments: Sequence[datetime], formats: Sequence[str]) -> list[str]:
    labels: list[str] = []
    for each in formats:
        labels = [f"{moment:{each}}" for moment in moments]
        if len(set(labels)) == len(set(moments)):
            break
    return labels


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second) == (0, 0, 0)


class _Moments(Formatter):
    """Labels ticks together, so that they can be told apart."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{num2date(x):%d %b %Y %H:%M}"  # type: ignore[no-untyped-call]

    def format_ticks(self, values: Any) -> list[str]:
        return moment_labels([_to_second(num2date(value)) for value in values])  # type: ignore[no-untyped-call]


def _to_second(moment: datetime) -> datetime:
    """Return a moment without the fractions that come from counting days in floating point."""
    return pd.Timestamp(moment).round("s").to_pydatetime()
