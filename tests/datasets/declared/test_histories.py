"""No row knows its future, and a frozen morning answers what the history answered on that day."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops.datasets.declared.histories import DatasetHistory, snapshot_of
from mlops.errors import DataQualityError
from tests.datasets.declared.deliveries import ROWS, START, deliveries, frame_of

DEFINITION = deliveries()
DAY = timedelta(days=1)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plain(mean: float, row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, "minutes": mean, **changes}


ROW = {
    **{"order": "a", "ordered_at": START, "lasts": 30.0, "minutes": 30.0, "weight": 1.0},
    **{"quoted": 20.0, "fragile": None, "city": "Rome", "courier": "x"},
    **{"promised_at": None, "ready_at": None, "depot": None},
}


@given(ROWS)
@FEW
def test_a_frozen_morning_answers_what_the_history_answered(rows: list[dict[str, Any]]) -> None:
    frame = frame_of(rows)

    annotated = DatasetHistory(DEFINITION).annotate(frame)

    for day in sorted({row["ordered_at"].date() for row in rows}):
        today = (frame["ordered_at"].dt.date == day).to_numpy()
        as_of = datetime.combine(day, datetime.min.time())
        snapshot = snapshot_of(DEFINITION, frame, as_of)
        pd.testing.assert_frame_equal(
            snapshot.lookup(DEFINITION, frame[today]), annotated[today], check_exact=True
        )


@given(ROWS, st.integers(0, 8), st.randoms(use_true_random=False))
@FEW
def test_what_becomes_known_later_changes_no_earlier_row(
    rows: list[dict[str, Any]], day: int, random: Any
) -> None:
    cut = START + day * DAY
    frame = frame_of(rows)
    known_at = (
        frame["delivered_at"].fillna(pd.Timestamp.max.as_unit("us")) + timedelta(hours=6)
    ).clip(lower=frame["ordered_at"])
    later = (known_at >= cut).to_numpy()

    changed = frame.copy()
    changed.loc[later, "minutes"] = [random.uniform(1, 10_000) for _ in range(later.sum())]
    before = (frame["ordered_at"] < cut + DAY).to_numpy()

    pd.testing.assert_frame_equal(
        DatasetHistory(DEFINITION).annotate(frame)[before],
        DatasetHistory(DEFINITION).annotate(changed)[before],
        check_exact=True,
    )


@given(ROWS, st.integers(0, 8))
@FEW
def test_reading_in_parts_changes_nothing(rows: list[dict[str, Any]], day: int) -> None:
    frame = frame_of(rows)
    first = (frame["ordered_at"] < START + day * DAY).to_numpy()

    history = DatasetHistory(DEFINITION)
    parts = [history.annotate(frame[first]), history.annotate(frame[~first])]

    whole = DatasetHistory(DEFINITION).annotate(frame)
    pd.testing.assert_frame_equal(pd.concat(parts).loc[whole.index], whole, check_exact=True)


@given(ROWS, st.randoms(use_true_random=False))
@FEW
def test_the_mean_is_what_its_definition_says(rows: list[dict[str, Any]], random: Any) -> None:
    # Given the weights of all rows known on the last morning, computed one by one.
    frame = frame_of(rows)
    morning = START + 9 * DAY
    known = [
        (row, 0.5 ** (((morning - DAY).date() - at.date()).days / 5))
        for row, last in zip(rows, frame["delivered_at"], strict=True)
        if not pd.isna(last) and row["minutes"] is not None
        for at in [max(last + timedelta(hours=6), pd.Timestamp(row["ordered_at"]))]
        if at.date() < morning.date()
    ]

    def smoothed(chosen: Any, broader: float) -> float:
        weights = [w for row, w in known if chosen(row)]
        total = sum(w * row["minutes"] for row, w in known if chosen(row))
        return (total + 3 * broader) / (sum(weights) + 3)

    asked = {**ROW, "ordered_at": morning}
    if known:
        ever = float(np.mean([row["minutes"] for row, _ in known]))
        everywhere = smoothed(lambda _: True, ever)
        city = smoothed(lambda row: row["city"] == "Rome", everywhere)
        expected = smoothed(lambda row: row["city"] == "Rome" and row["courier"] == "x", city)
    else:
        expected = np.nan

    # When
    answer = snapshot_of(DEFINITION, frame, morning).lookup(DEFINITION, frame_of([asked]))

    # Then
    np.testing.assert_allclose(answer["city_pace_mean"], [expected], rtol=1e-5)


def test_a_group_that_was_never_seen_falls_back() -> None:
    # Given rows of Rome with one courier, and rows of Milan
    rows = [plain(10.0, ROW), plain(30.0, ROW, courier="y"), plain(90.0, ROW, city="Milan")]
    snapshot = snapshot_of(DEFINITION, frame_of(rows), START + DAY)

    # When a courier without a past, and a city without a past, are asked about
    asked = frame_of([plain(0.0, ROW, courier=None), plain(0.0, ROW, city="Turin")])
    answer = snapshot.lookup(DEFINITION, asked)

    # Then the first is answered by its city, pulled to all rows, and the second by all rows.
    everywhere = (10 + 30 + 90) / 3
    city = (10 + 30 + 3 * everywhere) / (2 + 3)
    np.testing.assert_allclose(answer["city_pace_mean"], [city, everywhere], rtol=1e-6)
    assert answer["city_pace_count"].tolist() == [0, 0]


def test_one_row_is_looked_up_as_a_frame_is() -> None:
    rows = [plain(10.0, ROW), plain(30.0, ROW, courier="y", fragile=True)]
    snapshot = snapshot_of(DEFINITION, frame_of(rows), START + 2 * DAY)

    later = {"ordered_at": START + 9 * DAY}
    others = [plain(0.0, ROW, city=None, courier=None), plain(0.0, ROW, fragile=False)]
    for row in [*rows, *others, {**ROW, **later}]:
        frame = snapshot.lookup(DEFINITION, frame_of([row]))
        one = snapshot.of_one(DEFINITION)(row)
        assert np.array(one, np.float32).tolist() == frame.to_numpy()[0].tolist()


@given(ROWS, st.integers(0, 8))
@FEW
def test_a_snapshot_ages_like_a_history_that_learns_nothing(
    rows: list[dict[str, Any]], days: int
) -> None:
    # Given a past of six days, and a row some days after it
    past = frame_of([row for row in rows if row["ordered_at"] < START + 6 * DAY])
    past = past[past["delivered_at"] < START + 6 * DAY - timedelta(hours=7)]
    asked = frame_of([plain(0.0, ROW, ordered_at=START + (6 + days) * DAY)])

    # When it is answered by a snapshot from the end of the past, and by the history itself
    frozen = snapshot_of(DEFINITION, past, START + 6 * DAY).lookup(DEFINITION, asked)
    history = DatasetHistory(DEFINITION)
    history.add(past)

    # Then the answers agree: what is old weighs less in both.
    pd.testing.assert_frame_equal(frozen, history.annotate(asked), rtol=1e-5, atol=1e-4)


def test_the_hash_tells_snapshots_apart() -> None:
    frame = frame_of([plain(10.0, ROW), plain(30.0, ROW, courier="y")])
    snapshot = snapshot_of(DEFINITION, frame, START + 2 * DAY)

    assert snapshot.sha256 == snapshot_of(DEFINITION, frame, START + 2 * DAY).sha256
    assert snapshot.sha256 == pickle.loads(pickle.dumps(snapshot)).sha256
    frame.loc[0, "minutes"] = 11
    assert snapshot.sha256 != snapshot_of(DEFINITION, frame, START + 2 * DAY).sha256


def test_rows_of_an_earlier_day_are_refused() -> None:
    history = DatasetHistory(DEFINITION)
    history.add(frame_of([plain(1.0, ROW, ordered_at=START + DAY)]))

    with pytest.raises(DataQualityError, match="ordered_at: rows lie on days before"):
        history.annotate(frame_of([ROW]))


def test_a_row_without_an_event_is_answered_nothing() -> None:
    frame = frame_of([ROW, plain(20.0, ROW, ordered_at=START + 3 * DAY)])
    frame.loc[0, "ordered_at"] = pd.NaT

    annotated = DatasetHistory(DEFINITION).annotate(frame)

    assert annotated.loc[0].isna().all()
    assert annotated.loc[1, "city_pace_count"] == 0, "nor is it anybody's past"
