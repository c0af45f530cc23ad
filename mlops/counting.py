"""Numbers in words, as every message, report and chart writes them."""

from __future__ import annotations

from math import ceil, isfinite, log10


def counted(number: float, noun: str) -> str:
    """Return a number, rounded to a whole one, with its noun: ``1 row``, ``12,000 rows``."""
    whole = round(number)
    return f"{whole:,} {noun}{'s' if whole != 1 else ''}"


def decimals_for(size: float) -> int:
    """Return with how many decimals numbers of about this size are written: two for most."""
    size = abs(size)
    if not isfinite(size) or size == 0:
        return 2
    if size >= 1:
        return 0 if size >= 1_000 else 1 if size >= 100 else 2
    return min(2 + ceil(-log10(size)), 8)
