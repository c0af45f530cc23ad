"""Times of requests: ISO 8601 to the local wall clock of a dataset's zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo


def wall_clock_in(zone: ZoneInfo) -> Callable[[Any], datetime]:
    """Return the function that reads a time and raises a `ValueError` for anything else.

    A time with an offset becomes local time in the zone; one without is local already. Numbers are
    refused: whether they count seconds or milliseconds is a guess.
    """

    def wall_clock(value: Any) -> datetime:
        if isinstance(value, str):
            try:
                # Python 3.10 does not know the Z of ISO 8601.
                value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
            except ValueError:
                value = None
        if not isinstance(value, datetime):
            raise ValueError("must be a time in ISO 8601, e.g. 2024-03-01T08:30:00")
        if value.tzinfo is None:
            return value
        try:
            return value.astimezone(zone).replace(tzinfo=None)
        except OverflowError as error:  # the first and last days of the calendar
            raise ValueError("must be a time between the years 2 and 9998") from error

    return wall_clock
