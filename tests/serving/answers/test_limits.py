"""Without a frame, a request is held to the very rules of the data contract."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.contract.rules import FIRST_PICKUP, LAST_PICKUP, RULES, rules_in_force
from mlops.datasets.taxi.contract.schema import broken_rules, trip_schema
from mlops.datasets.taxi.trips import REQUEST_COLUMNS
from mlops.inference.trip import NEW_YORK, TripRequest
from mlops.serving.answers import limits
from mlops.serving.answers.errors import MAX_PROBLEMS, FieldsError, Problem, RequestError
from mlops.serving.answers.limits import RequestRules
from mlops.settings import load_settings

AS_OF = datetime(2024, 3, 1)
# No limit on dates: they are the server's own, not the contract's.
SETTINGS = load_settings({"serving.max_days_ahead": 40_000, "serving.max_days_before": 40_000})
RULES_OF_REQUESTS = RequestRules.of(SETTINGS)

numbers = st.one_of(
    st.none(),
    st.sampled_from([-1.0, 0.0, 1.0, 2.5, 6.0, 7.0, 9.0, 10.0, 99.0, 100.0, 100.5]),
    st.floats(-1e9, 1e9),
)
zones = st.one_of(st.integers(-3, 270), st.integers(-(2**31), 2**31 - 1))
trips = st.builds(
    lambda at, *values: TripRequest(
        pickup_at=at,
        **dict(zip([n for n in REQUEST_COLUMNS if n != "pickup_at"], values, strict=True)),
    ),
    st.datetimes(datetime(1990, 1, 1), datetime(2120, 1, 1)),
    zones,
    zones,
    *[numbers] * 5,
)


def columns_of(requests: list[TripRequest]) -> dict[str, Any]:
    return {
        name: np.array([getattr(request, name) for request in requests], dtype=kind)
        for name, kind in REQUEST_COLUMNS.items()
    }


def by_the_contract(trip: TripRequest) -> set[str]:
    """Return the rules a trip breaks, as history is held to them."""
    frame = pd.DataFrame(columns_of([trip])).astype(REQUEST_COLUMNS)
    rules = rules_in_force(SETTINGS.validation, at_pickup=True)
    return set(broken_rules(frame, trip_schema(rules, SETTINGS.validation)))


@given(trip=trips)
def test_the_same_rules_are_broken_as_in_a_frame(trip: TripRequest) -> None:
    assert {name for name, _ in RULES_OF_REQUESTS._broken(trip)} == by_the_contract(trip)


@given(requests=st.lists(trips, min_size=1, max_size=5))
def test_a_list_is_judged_as_its_trips(requests: list[TripRequest]) -> None:
    def judged(check: Any) -> Any:
        try:
            return check()
        except RequestError as error:
            return error.field, error.message

    def one_by_one() -> dict[int, tuple[str, ...]]:
        found = {
            place: RULES_OF_REQUESTS.check(request, AS_OF, f"trips.{place}.")
            for place, request in enumerate(requests)
        }
        return {place: flags for place, flags in found.items() if flags}

    columns = columns_of(requests)
    together = judged(lambda: RULES_OF_REQUESTS.check_columns(columns, AS_OF))
    assert together == judged(one_by_one)


@pytest.mark.parametrize("more", [-1, 0])
@pytest.mark.parametrize("edge", [FIRST_PICKUP, LAST_PICKUP])
def test_the_first_and_the_last_moment_of_a_taxi_are_those_of_the_contract(
    edge: datetime, more: int
) -> None:
    at = edge + timedelta(microseconds=more)
    trip = TripRequest(**{**ORDINARY, "pickup_at": at})

    expected = by_the_contract(trip)

    assert {name for name, _ in RULES_OF_REQUESTS._broken(trip)} == expected
    endless = dataclasses.replace(EXACT, days_ahead=10**5, days_before=10**5)
    assert endless._remarkable(columns_of([trip]), AS_OF).tolist() == [bool(expected)]


def test_every_rule_on_requests_refuses_or_flags() -> None:
    names = {rule.name for rule in RULES if rule.at_pickup}
    assert names == set(RULES_OF_REQUESTS.refusing) | RULES_OF_REQUESTS.flagging


@pytest.mark.parametrize("days", [-367, 31])
def test_dates_that_nobody_can_predict_are_refused(days: int) -> None:
    rules = RequestRules.of(load_settings())
    base = AS_OF if days < 0 else datetime.now(NEW_YORK).replace(tzinfo=None)
    trip = TripRequest(pickup_at=base + timedelta(days=days), pickup_zone=1, dropoff_zone=2)
    with pytest.raises(RequestError, match="can be predicted") as caught:
        rules.check(trip, AS_OF)
    assert (caught.value.status, caught.value.field) == (422, "pickup_at")


def test_an_action_changed_in_the_settings_is_followed() -> None:
    changed = load_settings({"validation.actions": {"zone_unknown": "quarantine"}})
    trip = TripRequest(pickup_at=AS_OF, pickup_zone=264, dropoff_zone=2)
    assert "zone_unknown" in RULES_OF_REQUESTS.check(trip, AS_OF)
    with pytest.raises(RequestError, match="zone_unknown"):
        RequestRules.of(changed).check(trip, AS_OF)


ORDINARY = {
    "pickup_at": AS_OF,
    "pickup_zone": 74,
    "dropoff_zone": 161,
    "trip_distance": 3.2,
    "passenger_count": 1.0,
    "rate_code": 1.0,
}
EXACT = RequestRules.of(
    load_settings(
        {
            "serving.max_days_ahead": 40_000,
            "serving.max_days_before": 40_000,
            "validation.max_distance_miles": 80,
            "validation.max_passengers": 6,
        }
    )
)


@pytest.mark.parametrize(
    ("field", "within", "beyond"),
    [
        ("pickup_zone", (1, 263), (0, 264)),
        ("dropoff_zone", (1, 263), (0, 264)),
        ("trip_distance", (0.01, 80.0, None), (0.0, -0.01, 80.01)),
        ("passenger_count", (1.0, 6.0), (0.0, 7.0, 1.5, None)),
        ("rate_code", (1.0, 6.0), (0.0, 1.5, 7.0, None)),
    ],
)
def test_only_what_may_break_a_rule_is_looked_at_one_by_one(
    field: str, within: tuple[Any, ...], beyond: tuple[Any, ...]
) -> None:
    values = [*within, *beyond]
    requests = [TripRequest(**{**ORDINARY, field: value}) for value in values]

    found = EXACT._remarkable(columns_of(requests), AS_OF)

    assert found.tolist() == [False] * len(within) + [True] * len(beyond)
    broken = [set(EXACT._broken(request)) != set() for request in requests]
    assert broken == found.tolist()


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> tuple[datetime, datetime]:
    window = datetime(2024, 1, 1), datetime(2024, 6, 1)
    monkeypatch.setattr(limits, "_window", lambda *arguments: window)
    return window


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        (datetime(2024, 1, 1), False),
        (datetime(2023, 12, 31, 23, 59, 59, 999_999), True),
        (datetime(2024, 6, 1), False),
        (datetime(2024, 6, 1, 0, 0, 0, 1), True),
    ],
)
def test_the_first_and_the_last_moment_can_be_predicted(
    window: tuple[datetime, datetime], at: datetime, refused: bool
) -> None:
    trip = TripRequest(**{**ORDINARY, "pickup_at": at})

    for check in (
        lambda: EXACT.check(trip, AS_OF),
        lambda: EXACT.check_columns(columns_of([trip]), AS_OF),
    ):
        if refused:
            with pytest.raises(RequestError, match="from 2024-01-01 00:00 to 2024-06-01 00:00"):
                check()
        else:
            check()
    assert EXACT._remarkable(columns_of([trip]), AS_OF).tolist() == [refused]


def test_the_window_is_of_the_model_and_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = RequestRules.of(load_settings())
    limits._window.cache_clear()

    first, last = rules.window(AS_OF)

    assert first == AS_OF - timedelta(days=rules.days_before)
    ahead = last - datetime.now(NEW_YORK).replace(tzinfo=None)
    assert abs(ahead - timedelta(days=rules.days_ahead)) < timedelta(minutes=5)
    # "now" is looked up once a minute
    looks: list[float] = []
    monkeypatch.setattr(limits, "_window", lambda *arguments: looks.append(arguments[-1]))
    for second in (60.0, 119.9, 120.0):
        monkeypatch.setattr(limits, "time", SimpleNamespace(time=lambda now=second: now))
        rules.window(AS_OF)
    assert looks == [1.0, 1.0, 2.0]


def test_a_list_of_wrong_trips_is_read_until_enough_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = TripRequest(**{**ORDINARY, "pickup_zone": 0, "trip_distance": -1.0})
    judged: list[str] = []
    really = RequestRules._judged

    def judge(self: RequestRules, trip: Any, as_of: datetime, place: str) -> Any:
        judged.append(place)
        return really(self, trip, as_of, place)

    monkeypatch.setattr(RequestRules, "_judged", judge)
    with pytest.raises(FieldsError) as caught:
        EXACT.check_columns(columns_of([wrong] * 100), AS_OF)

    assert judged == [f"trips.{place}." for place in range(MAX_PROBLEMS // 2)]
    assert len(caught.value.problems) == MAX_PROBLEMS
    assert caught.value.problems[-1].field == "trips.9.trip_distance"


def test_what_can_be_read_of_a_broken_request_is_judged_and_the_rest_is_not() -> None:
    unreadable = Problem("trips.1.pickup_at", "is no time")
    error = FieldsError([unreadable], [("trips.1.", {"pickup_zone": 0, "trip_distance": -1.0})])

    found = EXACT.with_broken_rules(error, AS_OF)

    assert [problem.field for problem in found.problems] == [
        "trips.1.pickup_at",
        "trips.1.pickup_zone",
        "trips.1.trip_distance",
    ]


def test_a_rule_that_several_fields_break_is_flagged_once() -> None:
    trip = TripRequest(**{**ORDINARY, "pickup_zone": 264, "dropoff_zone": 265})

    assert EXACT.check(trip, AS_OF) == ("zone_unknown",)
    assert EXACT.check_columns(columns_of([trip]), AS_OF) == {0: ("zone_unknown",)}
    ordinary = TripRequest(**ORDINARY)
    assert EXACT.check_columns(columns_of([ordinary]), AS_OF) == {}
