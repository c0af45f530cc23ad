"""Small drawings stay inside their frame, whatever they show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from mlops.reports.marks import Scale, bar, gauge, whisker

numbers = st.floats(-1e6, 1e6)


def places(svg: str) -> list[float]:
    ElementTree.fromstring(svg)  # whole
    return [float(x) for x in re.findall(r'\b(?:cx|x1|x2|x)="([^"]+)"', svg)]


@given(values=st.lists(numbers, min_size=3, max_size=8), at=numbers)
def test_everything_lies_inside(values: list[float], at: float) -> None:
    scale = Scale.over(values)
    low, value, high = sorted(values[:3])

    for svg in (whisker(value, low, high, scale, at), bar(value, scale)):
        assert all(0 <= x <= 136 for x in places(svg))


@given(numbers, numbers)
def test_larger_values_lie_further_right(one: float, other: float) -> None:
    scale = Scale.over([-1e6, 1e6])

    assert (one <= other) <= (scale.place(one) <= scale.place(other))


def test_the_gauge_is_full_at_the_limit_and_changes_colour_beyond() -> None:
    half, full, beyond = (gauge(value, 0.2) for value in (0.1, 0.2, 0.9))

    assert [
        re.search(r'width="([\d.]+)" height', svg).group(1) for svg in (half, full, beyond)
    ] == [  # type: ignore[union-attr]
        "64.0",
        "128.0",
        "128.0",
    ]
    assert 'class="bar"' in full and 'class="less"' in beyond


def test_negative_bars_have_another_colour() -> None:
    scale = Scale.over([-2.0, 2.0])

    assert 'class="less"' in bar(-1, scale)
    assert 'class="bar"' in bar(1, scale)
