"""Pickup times taken apart agree with pandas, and bands follow working days."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS, day_number, moment, moments

TIMES = st.datetimes(datetime(2009, 1, 1), datetime(2035, 12, 31))


@given(st.lists(TIMES, min_size=1, max_size=20))
def test_parts_agree_with_pandas(times: list[datetime]) -> None:
    pickups = pd.Series(pd.to_datetime(times)).astype("datetime64[us]")

    found = moments(pickups)

    assert found.minute_of_day.tolist() == (pickups.dt.hour * 60 + pickups.dt.minute).tolist()
    assert found.weekday.tolist() == pickups.dt.dayofweek.tolist()
    assert found.day.tolist() == [day_number(time) for time in times]
    assert ((found.band >= 0) & (found.band < NUMBER_OF_BANDS)).all()


def test_unit_of_the_column_does_not_matter() -> None:
    pickups = pd.Series(pd.date_range("2024-02-18 05:00", periods=60, freq="97min"))

    parts = [moments(pickups.astype(f"datetime64[{unit}]")) for unit in ("us", "ns", "ms")]

    for other in parts[1:]:
        for mine, theirs in zip(parts[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_holidays_are_the_observed_ones() -> None:
    # given: Presidents' Day, the day after, and Independence Day 2021, observed on a Monday
    days = pd.Series(pd.to_datetime(["2024-02-19", "2024-02-20", "2021-07-04", "2021-07-05"]))

    assert moments(days).holiday.tolist() == [True, False, False, True]


def test_a_holiday_has_the_bands_of_a_weekend() -> None:
    monday, holiday, sunday = (
        moments(pd.Series(pd.to_datetime([f"{day} 08:30"]))).band.item()
        for day in ("2024-02-12", "2024-02-19", "2024-02-18")
    )

    assert holiday == sunday != monday


def test_no_pickups() -> None:
    assert len(moments(pd.Series([], dtype="datetime64[us]")).band) == 0


def test_one_time_is_taken_apart_like_many() -> None:
    # given every day of a generation, at an hour and minute that keep changing
    times = pd.date_range("2009-01-01", "2036-01-01", freq="1493min")

    found = [moment(at.to_pydatetime()) for at in times]

    many = moments(times)
    assert [each.minute_of_day for each in found] == many.minute_of_day.tolist()
    assert [each.weekday for each in found] == many.weekday.tolist()
    assert [each.holiday for each in found] == many.holiday.tolist()
    assert [each.band for each in found] == many.band.tolist()
