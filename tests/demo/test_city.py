"""The city of the demonstration: callers get answers, and a closed bridge only delays trips."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from demo.city import CHANGED, QUIET, SLOWER, City, batches
from mlops.datasets.taxi.files.reading import read_trips
from mlops.inference.requests import parse_requests
from mlops.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "source").mkdir()
    location = str(tmp_path / "source")
    return load_settings(
        {"home": str(tmp_path), "source.kind": "path", "source.location": location}
    )


@pytest.fixture
def city(settings: Settings, tmp_path: Path) -> City:
    return City(settings, tmp_path / "city", rows=400, seed=3)


def test_every_request_is_one_that_the_server_answers(city: City, settings: Settings) -> None:
    trips = city.requests(QUIET)

    requests, _ = parse_requests(trips, settings)

    assert len(requests) == len(trips) > 350
    assert [r.pickup_at for r in requests] == sorted(r.pickup_at for r in requests)
    assert {f"{r.pickup_at:%Y-%m}" for r in requests} == {QUIET}


@pytest.mark.parametrize(("month", "factor"), [(QUIET, 1.0), (CHANGED, SLOWER)])
def test_only_durations_change_when_the_bridge_is_closed(
    month: str, factor: float, city: City, settings: Settings, tmp_path: Path
) -> None:
    city.publish(month)

    name = f"green_tripdata_{month}.parquet"
    before = read_trips(tmp_path / "city" / name, "green")
    after = read_trips(Path(settings.source.location) / name, "green")
    lasted = [
        (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds() for trips in (before, after)
    ]
    pd.testing.assert_frame_equal(
        before.drop(columns="dropoff_at"), after.drop(columns="dropoff_at")
    )
    assert (lasted[1] - factor * lasted[0]).abs().max() <= 1


def test_batches_hold_every_trip_once() -> None:
    trips = [{"trip_id": number} for number in range(7)]

    divided = batches(trips, 3)

    assert [len(batch) for batch in divided] == [3, 3, 1]
    assert [trip for batch in divided for trip in batch] == trips
