"""Calendar months, the unit in which many sources publish rows."""

from __future__ import annotations

import re
from datetime import datetime

from mlops.errors import ConfigurationError

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def parse_months(text: str, name: str = "") -> tuple[str, ...]:
    """Expand a month expression into consecutive months.

    Args:
        text: One month (``2024-01``), an inclusive range (``2023-11..2024-02``), or several of
            these separated by commas.
        name: Of the option or variable that it was given by, for errors; a setting names itself.

    Returns:
        The months as ``YYYY-MM``, sorted, without repeats.

    Raises:
        ConfigurationError: If a part is not a month or a range runs backwards.
    """
    months: set[str] = set()
    whose = f"{name}: " if name else ""
    for part in (piece.strip() for piece in text.split(",")):
        first, _, last = part.partition("..")
        last = last or first
        for end in (first, last):
            if not _MONTH.fullmatch(end):
                raise ConfigurationError(
                    f"{whose}{part!r} is not a month or a range of months",
                    "write YYYY-MM, or YYYY-MM..YYYY-MM for a range, e.g. 2024-01..2024-02",
                )
        if last < first:
            raise ConfigurationError(
                f"{whose}the range {part!r} runs backwards",
                f"write the earlier month first: {last}..{first}",
            )
        month = first
        while month <= last:
            months.add(month)
            month = next_month(month)
    return tuple(sorted(months))


def next_month(month: str) -> str:
    """Return the month after ``month`` (both ``YYYY-MM``)."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + 1}-01" if number == 12 else f"{year}-{number + 1:02d}"


def months_between(start: datetime, end: datetime) -> int:
    """Return how many months the month of ``end`` lies after that of ``start``."""
    return (end.year - start.year) * 12 + end.month - start.month


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """Return the half-open interval ``[start, end)`` of a month, in local wall-clock time."""
    following = next_month(month)
    return (
        datetime(int(month[:4]), int(month[5:]), 1),
        datetime(int(following[:4]), int(following[5:]), 1),
    )


def months_as_text(months: tuple[str, ...]) -> str:
    """Write months as a setting is given them: as a range if none is left out.

    Args:
        months: At least one, in order.
    """
    span = f"{months[0]}..{months[-1]}"
    return span if parse_months(span) == months else ",".join(months)
