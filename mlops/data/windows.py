"""How time is divided into train, validation and test. Never random, never overlapping."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from mlops.data.months import month_bounds
from mlops.errors import ConfigurationError
from mlops.settings import WindowSettings


class Interval(NamedTuple):
    """A half-open interval ``[start, end)`` of event times, in local wall-clock time."""

    start: datetime
    end: datetime


def plan_windows(
    months: Sequence[str], windows: WindowSettings
) -> tuple[Interval, Interval, Interval]:
    """Divide the time from the first month to the end of the last into three windows.

    By default the last ``test_months`` are the test window, the ``validation_days`` before it the
    validation window, and what precedes it the train window. When there are no more months than
    ``test_months``, the test window is the last quarter of the days instead (of one month, about
    a week), so that a single month still trains, validates and tests on separate days. With
    ``test_days`` the last so many days are the test window, and all but them is learned from.

    Args:
        months: As ``YYYY-MM``, in any order; at least one.
        windows: Lengths of the windows, or explicit dates, which win; of the lengths of the test
            window, days win over months.

    Returns:
        Train, validation and test: adjacent, in order of time, each at least one day long.

    Raises:
        ConfigurationError: Naming the setting that leaves a window empty or out of order.
    """
    if not months:
        raise ConfigurationError("source.months: there is no month", "name at least one month")
    months = sorted(set(months))
    start, end = month_bounds(months[0])[0], month_bounds(months[-1])[1]
    test_start = _test_start(months, windows)
    if not start < test_start < end:
        in_days = windows.test_start is None
        raise ConfigurationError(
            f"windows.{'test_days' if in_days else 'test_start'}: a test window from"
            f" {test_start:%Y-%m-%d} on leaves no day for training or for test:"
            f" the data goes from {start:%Y-%m-%d} to {end - timedelta(days=1):%Y-%m-%d}",
            f"choose {'fewer days' if in_days else 'a date inside this period'},"
            " or request more months",
        )
    by_days = windows.validation_start is None
    validation_start = _midnight(windows.validation_start) or test_start - timedelta(
        days=windows.validation_days
    )
    if not start < validation_start < test_start:
        name = "validation_days" if by_days else "validation_start"
        raise ConfigurationError(
            f"windows.{name}: validation would start on {validation_start:%Y-%m-%d}, which is not"
            f" between the first day of training, {start:%Y-%m-%d}, and the start of test,"
            f" {test_start:%Y-%m-%d}",
            "choose fewer days or request more months" if by_days else "choose a date between them",
        )
    return (
        Interval(start, validation_start),
        Interval(validation_start, test_start),
        Interval(test_start, end),
    )


def _test_start(months: Sequence[str], windows: WindowSettings) -> datetime:
    start, end = month_bounds(months[0])[0], month_bounds(months[-1])[1]
    if windows.test_start:
        return datetime.combine(windows.test_start, time())
    if windows.test_days:
        return end - timedelta(days=windows.test_days)
    if len(months) > windows.test_months:
        return month_bounds(months[-windows.test_months])[0]
    return end - timedelta(days=(end - start).days // 4)


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time()) if day else None
