"""Tests of the copies of a month that benchmarks grow their input with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.trips import Bench, copies_folder, copy_months, file_name, shift_month
from mlops.data.months import month_bounds
from mlops.datasets.taxi.sample.generator import generate_month

PICKUP, DROPOFF = "lpep_pickup_datetime", "lpep_dropoff_datetime"
TRIPS = generate_month("2024-01", 500, seed=1)


def times(trips: pa.Table, name: str) -> np.ndarray:
    return trips.column(name).cast(pa.timestamp("us")).to_numpy()


def is_inside(trips: pa.Table, month: str) -> np.ndarray:
    start, end = map(np.datetime64, month_bounds(month))
    pickups = times(trips, PICKUP)
    return (pickups >= start) & (pickups < end)


@given(st.integers(2009, 2099), st.integers(1, 12))
def test_a_shifted_month_keeps_rows_durations_and_who_is_outside(year: int, number: int) -> None:
    # Given any month to move to
    month = f"{year}-{number:02d}"
    # When January's trips are moved there
    moved = shift_month(TRIPS, "2024-01", month)
    # Then those that were inside their month are inside, the others outside, and nothing else moved
    assert moved.schema.names == TRIPS.schema.names
    np.testing.assert_array_equal(is_inside(moved, month), is_inside(TRIPS, "2024-01"))
    np.testing.assert_array_equal(
        times(moved, DROPOFF) - times(moved, PICKUP), times(TRIPS, DROPOFF) - times(TRIPS, PICKUP)
    )
    assert moved.drop_columns([PICKUP, DROPOFF]).equals(TRIPS.drop_columns([PICKUP, DROPOFF]))


def test_day_and_time_of_day_stay_unless_the_month_lacks_the_day() -> None:
    # Given trips on the 5th and on the 31st, and one that the meter dated years before
    at = ["2024-01-05T08:30", "2024-01-31T23:00", "2009-01-01T00:00"]
    pickups = np.array(at, dtype="datetime64[us]")
    trips = pa.table({PICKUP: pickups, DROPOFF: pickups + np.timedelta64(10, "m")})
    # When they move to a month of 28 days
    moved = times(shift_month(trips, "2024-01", "2023-02"), PICKUP)
    # Then the 31st begins again at the first, and the misdated one stays as far off
    assert [str(t)[:16] for t in moved] == [
        "2023-02-05T08:30",
        "2023-02-03T23:00",
        "2008-02-02T00:00",
    ]


def test_a_month_moved_onto_itself_is_itself() -> None:
    moved = shift_month(TRIPS, "2024-01", "2024-01")
    np.testing.assert_array_equal(times(moved, PICKUP), times(TRIPS, PICKUP))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    months = tmp_path / "months"
    months.mkdir()
    pq.write_table(TRIPS, months / file_name("2024-01"))
    return Bench(folder=months, label="sample", scratch=tmp_path / "scratch")


def test_copies_are_consecutive_months_with_the_same_number_of_trips(bench: Bench) -> None:
    # Given that a copy is already there, when more are asked for
    assert copy_months(bench, 1) == ("2024-01",)
    months = copy_months(bench, 14)
    # Then they cross the year, and each has a file as large as the first
    assert months[:2] + months[-2:] == ("2024-01", "2024-02", "2025-01", "2025-02")
    files = [copies_folder(bench) / file_name(month) for month in months]
    assert {pq.read_metadata(file).num_rows for file in files} == {500}
