"""How numbers are written in reports: one format per kind, everywhere the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from mlops.counting import decimals_for
from mlops.datasets.wording import DatasetWords

NOT_KNOWN: Final = "not known"
_SMALLEST: Final = 0.001
_DIGITS: Final[Mapping[str, int]] = {"days": 1, "ms": 1, "s": 1, "MB": 1}


@dataclass(frozen=True)
class Amounts:
    """How amounts of a target are written: with its unit, and the decimals that its errors need.

    Attributes:
        unit: As it stands behind a number; empty if there is none.
        decimals: Of every amount in a report, so that they can be compared.
        rows: What a record calls the rows that it counts.
    """

    unit: str = ""
    decimals: int = 2
    rows: str = "rows"

    @classmethod
    def like(cls, error: float | None, words: DatasetWords) -> Amounts:
        """Return how amounts are written, given how large errors usually are."""
        return cls(words.short, 2 if error is None else decimals_for(error), words.rows)

    def number(self, value: float | None, *, signed: bool = False) -> str:
        """Write an amount without its unit, for columns whose heading names it, e.g. ``2.61``."""
        if value is None:
            return NOT_KNOWN
        rounded = round(value, self.decimals) + 0.0  # never −0
        sign = "+" if signed and rounded else ""
        return f"{rounded:{sign},.{self.decimals}f}".replace("-", "−")

    def full(self, value: float | None, *, signed: bool = False) -> str:
        """Write an amount, e.g. ``2.61 min``."""
        return _with(self.unit, self.number(value, signed=signed))

    def span(self, low: float, high: float, *, signed: bool = False) -> str:
        """Write an interval of amounts without their unit, e.g. ``2.58 to 2.64``."""
        return f"{self.number(low, signed=signed)} to {self.number(high, signed=signed)}"

    def error(self, value: float | None, unit: str, *, signed: bool = False) -> str:
        """Write an error, or a share of answers if the unit of the record is ``%``."""
        return (percent if unit == "%" else self.full)(value, signed=signed)

    def in_unit(self, value: float | None, unit: str, *, signed: bool = False) -> str:
        """Write a number in the unit that a record names; ``%`` means that it is a share."""
        if value is None:
            return NOT_KNOWN
        if unit == "%":
            return percent(value, signed=signed)
        if unit in (self.rows, "count", "requests"):
            return f"{count(value)} {unit}"
        if unit and unit == self.unit:
            return self.full(value, signed=signed)
        if 0 < abs(value) < _SMALLEST:
            return _with(unit, f"<{_SMALLEST}")
        digits = _DIGITS.get(unit, 3)
        return _with(unit, f"{value:{'+' if signed else ''},.{digits}f}".replace("-", "−"))


def percent(value: float | None, *, signed: bool = False) -> str:
    """Write a share, e.g. ``79.8%``."""
    if value is None:
        return NOT_KNOWN
    if 0 < value < 0.0005 and not signed:
        return "<0.1%"
    text = f"{value:+.1%}" if signed else f"{value:.1%}"
    return text.replace("-", "−")


def count(value: float | None) -> str:
    """Write a number of things, e.g. ``51,492``."""
    return NOT_KNOWN if value is None else f"{value:,.0f}"


def percent_span(low: float, high: float) -> str:
    """Write an interval of shares, e.g. ``79.1% to 80.4%``."""
    return f"{percent(low)} to {percent(high)}"


def milliseconds(value: float | None) -> str:
    """Write a short time, e.g. ``3.2 ms``."""
    return _with("ms", NOT_KNOWN if value is None else f"{value:.1f}")


def megabytes(value: float | None) -> str:
    """Write a size, 10⁶ bytes each, e.g. ``3.1 MB``."""
    return _with("MB", NOT_KNOWN if value is None else f"{value:,.1f}")


def moment(value: datetime | None) -> str:
    """Write a time, in UTC if it has a zone: ``2024-03-01 17:45 UTC``."""
    if value is None:
        return NOT_KNOWN
    if value.tzinfo is None:
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def day(value: datetime) -> str:
    """Write a day: ``2024-03-01``."""
    return f"{value:%Y-%m-%d}"


def _with(unit: str, text: str) -> str:
    return text if text == NOT_KNOWN or not unit else f"{text} {unit}"
