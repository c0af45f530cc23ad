"""A number and its noun agree."""

from __future__ import annotations

import pytest

from mlops.counting import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 trips"), (1, "1 trip"), (2, "2 trips"), (12_000, "12,000 trips"), (0.6, "1 trip")],
)
def test_a_noun_has_the_number_of_its_count(number: float, text: str) -> None:
    assert counted(number, "trip") == text
