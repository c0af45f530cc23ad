"""Months expand, order themselves, and complain by name."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.data.months import month_bounds, next_month, parse_months
from mlops.errors import ConfigurationError

MONTHS = st.builds(
    lambda year, month: f"{year}-{month:02d}", st.integers(2009, 2040), st.integers(1, 12)
)


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("2024-01", ("2024-01",)),
        ("2023-11..2024-02", ("2023-11", "2023-12", "2024-01", "2024-02")),
        ("2024-03, 2024-01,2024-01", ("2024-01", "2024-03")),
    ],
)
def test_expressions(text: str, months: tuple[str, ...]) -> None:
    assert parse_months(text) == months


@pytest.mark.parametrize("text", ["", "2024", "2024-00", "2024-13", "2024-1", "2024-02..2024-01"])
def test_nonsense_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(repr(text))):
        parse_months(text)
    with pytest.raises(ConfigurationError, match=r"^--months: "):
        parse_months(text, "--months")


@given(MONTHS, MONTHS)
def test_a_range_is_consecutive_and_inclusive(one: str, other: str) -> None:
    first, last = sorted((one, other))
    months = parse_months(f"{first}..{last}")

    assert (months[0], months[-1]) == (first, last)
    assert all(next_month(a) == b for a, b in pairwise(months))


@given(MONTHS)
def test_months_touch_without_overlap(month: str) -> None:
    assert month_bounds(month)[1] == month_bounds(next_month(month))[0]
