"""A number and its noun agree."""

from __future__ import annotations

import pytest

from mlops.counting import counted, decimals_for


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 trips"), (1, "1 trip"), (2, "2 trips"), (12_000, "12,000 trips"), (0.6, "1 trip")],
)
def test_a_noun_has_the_number_of_its_count(number: float, text: str) -> None:
    assert counted(number, "trip") == text


@pytest.mark.parametrize(
    ("size", "decimals"),
    [(52_000.0, 0), (113.0, 1), (-4.98, 2), (0.53, 3), (0.0012, 5), (0.0, 2), (float("inf"), 2)],
)
def test_numbers_have_the_decimals_that_their_size_needs(size: float, decimals: int) -> None:
    assert decimals_for(size) == decimals
