"""A request is understood exactly, or refused by record and field."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TRIP_ID
from mlops.errors import DataQualityError
from mlops.inference.requests import parse_requests
from mlops.inference.trip import TripRequest
from mlops.settings import load_settings

RECORD = {"pickup_at": "2024-03-01T08:30:00", "pickup_zone": 74, "dropoff_zone": 166}


def test_the_fields_are_those_of_a_request() -> None:
    assert set(TripRequest.model_fields) == {TRIP_ID, *REQUEST_COLUMNS}


def test_requests_become_a_frame_of_the_canonical_types() -> None:
    requests, frame = parse_requests([RECORD, {**RECORD, "vendor_id": 2}], load_settings())
    assert frame.dtypes.astype(str).to_dict() == dict(REQUEST_COLUMNS)
    assert frame["vendor_id"].isna().tolist() == [True, False]
    assert requests[0].pickup_at == datetime(2024, 3, 1, 8, 30)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2024-03-01T08:30:00", datetime(2024, 3, 1, 8, 30)),
        ("2024-03-01 08:30", datetime(2024, 3, 1, 8, 30)),
        ("2024-03-01T13:30:00Z", datetime(2024, 3, 1, 8, 30)),
        ("2024-07-01T08:30:00+02:00", datetime(2024, 7, 1, 2, 30)),
    ],
)
def test_times_are_wall_clock_times_in_new_york(text: str, local: datetime) -> None:
    requests, _ = parse_requests([{**RECORD, "pickup_at": text}], load_settings())
    assert requests[0].pickup_at == local


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pickup_at": 1709281800}, "pickup_at: .*ISO 8601"),
        ({"pickup_at": "yesterday"}, "pickup_at: .*ISO 8601"),
        ({"pickup_at": None}, "pickup_at: .*ISO 8601"),
        ({"pickup_zone": "74"}, "pickup_zone: .*valid integer"),
        ({"pickup_zone": 74.5}, "pickup_zone: .*valid integer"),
        ({"pickup_zone": True}, "pickup_zone: .*valid integer"),
        ({"trip_distance": "far"}, "trip_distance"),
        ({"distance": 3.0}, "distance: Extra inputs"),
        ({"pickup_zone": 266}, "zone_invalid"),
        ({"pickup_zone": 2**32 + 74}, "pickup_zone: .*less than"),
        ({"trip_distance": True}, "trip_distance: .*valid number"),
        ({"trip_distance": float("nan")}, "trip_distance: .*finite"),
        ({"trip_distance": 10**400}, "trip_distance: "),
        ({"trip_distance": -1.0}, "distance_negative"),
        ({"trip_distance": 101.0}, "distance_too_long"),
        ({"pickup_at": "1999-01-01T00:00:00"}, "pickup_time_invalid"),
    ],
)
def test_a_bad_field_is_refused_by_record_and_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataQualityError, match=said) as caught:
        parse_requests([RECORD, {**RECORD, **change}], load_settings())
    assert "record 1" in caught.value.message and "Value error" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("record", [5, "text", None, [RECORD]])
def test_what_is_not_an_object_is_refused(record: Any) -> None:
    with pytest.raises(DataQualityError, match="record 0"):
        parse_requests([record], load_settings())


def test_a_missing_field_is_named() -> None:
    with pytest.raises(DataQualityError, match="dropoff_zone: Field required"):
        parse_requests([{k: v for k, v in RECORD.items() if k != "dropoff_zone"}], load_settings())
