"""The gatekeeper: nothing of the future, whoever asks for what and when."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.backtest.history import (
    ANSWERABLE,
    LEARNABLE,
    Clock,
    FutureAccessError,
    History,
    content_sha256,
)
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET
from mlops.errors import DataQualityError
from mlops.settings import load_settings

START = datetime(2024, 1, 1)
WATCHING = TaxiTrips().watching(load_settings())
HOURS = 24 * 60
LABELS = {"dropoff_at", "fare_amount", TARGET}

# Hours from START: pickups, in any order; durations; clean or not, as if drawn from many months.
hours = st.floats(0, HOURS, allow_nan=False)
trips_drawn = st.lists(
    st.tuples(hours, st.floats(-5, 50), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=30,
)


def recorded(drawn: list[tuple[float, float, bool, bool, bool]]) -> pd.DataFrame:
    pickups = pd.Timestamp(START) + pd.to_timedelta([d[0] for d in drawn], unit="h")
    lasting = pd.to_timedelta([d[1] for d in drawn], unit="h")
    ended = pd.Series(pickups + lasting).where([not d[4] for d in drawn])
    trips = pd.DataFrame(dict.fromkeys(REQUEST_COLUMNS, 1.0), index=range(len(drawn)))
    trips["pickup_at"] = pickups
    trips = trips.astype(REQUEST_COLUMNS)
    return trips.assign(
        dropoff_at=ended.astype("datetime64[us]"),
        fare_amount=1.0,
        duration_minutes=(ended - trips["pickup_at"]) / pd.Timedelta(minutes=1),
        answerable=[d[2] for d in drawn],
        learnable=[d[3] and not d[4] for d in drawn],
    )


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


@given(drawn=trips_drawn, delay=st.floats(0, 100), now=hours, start=hours)
def test_what_is_learned_from_had_ended_and_its_label_had_arrived(
    drawn: list[tuple[float, float, bool, bool, bool]], delay: float, now: float, start: float
) -> None:
    trips = recorded(drawn)
    clock = History(trips, WATCHING, timedelta(hours=delay)).clock(at(now))

    known = clock.finished(min(at(start), clock.now))

    arrived = known[["pickup_at", "dropoff_at"]].max(axis=1) + timedelta(hours=delay)
    assert (arrived <= clock.now).all()
    assert known["pickup_at"].is_monotonic_increasing
    # Nothing that could be known is held back either.
    every = trips[["pickup_at", "dropoff_at"]].max(axis=1) + timedelta(hours=delay)
    could = trips[LEARNABLE] & (every <= clock.now) & (trips["pickup_at"] >= at(start))
    assert len(known) == (could & (trips["pickup_at"] < clock.now)).sum()


@given(drawn=trips_drawn, delay=st.floats(0, 100), now=hours, since=hours)
def test_labels_are_shown_if_and_only_if_they_have_arrived(
    drawn: list[tuple[float, float, bool, bool, bool]], delay: float, now: float, since: float
) -> None:
    trips = recorded(drawn)
    clock = History(trips, WATCHING, timedelta(hours=delay)).clock(at(now))

    seen = clock.observed(START, clock.now)

    arrived = (
        seen[["pickup_at", "dropoff_at"]].max(axis=1) + timedelta(hours=delay) <= clock.now
    ) & seen["dropoff_at"].notna()
    assert seen[TARGET].notna().equals(arrived)
    assert seen["fare_amount"].notna().equals(arrived)
    every = trips[["pickup_at", "dropoff_at"]].max(axis=1) + timedelta(hours=delay)
    came = (trips["pickup_at"] < clock.now) & trips["dropoff_at"].notna() & (every <= clock.now)
    assert arrived.sum() == came.sum()


@given(drawn=trips_drawn, times=st.lists(hours, min_size=2, max_size=6))
def test_a_clock_only_moves_on_and_only_ever_shows_more(
    drawn: list[tuple[float, float, bool, bool, bool]], times: list[float]
) -> None:
    history = History(recorded(drawn), WATCHING, timedelta(hours=1))
    clock = history.clock(START)
    known: set[int] = set()

    for time in sorted(times):
        clock.advance(at(time))
        now_known = set(clock.finished().index)
        assert known <= now_known
        known = now_known

    if at(max(times)) > at(min(times)):
        with pytest.raises(FutureAccessError):
            clock.advance(at(min(times)))


@given(drawn=trips_drawn, now=hours)
def test_requests_are_those_answered_and_carry_no_label(
    drawn: list[tuple[float, float, bool, bool, bool]], now: float
) -> None:
    trips = recorded(drawn)
    clock = History(trips, WATCHING, timedelta(0)).clock(at(now))

    requests = clock.requests(START, clock.now)

    assert list(requests.columns) == list(REQUEST_COLUMNS)
    assert len(requests) == (trips[ANSWERABLE] & (trips["pickup_at"] < clock.now)).sum()


@pytest.mark.parametrize("ask", [Clock.requests, Clock.observed])
def test_the_future_is_refused(ask: object) -> None:
    clock = History(recorded([(5.0, 0.5, True, True, False)]), WATCHING, timedelta(0)).clock(at(4))

    with pytest.raises(FutureAccessError, match="it is 2024-01-01 04:00"):
        ask(clock, START, at(6))  # type: ignore[operator]


def test_columns_that_know_the_future_are_not_passed_on() -> None:
    trips = recorded([(float(i), 0.5, True, True, False) for i in range(50)])
    planted = trips.assign(true_minutes=trips[TARGET], duration_hint=trips[TARGET])

    clock, honest = (History(t, WATCHING, timedelta(0)).clock(at(30)) for t in (planted, trips))

    for ask in ("finished", "observed", "requests"):
        arguments = () if ask == "finished" else (START, at(30))
        shown = getattr(clock, ask)(*arguments)
        assert set(shown) <= {*REQUEST_COLUMNS, *LABELS}
        assert content_sha256(shown) == content_sha256(getattr(honest, ask)(*arguments))


def test_the_order_of_trips_tells_nothing_of_what_came_of_them() -> None:
    drawn = [(float(i % 7), i / 10, True, True, False) for i in range(40)]
    trips = recorded(drawn).assign(pickup_zone=np.arange(40, dtype=np.int32))
    shuffled = trips.sample(frac=1, random_state=1)

    first, second = (History(t, WATCHING, timedelta(0)).clock(at(20)) for t in (trips, shuffled))

    assert content_sha256(first.finished()) == content_sha256(second.finished())


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataQualityError, match=TARGET):
        History(
            recorded([(1.0, 1.0, True, True, False)]).drop(columns=TARGET), WATCHING, timedelta(0)
        )


def test_the_content_hash_sees_every_value_and_name() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})

    hashes = {
        content_sha256(changed)
        for changed in (
            frame,
            frame.replace(2.0, 2.5),
            frame.rename(columns={"b": "c"}),
            frame.set_axis([1, 0]),
            frame[["b", "a"]],
        )
    }

    assert len(hashes) == 5
