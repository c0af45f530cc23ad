"""Golden requests: ordinary trips, complete, and the same for every version of a model's time."""

from __future__ import annotations

from datetime import datetime, timedelta

from mlops.datasets.taxi.golden import ROWS, ordinary_requests
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS, UNKNOWN_ZONES


def test_they_are_ordinary_whole_and_always_the_same() -> None:
    as_of = datetime(2024, 3, 1, 17, 45)
    found = ordinary_requests(as_of).rows

    assert list(found.columns) == list(REQUEST_COLUMNS) and len(found) == ROWS
    assert found.notna().all(axis=None)
    assert found.equals(ordinary_requests(datetime(2024, 3, 1)).rows)
    days = found[PICKUP_AT] - datetime(2024, 3, 1)
    assert days.min() >= timedelta(0) and timedelta(days=5) < days.max() < timedelta(days=6)
    for name in ("pickup_zone", "dropoff_zone"):
        assert found[name].between(1, 265).all() and not found[name].isin(UNKNOWN_ZONES).any()
        assert found[name].max() > 200 and found[name].nunique() > ROWS / 2
    assert found["trip_distance"].between(0.5, 15).all()
    assert (found["trip_distance"] == found["trip_distance"].round(2)).all()
    assert set(found["passenger_count"]) == {1, 2, 3, 4} and set(found["rate_code"]) == {1}
    assert set(found["trip_type"]) == set(found["vendor_id"]) == {1, 2}


def test_as_json_they_say_the_same() -> None:
    golden = ordinary_requests(datetime(2024, 3, 1))
    requests, bodies = golden.rows, golden.bodies

    assert [datetime.fromisoformat(body[PICKUP_AT]) for body in bodies] == list(requests[PICKUP_AT])
    assert [body["pickup_zone"] for body in bodies] == list(requests["pickup_zone"])
