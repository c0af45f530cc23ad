"""A frame and one row become the same numbers, to the bit; and what the numbers are."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from mlops.datasets.declared.encoding import OTHER, RARE, RowEncoder, TableEncoder
from mlops.datasets.declared.histories import DatasetHistory, snapshot_of
from mlops.errors import DataQualityError
from tests.datasets.declared.deliveries import ROWS, START, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

DEFINITION = deliveries()
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def encoder_of(rows: list[dict[str, Any]]) -> TableEncoder:
    frame = frame_of(rows)
    return TableEncoder.fit(
        DEFINITION, frame, snapshot_of(DEFINITION, frame, START + timedelta(days=9))
    )


TRAINING = [
    *({**ROW, "minutes": 20.0} for _ in range(RARE + 1)),
    *({**ROW, "city": "Milan", "courier": "y", "weight": None} for _ in range(RARE)),
    {**ROW, "city": "Turin"},
]
ENCODER = encoder_of(TRAINING)


@given(ROWS)
@FEW
def test_one_row_is_encoded_as_a_frame_to_the_bit(rows: list[dict[str, Any]]) -> None:
    encode = RowEncoder(ENCODER).encode

    matrix = ENCODER.encode(frame_of(rows))

    for row, expected in zip(rows, matrix, strict=True):
        assert encode(row).tobytes() == expected.tobytes()


def test_columns_that_are_optional_may_not_be_there() -> None:
    whole = {**ROW, "weight": None, "courier": None}
    sent = {name: whole[name] for name in ("ordered_at", "quoted", "city")}

    matrix = ENCODER.encode(frame_of([whole]))

    assert RowEncoder(ENCODER).encode(sent).tobytes() == matrix.tobytes()
    few = frame_of([whole])[[*sent]]
    assert ENCODER.encode(few).tobytes() == matrix.tobytes()


def test_what_the_features_are() -> None:
    asked = {**ROW, "weight": 2.5, "fragile": True, "promised_at": START + timedelta(hours=1.5)}
    [numbers] = ENCODER.encode(frame_of([asked]))

    encoded = dict(zip(ENCODER.features, numbers.tolist(), strict=True))

    assert encoded["weight"] == 2.5
    assert encoded["weight_missing"] == 0
    assert encoded["fragile"] == 1
    assert encoded["promised_at"] == 90
    assert encoded["ordered_at_day_of_month"] == START.day
    assert encoded["city"] == 0, "the most frequent category"
    assert "quoted_missing" not in encoded, "training has no row without it"
    assert "fragile_missing" not in encoded, "training has no row with it"
    assert encoded["city_pace_count"] > 1


def test_categories_that_are_rare_or_unseen() -> None:
    column = ENCODER.features.index("city"), ENCODER.features.index("courier")
    rows = [
        {**ROW, "city": city, "courier": courier}
        for city, courier in [("Milan", "y"), ("Turin", "z"), ("Paris", None), (None, "x")]
    ]

    codes = ENCODER.encode(frame_of(rows))[:, column]

    other = 1.0  # between Rome, which is quick, and Milan
    np.testing.assert_array_equal(codes[:, 0], [2, other, other, np.nan])
    np.testing.assert_array_equal(codes[:, 1], [1, np.nan, np.nan, 0])


def test_training_takes_what_was_known_on_each_day() -> None:
    frame = frame_of([{**ROW, "ordered_at": START + timedelta(days=day)} for day in range(3)])
    annotated = pd.concat([frame, DatasetHistory(DEFINITION).annotate(frame)], axis=1)
    place = ENCODER.features.index("city_pace_mean")

    history = ENCODER.encode(annotated, history=True)[:, place]

    np.testing.assert_array_equal(history, annotated["city_pace_mean"].to_numpy())
    assert np.isnan(history[0])


def test_a_renewed_encoder_knows_a_later_morning() -> None:
    frame = frame_of([{**ROW, "minutes": 90.0, "ordered_at": START + timedelta(days=20)}])
    later = snapshot_of(DEFINITION, frame, START + timedelta(days=22))
    asked = frame_of([{**ROW, "ordered_at": START + timedelta(days=22)}])
    place = ENCODER.features.index("city_pace_mean")

    renewed = ENCODER.renewed(later)

    assert renewed.features == ENCODER.features
    assert renewed.encode(asked)[0, place] == pytest.approx(90)
    assert ENCODER.encode(asked)[0, place] < 40


def rows_with_answers(effect: float) -> list[dict[str, Any]]:
    """Return rows whose answers differ between three cities by an effect, in minutes."""
    noise = np.random.default_rng(3).normal(0, 1, 400)
    cities = {"Oslo": 0, "Rome": 2, "Bern": 1, "Bern ": 1}
    return [
        {**ROW, "city": city.strip(), "minutes": 30 + effect * place + noise[4 * number + nth]}
        for number in range(100)
        for nth, (city, place) in enumerate(cities.items())
    ]


def test_categories_are_ordered_by_their_answers_where_these_are_reliable() -> None:
    encoder = encoder_of(rows_with_answers(5.0))

    known = encoder.categories["city"]
    assert [name for name in known if name] == ["Oslo", "Bern", "Rome"]
    assert OTHER in known[1:-1] and encoder.layout.codes["city"] == 4
    codes = encoder.codes("city", ["Oslo", "Rome", "never seen", None])
    assert codes[0] == 0 and codes[1] == 3 and codes[2] == known.index(OTHER)
    assert np.isnan(codes[3])
    request = {"ordered_at": START, "quoted": 30.0, "city": "never seen"}
    place = encoder.layout.column["city"]
    assert RowEncoder(encoder).encode(request)[place] == known.index(OTHER)


def test_categories_whose_answers_hardly_differ_are_ordered_by_frequency() -> None:
    assert encoder_of(rows_with_answers(0.0)).categories["city"] == ("Bern", "Oslo", "Rome")


def test_a_definition_stored_before_a_key_existed_has_its_default() -> None:
    old = pickle.loads(pickle.dumps(ENCODER))
    definition = old.definition
    for part, name in (
        (definition, "schedules"),
        (definition, "card"),
        (definition.task, "meaning"),
    ):
        del part.__dict__[name]

    again = pickle.loads(pickle.dumps(old)).definition

    assert again == ENCODER.definition


def test_an_encoder_survives_a_pickle() -> None:
    again = pickle.loads(pickle.dumps(ENCODER))

    assert (
        again.encode(frame_of(TRAINING)).tobytes() == ENCODER.encode(frame_of(TRAINING)).tobytes()
    )


def test_errors_name_the_column() -> None:
    with pytest.raises(DataQualityError, match="lack the column quoted"):
        ENCODER.encode(frame_of([ROW]).drop(columns="quoted"))
    with pytest.raises(DataQualityError, match="lack the column city_pace_mean"):
        ENCODER.encode(frame_of([ROW]), history=True)
    with pytest.raises(DataQualityError, match="no rows to learn from"):
        TableEncoder.fit(DEFINITION, frame_of([]), ENCODER.snapshot)
    with pytest.raises(DataQualityError, match="declares histories"):
        TableEncoder.fit(DEFINITION, frame_of([ROW]))


def test_an_encoder_that_was_asked_is_stored_as_one_that_was_not() -> None:
    asked = encoder_of(TRAINING)
    assert asked.sha256 and asked.layout.names

    assert vars(pickle.loads(pickle.dumps(asked))).keys() == vars(encoder_of(TRAINING)).keys()
