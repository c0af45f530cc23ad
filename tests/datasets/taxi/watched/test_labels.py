"""Every answer finds its trip, no trip is found twice, and no row is made or lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.data.files.conversion import NO_ZONE
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_AT,
    FARE,
    PASSENGERS,
    PICKUP_AT,
    REQUEST_COLUMNS,
    TARGET,
)
from mlops.datasets.taxi.watched.labels import ActualTrips

NOON = pd.Timestamp("2024-02-01 12:00")


def trip(**changes: Any) -> dict[str, Any]:
    return {
        "pickup_at": NOON,
        "pickup_zone": 74,
        "dropoff_zone": 75,
        "trip_distance": 1.5,
        "passenger_count": 1.0,
        "dropoff_at": NOON + pd.Timedelta(minutes=10),
        "fare_amount": 9.0,
        **changes,
    }


def frame_of(*trips: dict[str, Any]) -> pd.DataFrame:
    kinds = {
        "pickup_at": "datetime64[us]",
        "pickup_zone": "int32",
        "dropoff_zone": "int32",
        "trip_distance": "float64",
        "passenger_count": "float64",
        "dropoff_at": "datetime64[us]",
        "fare_amount": "float64",
    }
    return pd.DataFrame(list(trips), columns=list(kinds)).astype(kinds)


def minutes(requests: pd.DataFrame, *trips: dict[str, Any]) -> list[float]:
    return list(ActualTrips.of(frame_of(*trips)).label(requests)[TARGET])


def lasting(n: float, **changes: Any) -> dict[str, Any]:
    return trip(dropoff_at=NOON + pd.Timedelta(minutes=n), **changes)


# Few different values, so that keys collide all the time.
some_trip = st.builds(
    lambda second, zone, miles, people, n, fare: lasting(
        n,
        pickup_at=NOON + pd.Timedelta(seconds=second),
        pickup_zone=zone,
        trip_distance=miles,
        passenger_count=people,
        fare_amount=fare,
    ),
    st.sampled_from([0, 0.4, 1]),
    st.integers(74, 75),
    st.sampled_from([1.5, 2.0, 2.001, np.nan]),
    st.sampled_from([1.0, 2.0, np.nan]),
    st.integers(1, 50),
    st.sampled_from([9.0, -9.0]),
)
some_trips = st.lists(some_trip, max_size=12).map(lambda trips: frame_of(*trips))


def identity(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """What a request says of a trip, as far as trips are told apart."""
    return [
        (at.floor("s"), start, end, -1 if miles != miles else round(miles * 100), str(people))
        for at, start, end, miles, people in frame[
            ["pickup_at", "pickup_zone", "dropoff_zone", "trip_distance", "passenger_count"]
        ].itertuples(index=False)
    ]


@settings(max_examples=50)
@given(some_trips, some_trips)
def test_the_join_is_one_to_one_and_keeps_the_rows(
    requests: pd.DataFrame, trips: pd.DataFrame
) -> None:
    actual = ActualTrips.of(trips)

    place = actual.match(requests)
    labelled = actual.label(requests)

    # the same rows in the same order
    pd.testing.assert_frame_equal(labelled[list(requests)].iloc[:, :5], requests.iloc[:, :5])
    assert (labelled[TARGET].notna() == (place >= 0)).all()
    # a trip belongs to requests that say the same, and to no others
    said: dict[int, set[Any]] = {}
    for which, what in zip(place, identity(requests), strict=True):
        if which >= 0:
            said.setdefault(which, set()).add(what)
    assert all(len(whats) == 1 for whats in said.values())
    # requests that say the same have the same trip
    assert len(set(zip(identity(requests), place, strict=True))) == len(set(identity(requests)))
    # second and zones always agree
    found = actual.identity.take(place[place >= 0])["key"].to_numpy()
    asked = ActualTrips.of(requests.assign(dropoff_at=NOON)[place >= 0]).identity["key"]
    assert set(found) == set(asked)


@settings(max_examples=50)
@given(some_trips, some_trips)
def test_as_many_find_a_trip_as_there_are_trips_of_their_second_and_zones(
    requests: pd.DataFrame, trips: pd.DataFrame
) -> None:
    place = ActualTrips.of(trips).match(requests)

    def keys(frame: pd.DataFrame) -> dict[Any, set[Any]]:
        known: dict[Any, set[Any]] = {}
        for what in identity(frame):
            known.setdefault(what[:3], set()).add(what)
        return known

    found, offered = {}, keys(trips)
    for what, which in zip(identity(requests), place, strict=True):
        found.setdefault(what[:3], set()).update({which} - {-1})
    for key, asked in keys(requests).items():
        assert len(found[key]) == min(len(asked), len(offered.get(key, ())))


@settings(max_examples=50)
@given(some_trips, some_trips, st.randoms(use_true_random=False))
def test_the_order_of_the_source_does_not_matter(
    requests: pd.DataFrame, trips: pd.DataFrame, random: Any
) -> None:
    order = list(range(len(trips)))
    random.shuffle(order)

    one = ActualTrips.of(trips).label(requests)
    other = ActualTrips.of(trips.iloc[order].reset_index(drop=True)).label(requests)

    pd.testing.assert_frame_equal(one, other)


def test_trips_that_differ_in_less_than_a_second_are_labelled_in_any_order() -> None:
    early, late = (lasting(1, pickup_at=NOON + pd.Timedelta(milliseconds=ms)) for ms in (0, 400))

    one, other = (
        ActualTrips.of(frame_of(*source)).label(frame_of(trip()))
        for source in ((early, late), (late, early))
    )

    pd.testing.assert_frame_equal(one, other)


def test_retries_and_answers_of_several_versions_share_a_label() -> None:
    assert minutes(frame_of(trip(), trip(), trip()), lasting(10)) == [10, 10, 10]


def test_a_request_within_the_second_finds_the_trip() -> None:
    late = trip(pickup_at=NOON + pd.Timedelta(milliseconds=730))

    assert minutes(frame_of(late), lasting(10)) == [10]


def test_distance_and_then_passengers_break_ties() -> None:
    short, long, crowd = (
        trip(trip_distance=1.5),
        trip(trip_distance=4.0),
        trip(trip_distance=4.0, passenger_count=5.0),
    )
    trips = (
        lasting(30, trip_distance=4.0, passenger_count=5.0),
        lasting(20, trip_distance=4.0),
        lasting(10, trip_distance=1.5),
    )
    assert minutes(frame_of(short, long, crowd), *trips) == [10, 20, 30]


def test_a_distance_in_other_units_still_finds_its_trip() -> None:
    # given requests in kilometres, two of them for trips of the same second and zones
    requests = frame_of(*(trip(trip_distance=1.609 * miles) for miles in (1.5, 4.0)))

    assert minutes(requests, lasting(20, trip_distance=4.0), lasting(10)) == [10, 20]


def test_a_refund_does_not_replace_its_trip() -> None:
    assert minutes(frame_of(trip()), lasting(5, fare_amount=-9.0), lasting(10)) == [10]
    # but a trip that cost nothing is none
    assert minutes(frame_of(trip()), lasting(5, fare_amount=0.0), lasting(10)) == [5]


def test_what_cannot_be_found_is_unlabelled() -> None:
    requests = frame_of(
        trip(pickup_at=pd.NaT),
        trip(pickup_zone=NO_ZONE),
        trip(pickup_zone=-5),
        trip(pickup_zone=2**31 - 1),
        trip(pickup_at=pd.Timestamp("1960-01-01")),
        trip(dropoff_zone=76),
    )
    assert np.isnan(minutes(requests, lasting(10))).all()
    assert np.isnan(minutes(requests)).all()
    assert minutes(frame_of(), lasting(10)) == []


def test_a_trip_that_has_not_ended_is_no_label() -> None:
    assert np.isnan(minutes(frame_of(trip()), trip(dropoff_at=pd.NaT))).all()


def test_a_month_is_found_trip_by_trip(sample_history: Callable[..., pd.DataFrame]) -> None:
    # given a month of trips, half of them asked about, in no order
    trips = sample_history("2024-01", rows=3_000)
    asked = trips.sample(frac=0.5, random_state=1)

    found = ActualTrips.of(trips).label(asked[list(REQUEST_COLUMNS)])

    assert found.index.equals(asked.index)
    pd.testing.assert_series_equal(found[DROPOFF_AT], asked[DROPOFF_AT])
    pd.testing.assert_series_equal(found[FARE], asked[FARE].abs())  # not of a refund
    expected = (asked[DROPOFF_AT] - asked[PICKUP_AT]) / pd.Timedelta(minutes=1)
    assert found[TARGET].to_numpy() == pytest.approx(expected.to_numpy())
    assert {DISTANCE, PASSENGERS} <= set(found)
