"""Records are predicted in order, and known again by their own names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.errors import DataQualityError
from mlops.inference.records import predict_records
from mlops.settings import Settings, load_settings
from tests.datasets.declared.deliveries import DELIVERIES

RECORD = {"pickup_at": "2024-03-01T08:30:00", "pickup_zone": 74, "dropoff_zone": 166}
DELIVERY = {"ordered_at": "2024-03-01T08:30:00", "quoted": 30, "city": "Rome", "weight": 2.5}


class Quoted:
    """Answers a delivery with what was quoted for it."""

    def predict(self, requests: pd.DataFrame) -> Any:
        assert "order" not in requests and requests["courier"].isna().all()
        return np.outer(requests["quoted"], [1.0, 0.5, 2.0])


@pytest.fixture
def other(declare: Callable[[str], Path]) -> Settings:
    declare(DELIVERIES)
    return load_settings({"dataset": "deliveries"})


def test_records_are_predicted_in_order(model: Any) -> None:
    records = [
        {**RECORD, "trip_id": "x", "trip_distance": 2.5},
        {**RECORD, "trip_distance": 10},
        {**RECORD, "trip_id": 7},
    ]
    assert predict_records(model, records, load_settings()) == [
        {"trip_id": "x", "prediction_minutes": 10.0, "lower_minutes": 5.0, "upper_minutes": 20.0},
        {"prediction_minutes": 25.0, "lower_minutes": 12.5, "upper_minutes": 50.0},
        {"trip_id": 7, "prediction_minutes": 7.0, "lower_minutes": 3.5, "upper_minutes": 14.0},
    ]
    assert predict_records(model, [], load_settings()) == []


def test_a_bad_record_stops_all_before_the_model(model: Any) -> None:
    with pytest.raises(DataQualityError, match="record 1"):
        predict_records(model, [RECORD, {**RECORD, "pickup_zone": 0}], load_settings())
    assert model.calls == []


def test_rows_of_a_declared_dataset_are_predicted_in_its_own_columns(other: Settings) -> None:
    records = [{**DELIVERY, "order": "a"}, {**DELIVERY, "quoted": 8}]
    assert predict_records(Quoted(), records, other) == [
        {"key": {"order": "a"}, "prediction": 30.0, "lower": 15.0, "upper": 60.0},
        {"prediction": 8.0, "lower": 4.0, "upper": 16.0},
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": "heavy"}, r"record 1: weight must be a number \(kg\)"),
        ({"weight": 51}, "record 1: weight breaks the rule weight_wrong"),
        ({"quoted": None, "citty": "Rome"}, "citty there is no such field; .*city"),
        ({"ordered_at": None}, "record 1: ordered_at is missing"),
    ],
)
def test_a_bad_row_is_refused_by_place_and_field(
    other: Settings, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataQualityError, match=said) as caught:
        predict_records(Quoted(), [DELIVERY, {**DELIVERY, **change}], other)
    assert "a record has ordered_at, quoted, city" in caught.value.hint
