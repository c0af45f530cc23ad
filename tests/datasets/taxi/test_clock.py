"""Durations and hours by a wall clock that changes twice a year."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.clock import is_skipped, minutes_between, skipped
from mlops.inference.trip import NEW_YORK

instants = st.datetimes(datetime(2009, 1, 1), datetime(2036, 12, 31))
# Most of the examples lie around a change of clocks.
nights = st.one_of(
    *(
        st.integers(0, 720).map(lambda minutes, at=at: at + timedelta(minutes=minutes))
        for at in (datetime(2024, 3, 10, 2), datetime(2023, 11, 5), datetime(2031, 11, 2, 1))
    )
)


def there(utc: datetime) -> datetime:
    return utc.replace(tzinfo=timezone.utc).astimezone(NEW_YORK)


@given(start=st.one_of(instants, nights), minutes=st.integers(0, 59))
def test_a_trip_under_an_hour_lasts_what_it_lasted(start: datetime, minutes: int) -> None:
    # Given a trip of which a meter kept the wall-clock times
    pickup, dropoff = (there(at) for at in (start, start + timedelta(minutes=minutes)))
    # When its duration is computed from these
    walls = [np.array([at.replace(tzinfo=None)], "datetime64[us]") for at in (pickup, dropoff)]
    # Then it is the real one, whatever the clocks did meanwhile
    assert minutes_between(*walls).tolist() == [minutes]


@given(at=st.one_of(instants, nights))
def test_hours_are_skipped_as_the_time_zone_database_says(at: datetime) -> None:
    back = at.replace(tzinfo=NEW_YORK).astimezone(timezone.utc).astimezone(NEW_YORK)
    expected = back.replace(tzinfo=None) != at
    assert is_skipped(at) == expected
    assert skipped(np.array([at], "datetime64[us]")).tolist() == [expected]


@pytest.mark.parametrize(
    ("pickup", "dropoff", "minutes"),
    [
        ("2024-03-10T01:50", "2024-03-10T03:10", 20),
        ("2024-03-10T00:30", "2024-03-10T03:30", 120),
        ("2024-03-10T01:50", "2024-03-10T02:10", 20),  # a clock that was not put forward
        ("2024-03-10T02:30", "2024-03-10T03:10", 40),
        ("2023-11-05T01:50", "2023-11-05T01:10", 20),
        ("2023-11-05T00:50", "2023-11-05T02:10", 140),
        ("2023-11-05T00:50", "2023-11-05T01:10", 20),  # or 80: the shorter is likelier
        ("2023-11-05T01:50", "2023-11-05T02:10", 20),
        ("2023-11-04T23:30", "2023-11-05T02:30", 240),
        ("2024-02-10T01:50", "2024-02-10T01:10", -40),
        ("2023-11-05T03:00", "2023-11-05T02:50", -10),
        ("2024-03-09T12:00", "2024-03-11T12:00", 47 * 60),
        ("2023-10-01T12:00", "2024-10-01T12:00", 366 * 24 * 60),
    ],
)
def test_durations_over_a_change(pickup: str, dropoff: str, minutes: float) -> None:
    walls = [np.array([text], "datetime64[us]") for text in (pickup, dropoff)]
    assert minutes_between(*walls).tolist() == [minutes]


def test_a_missing_time_has_no_duration_and_is_not_skipped() -> None:
    times = np.array(["NaT", "2024-03-10T02:30"], "datetime64[us]")
    assert np.isnan(minutes_between(times, times[::-1])).all()
    assert skipped(times).tolist() == [False, True]
