"""A part of a time is what Python's own calendar says, for a column and for one time."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.datasets.declared.calendar import (
    calendar_part,
    part_of_one,
    times_of,
)
from mlops.datasets.declared.names import PARTS_OF_DAY, WEEKDAYS
from mlops.datasets.definition import CalendarPart

PARTS = get_args(CalendarPart)
MOMENTS = st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)), max_size=20)


@given(MOMENTS)
@settings(max_examples=30, deadline=None)
def test_a_column_and_one_time_agree(moments: list[datetime]) -> None:
    for part in PARTS:
        of_column = calendar_part(times_of(np.array(moments, dtype="datetime64[us]")), part)

        assert of_column.tolist() == [part_of_one(part)(at) for at in moments]


def test_the_parts_of_a_known_time() -> None:
    at = times_of(np.array(["2024-02-29T17:05:59.9"], dtype="datetime64[us]"))

    parts = {part: int(calendar_part(at, part)[0]) for part in PARTS}

    assert parts == {
        "minute_of_day": 17 * 60 + 5,
        "hour": 17,
        "part_of_day": PARTS_OF_DAY.index("evening"),
        "weekday": WEEKDAYS.index("Thursday"),
        "day_of_month": 29,
        "day_of_year": 60,
        "month": 2,
    }


def test_a_missing_time_has_no_parts() -> None:
    missing = times_of(np.array(["NaT"], dtype="datetime64[us]"))

    assert all(np.isnan(calendar_part(missing, part)).all() for part in PARTS)
