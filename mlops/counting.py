"""A number of things in words, as every message, report and chart writes it."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """Return a number, rounded to a whole one, with its noun: ``1 trip``, ``12,000 trips``."""
    whole = round(number)
    return f"{whole:,} {noun}{'s' if whole != 1 else ''}"
