"""What is refused names its field; what is recognised quickly is what pydantic would accept."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.trips import REQUEST_COLUMNS
from mlops.inference.trip import TripRequest
from mlops.serving.answers.errors import MAX_PROBLEMS, FieldsError, RequestError
from mlops.serving.answers.plain_lists import Trips, recognised
from mlops.serving.answers.requests import parse_body, validated

TRIP = {"pickup_at": "2024-03-01T08:30:00", "pickup_zone": 74, "dropoff_zone": 166}

ODD_TIMES = (
    "2024-02-30T00:00:00",
    "2024-01-01T24:00:00",
    "2024-01-01T08:30:60",
    "2024-01-01 08:30:00",
    "2024-01-01T08:30:00Z",
    "2024-01-01T08:30:0٣",
    "0000-01-01T00:00:00",
    "0001-01-01T00:00:00",
    "today",
    "NaT",
)

times = st.one_of(
    st.datetimes().map(lambda at: at.isoformat()),
    st.datetimes().map(lambda at: at.isoformat(timespec="seconds")),
    st.sampled_from(ODD_TIMES),
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.text(min_size=127, max_size=130),
    st.lists(st.none(), max_size=1),
    times,
)
fields = st.fixed_dictionaries(
    {"pickup_at": times, "pickup_zone": st.integers(1, 263), "dropoff_zone": st.integers(1, 263)},
    optional={
        "trip_id": st.one_of(st.none(), st.integers(-(2**63), 2**63), st.text(max_size=129)),
        "trip_distance": st.one_of(st.none(), st.floats(), st.integers(0, 10)),
        **{
            name: st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(0, 6))
            for name in ("passenger_count", "rate_code", "trip_type", "vendor_id")
        },
    },
)


@st.composite
def lists_of_trips(draw: st.DrawFn) -> list[Any]:
    """Draw lists that are mostly good: one value of one trip may be anything."""
    trips: list[Any] = draw(st.lists(fields, min_size=1, max_size=4))
    if draw(st.booleans()):
        broken = draw(st.sampled_from(trips))
        broken[draw(st.sampled_from(["trip_id", *REQUEST_COLUMNS, "color"]))] = draw(values)
    return trips


@pytest.mark.parametrize("text", ODD_TIMES)
def test_odd_times_are_left_to_pydantic(text: str) -> None:
    quick = recognised([{**TRIP, "pickup_at": text}])
    if quick is not None:
        slow = validated([{**TRIP, "pickup_at": text}])
        np.testing.assert_array_equal(quick.columns["pickup_at"], slow.columns["pickup_at"])


@given(trips=lists_of_trips())
def test_what_is_recognised_is_what_pydantic_makes_of_it(trips: list[Any]) -> None:
    quick = recognised(trips)
    if quick is None:
        return
    slow = validated(trips)
    assert quick.ids == slow.ids
    for name in REQUEST_COLUMNS:
        assert quick.columns[name].dtype == slow.columns[name].dtype
        np.testing.assert_array_equal(quick.columns[name], slow.columns[name])


@pytest.mark.parametrize(
    "change",
    [{}, {"trip_distance": 3}, {"trip_id": 7}, {"trip_id": "a", "rate_code": None}],
)
def test_ordinary_lists_are_recognised(change: dict[str, Any]) -> None:
    assert recognised([TRIP, {**TRIP, **change}]) is not None


def test_one_trip_and_a_list_are_told_apart() -> None:
    one = parse_body(json.dumps(TRIP).encode(), 10)
    late = parse_body(json.dumps({"trips": [TRIP] * 2}, indent=3).encode(), 10)
    assert isinstance(one, TripRequest)
    assert isinstance(late, Trips)
    assert len(late) == 2


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 422, "body"),
        (b"\xff\xfe", 422, "body"),
        (b"{", 422, "body"),
        (b"[" * 10_000, 422, "body"),
        (b'{"trips":' * 5_000, 422, "body"),
        (b"5", 422, "body"),
        (b"[]", 422, "body"),
        (b"{}", 422, "pickup_at"),
        (b'{"trips": []}', 422, "trips"),
        (b'{"trips": 5}', 422, "trips"),
        (b'{"trips": [5]}', 422, "trips.0"),
        (b'{"trips": [{}], "more": 1}', 422, "more"),
        (json.dumps({"trips": [TRIP] * 11}).encode(), 413, "trips"),
        (json.dumps({**TRIP, "pickup_zone": "74"}).encode(), 422, "pickup_zone"),
        (json.dumps({**TRIP, "pickup_zone": True}).encode(), 422, "pickup_zone"),
        (json.dumps({**TRIP, "pickup_zone": 10**30}).encode(), 422, "pickup_zone"),
        (json.dumps({**TRIP, "trip_distance": float("nan")}).encode(), 422, "trip_distance"),
        (json.dumps({**TRIP, "trip_distance": float("inf")}).encode(), 422, "trip_distance"),
        (json.dumps({**TRIP, "rate_code": 1e300}).encode(), 422, "rate_code"),
        (json.dumps({**TRIP, "pickup_at": "0001-01-01T00:00:00Z"}).encode(), 422, "pickup_at"),
        (json.dumps({**TRIP, "pickup_at": 1.7e9}).encode(), 422, "pickup_at"),
        (json.dumps({**TRIP, "trip_id": "x" * 129}).encode(), 422, "trip_id"),
        (json.dumps({**TRIP, "color": "green"}).encode(), 422, "color"),
        (json.dumps({"trips": [TRIP, {**TRIP, "color": 1}]}).encode(), 422, "trips.1.color"),
        (
            json.dumps({"trips": [TRIP] * 3 + [{**TRIP, "pickup_zone": 7.5}]}).encode(),
            422,
            "trips.3.pickup_zone",
        ),
    ],
)
def test_a_refusal_names_the_field(body: bytes, status: int, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_body(body, 10)
    assert (caught.value.status, caught.value.field) == (status, field)
    assert caught.value.message


def as_json(fields: list[tuple[str, Any]], escaped: bool) -> str:
    """Write an object as JSON, names that repeat included; escaped, no name is written plainly."""
    names = ("".join(f"\\u{ord(c):04x}" for c in name) if escaped else name for name, _ in fields)
    values = (json.dumps(value) for _, value in fields)
    inside = ", ".join(f'"{n}": {v}' for n, v in zip(names, values, strict=True))
    return f"{{{inside}}}"


pairs = st.lists(
    st.one_of(
        st.tuples(st.just("pickup_at"), st.just("2024-03-01T08:30:00")),
        st.tuples(st.sampled_from(["pickup_zone", "dropoff_zone"]), st.integers(1, 263)),
        st.tuples(st.just("trip_id"), st.sampled_from([None, 7, "", 'a"b', "\\", "ä"])),
        st.tuples(st.just("rate_code"), st.sampled_from([1, 2.5, None])),
    ),
    max_size=4,
).map(lambda more: [*TRIP.items(), *more])


@given(trips=st.lists(pairs, min_size=1, max_size=3), escaped=st.booleans(), one=st.booleans())
def test_a_field_that_is_given_twice_is_refused_and_no_other(
    trips: list[list[tuple[str, Any]]], escaped: bool, one: bool
) -> None:
    # Given good trips, in some of which fields repeat
    trips = trips[:1] if one else trips
    texts = [as_json(trip, escaped) for trip in trips]
    body = texts[0] if one else f'{{"trips": [{", ".join(texts)}]}}'
    repeated = {
        name if one else f"trips.{place}.{name}"
        for place, trip in enumerate(trips)
        for name, count in Counter(name for name, _ in trip).items()
        if count > 1
    }
    # When they are sent, then exactly the fields that repeat are named
    if not repeated:
        parse_body(body.encode(), 10)
        return
    with pytest.raises(FieldsError, match="given more than once") as caught:
        parse_body(body.encode(), 10)
    assert {problem.field for problem in caught.value.problems} == repeated


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"trips": [%s], "trips": [%s]}', "trips"),
        ('{"pickup_zone": {"a": [{}]}, %.0s "pickup_zone": 7, %s', "pickup_zone"),
    ],
)
def test_whatever_the_parser_has_dropped_is_noticed(body: str, field: str) -> None:
    trip = json.dumps(TRIP)
    fill = (trip, trip) if field == "trips" else ("", trip[1:])
    with pytest.raises(FieldsError) as caught:
        parse_body((body % fill).encode(), 10)
    assert caught.value.field == field


def test_every_wrong_field_of_a_trip_is_named() -> None:
    body = {"pickup_at": "soon", "pickup_zone": "74", "trip_id": [1], "color": 1}
    with pytest.raises(FieldsError) as caught:
        parse_body(json.dumps(body).encode(), 10)
    problems = {problem.field: problem.message for problem in caught.value.problems}
    assert set(problems) == {"trip_id", "pickup_at", "pickup_zone", "dropoff_zone", "color"}
    assert "1 to 265" in problems["pickup_zone"] and "/zones" in problems["pickup_zone"]
    assert problems["dropoff_zone"] == "is missing"
    assert "ISO 8601" in problems["pickup_at"]


@given(
    wrong=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([*REQUEST_COLUMNS, "trip_id"])),
        min_size=1,
        unique=True,
    )
)
def test_every_wrong_field_of_a_list_is_named(wrong: list[tuple[int, str]]) -> None:
    # Given trips in which some fields cannot be read
    trips: list[dict[str, Any]] = [dict(TRIP) for _ in range(6)]
    for place, name in wrong:
        trips[place][name] = {}
    # When they are sent together
    with pytest.raises(FieldsError) as caught:
        parse_body(json.dumps({"trips": trips}).encode(), 10)
    # Then each is named once, up to the number that an answer holds
    named = [problem.field for problem in caught.value.problems]
    expected = {f"trips.{place}.{name}" for place, name in wrong}
    assert len(named) == len(set(named)) == min(len(expected), MAX_PROBLEMS)
    assert set(named) <= expected


@pytest.mark.parametrize(
    ("field", "plain", "other"),
    [
        ("pickup_zone", (1, -(2**31), 2**31 - 1), (2**31, -(2**31) - 1, 1.0, True, "1", None)),
        ("trip_distance", (0, 1e9, -1e9, None), (1.000001e9, 10**400, "1", True, float("nan"))),
        ("trip_id", (2**63 - 1, -(2**63), None), (2**63, -(2**63) - 1, True, 1.5, [])),
        ("trip_id", ("", "x" * 128), ("x" * 129,)),
        (
            "pickup_at",
            ("0001-01-01T00:00:00", "9999-12-31T23:59:59", "2024-02-29T00:00:00"),
            (
                *("2023-02-29T00:00:00", "2024-01-01T24:00:00", "2024-01-01T08:60:00", "NaT"),
                *("0000-01-01T00:00:00", "2024-01-01T08:30:0٣", "2024-01-01T08:30:0:", 5, None),
                *("2024-01-01 08:30:00", "2024-01-01T08:30:0/", "2024/01-01T08:30:00"),
            ),
        ),
        ("color", (), (1,)),
    ],
)
def test_how_far_the_plainest_kind_goes(
    field: str, plain: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    for value in plain:
        trips = [TRIP, {**TRIP, field: value}]
        quick = recognised(trips)
        assert quick is not None, value
        slow = validated(trips)
        assert quick.ids == slow.ids
        np.testing.assert_array_equal(quick.columns["pickup_at"], slow.columns["pickup_at"])
    for value in other:
        assert recognised([TRIP, {**TRIP, field: value}]) is None, value


def test_lists_of_what_is_no_trip_or_of_two_kinds_of_ids_are_left_to_pydantic() -> None:
    assert recognised([TRIP, None]) is None
    assert recognised([{**TRIP, "trip_id": 1}, {**TRIP, "trip_id": "1"}]) is None
    assert recognised([{**TRIP, "pickup_at": "2024-01-01T08:30:00"}, {"pickup_zone": 1}]) is None
    empty = recognised([{**TRIP, "trip_distance": None}, TRIP])
    assert empty is not None and np.isnan(empty.columns["trip_distance"]).all()
    assert empty.ids is None
    some = recognised([{**TRIP, "trip_distance": 2, "trip_id": 7}, TRIP])
    assert some is not None and some.ids == [7, None]
    np.testing.assert_array_equal(some.columns["trip_distance"], [2, np.nan])


def test_as_many_trips_as_may_be_sent_are_read() -> None:
    trips = parse_body(json.dumps({"trips": [TRIP] * 10}).encode(), 10)
    assert isinstance(trips, Trips) and len(trips) == 10 and trips.ids is None
    with pytest.raises(RequestError, match="11 trips are too many: send at most 10"):
        parse_body(json.dumps({"trips": [TRIP] * 11}).encode(), 10)


@pytest.mark.parametrize("length", [100, 101])
def test_a_callers_own_words_are_quoted_up_to_a_length(length: int) -> None:
    with pytest.raises(RequestError) as caught:
        parse_body(json.dumps({**TRIP, "x" * length: 1}).encode(), 10)
    assert caught.value.field == "x" * 100 + ("…" if length > 100 else "")


def test_what_is_readable_of_wrong_trips_is_kept_as_it_is_understood() -> None:
    wrong = {"pickup_at": "2024-03-01T08:30:00Z", "pickup_zone": "x", "trip_distance": 2}
    with pytest.raises(FieldsError) as caught:
        parse_body(json.dumps({"trips": [TRIP, wrong, 5]}).encode(), 10)
    ((place, good),) = caught.value.readable
    assert place == "trips.1."
    assert sorted(good) == ["pickup_at", "trip_distance"]
    assert good["trip_distance"] == 2 and good["pickup_at"].tzinfo is None
    named = [problem.field for problem in caught.value.problems]
    assert named == ["trips.1.pickup_zone", "trips.1.dropoff_zone", "trips.2"]
    with pytest.raises(FieldsError) as caught:
        parse_body(json.dumps({"pickup_zone": 7}).encode(), 10)
    assert caught.value.readable == [("", {"pickup_zone": 7})]


def test_no_more_trips_are_read_than_an_answer_names() -> None:
    with pytest.raises(FieldsError) as caught:
        parse_body(json.dumps({"trips": [{}] * 1_000}).encode(), 1_000)
    assert len(caught.value.problems) == MAX_PROBLEMS
    assert len(caught.value.readable) == -(-MAX_PROBLEMS // 3)  # three fields of each are missing
