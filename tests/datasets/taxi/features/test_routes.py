"""No trip sees its future, and a frozen morning answers what the history answered that day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops.datasets.taxi.features.routes import AS_OF_COLUMNS, RouteHistory, RouteStatistics
from mlops.errors import DataQualityError, MlopsError
from mlops.settings import FeatureSettings

SETTINGS = FeatureSettings(route_smoothing=5, route_half_life_days=20)
START = datetime(2024, 1, 1)

# Few zones, so that routes repeat; durations across midnight; distances of all kinds.
TRIPS = st.lists(
    st.tuples(
        st.integers(0, 6 * 24 * 60),  # minutes from START to the pickup
        st.floats(1, 60),
        st.sampled_from([1, 2, 3, 4, 264]),
        st.sampled_from([1, 2, 3, 4, 265]),
        st.sampled_from([0.0, 0.7, 2.5, 9.0, 140_000.0]),
    ),
    max_size=60,
)


def frame(rows: list[tuple[int, float, int, int, float]]) -> pd.DataFrame:
    rows = sorted(rows, key=lambda row: row[0])
    at = [START + timedelta(minutes=row[0]) for row in rows]
    trips = pd.DataFrame(
        {
            "pickup_at": pd.Series(at, dtype="datetime64[us]"),
            "dropoff_at": pd.Series(
                [t + timedelta(minutes=r[1]) for t, r in zip(at, rows, strict=True)],
                dtype="datetime64[us]",
            ),
        }
    )
    for position, name in enumerate(
        ["duration_minutes", "pickup_zone", "dropoff_zone", "trip_distance"], start=1
    ):
        trips[name] = [row[position] for row in rows]
    return trips


def day_of(trips: pd.DataFrame) -> pd.Series:
    return trips["pickup_at"].dt.normalize()


@given(TRIPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_parity_of_history_and_snapshot(rows: list[tuple[int, float, int, int, float]]) -> None:
    trips = frame(rows)
    known = RouteHistory(SETTINGS).annotate(trips)

    for day in day_of(trips).unique():
        today = day_of(trips) == day
        snapshot = RouteStatistics.of(trips, day.to_pydatetime(), SETTINGS)
        pd.testing.assert_frame_equal(snapshot.lookup(trips[today]), known[today], check_exact=True)


@given(TRIPS, st.integers(0, 6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_changing_the_future_changes_nothing(
    rows: list[tuple[int, float, int, int, float]], days: int
) -> None:
    # given trips, of which those that had not ended by some morning turn out differently
    trips = frame(rows)
    morning = pd.Timestamp(START + timedelta(days=days))
    future = trips["dropoff_at"] >= morning
    other = trips.copy()
    other.loc[future, "duration_minutes"] = 59.0
    other.loc[future, "trip_distance"] = 33.0
    other.loc[future, "dropoff_at"] = other["pickup_at"] + timedelta(hours=3)

    seen, seen_otherwise = (RouteHistory(SETTINGS).annotate(t) for t in (trips, other))

    until = day_of(trips) <= morning
    pd.testing.assert_frame_equal(seen[until], seen_otherwise[until], check_exact=True)


@given(TRIPS, st.integers(0, 60))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_parts_of_a_history_give_the_whole(
    rows: list[tuple[int, float, int, int, float]], cut: int
) -> None:
    trips = frame(rows)
    whole = RouteHistory(SETTINGS).annotate(trips)

    history = RouteHistory(SETTINGS)
    parts = [history.annotate(trips[:cut]), history.annotate(trips[cut:])]

    pd.testing.assert_frame_equal(pd.concat(parts), whole, check_exact=True)


def test_a_trip_counts_from_the_morning_after_it_ended() -> None:
    # given a trip over midnight, and the same route asked for on three days
    trips = frame(
        [
            (23 * 60 + 50, 20.0, 1, 2, 3.0),  # from the first of January to the second
            (24 * 60 + 60, 10.0, 1, 2, 3.0),
            (2 * 24 * 60 + 60, 10.0, 1, 2, 3.0),
        ]
    )

    known = RouteHistory(SETTINGS).annotate(trips)

    assert known["route_trips"].tolist() == [0, 0, 2]


def test_smoothed_mean_by_hand() -> None:
    # given one trip of e² minutes, yesterday, and a route back without trips
    minutes = float(np.exp(2.0))
    trips = frame([(60, minutes, 1, 2, 0.0), (24 * 60 + 60, 9.0, 1, 2, 0.0)])

    known = RouteHistory(SETTINGS).annotate(trips).iloc[1]

    city = (2.0 + 2.4) / 2  # one pseudo-trip at what holds before the first trip
    zone = (2.0 + 5 * city) / 6
    back = zone + zone - city
    assert known["route_minutes"] == pytest.approx(np.exp((2.0 + 5 * back) / 6), rel=1e-6)
    assert known["route_pace"] == pytest.approx(np.exp(1.6), rel=1e-6)  # no distance was measured


def test_a_trip_weighs_half_after_the_half_life() -> None:
    trips = frame([(60, 10.0, 1, 2, 3.0)])
    yesterday = RouteStatistics.of(trips, datetime(2024, 1, 2), SETTINGS)
    later = RouteStatistics.of(trips, datetime(2024, 1, 22), SETTINGS)

    assert yesterday.lookup(trips)["route_trips"].item() == 1
    assert later.lookup(trips)["route_trips"].item() == pytest.approx(0.5)


def test_going_back_in_time_is_refused() -> None:
    trips = frame([(60, 10.0, 1, 2, 3.0), (3 * 24 * 60, 10.0, 1, 2, 3.0)])
    history = RouteHistory(SETTINGS)
    history.annotate(trips)

    with pytest.raises(DataQualityError, match="not in order of pickup"):
        history.annotate(trips[:1])
    with pytest.raises(DataQualityError, match="not in order of pickup"):
        RouteHistory(SETTINGS).annotate(trips[::-1])
    with pytest.raises(ValueError, match="last one read"):
        history.statistics(START)


def test_order_of_rows_does_not_matter_to_a_snapshot(make_trips: Callable[..., object]) -> None:
    trips = frame([(m * 37, 5.0 + m % 30, 1 + m % 3, 1 + m % 4, 2.0) for m in range(100)])
    shuffled = trips.sample(frac=1, random_state=1)

    one, other = (RouteStatistics.of(t, datetime(2024, 1, 5), SETTINGS) for t in (trips, shuffled))

    assert one.sha256 == other.sha256


def test_a_snapshot_survives_its_file(tmp_path: Path) -> None:
    trips = frame([(m * 37, 5.0 + m % 30, 1 + m % 5, 1 + m % 4, 2.0) for m in range(100)])
    snapshot = RouteStatistics.of(trips, datetime(2024, 1, 3, 12), SETTINGS)
    path = tmp_path / "folder" / "routes.npz"

    snapshot.save(path)
    loaded = RouteStatistics.load(path)

    assert (loaded.sha256, loaded.as_of) == (snapshot.sha256, snapshot.as_of)
    pd.testing.assert_frame_equal(loaded.lookup(trips), snapshot.lookup(trips), check_exact=True)
    assert [p.name for p in path.parent.iterdir()] == ["routes.npz"]


@pytest.mark.parametrize("content", [None, b"", b"PK not a zip"])
def test_a_file_that_is_no_snapshot_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "routes.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(MlopsError, match=r"routes\.npz"):
        RouteStatistics.load(path)


def test_what_is_no_zone_is_answered_as_unknown() -> None:
    trips = frame([(60, 10.0, 1, 2, 3.0)])
    snapshot = RouteStatistics.of(trips, datetime(2024, 1, 2), SETTINGS)
    asked = pd.concat([trips] * 3, ignore_index=True)
    asked["pickup_zone"] = [0, -5, 999]

    found = snapshot.lookup(asked)

    assert tuple(found) == AS_OF_COLUMNS
    assert (found["route_trips"] == 0).all()
    assert np.isfinite(found.to_numpy()).all()
