"""Times of requests: ISO 8601 to the local wall clock of a dataset's zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
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


def wall_clock_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clocks of a zone show at an instant, without a zone."""
    return instant.astimezone(zone).replace(tzinfo=None)


def instant_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant, UTC, at which the clocks of a zone show a time.

    Of two such instants it is the first. A time that the clocks skip is when they skip it: any
    later instant would be beyond times that are later by the clock.
    """
    instant = moment.replace(tzinfo=zone).astimezone(timezone.utc)
    if wall_clock_of(instant, zone) == moment:
        return instant
    # The clocks change between what their time before and what their time after makes of it.
    before = moment.replace(tzinfo=zone, fold=1).astimezone(timezone.utc)
    offset = before.astimezone(zone).utcoffset()
    while instant - before > timedelta(microseconds=1):
        middle = before + (instant - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            instant = middle
    return instant
