"""Pandera enforces types; masks become reasons."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from mlops.data.quality import reasons_of
from mlops.datasets.taxi.contract.rules import rules_in_force
from mlops.datasets.taxi.contract.schema import (
    broken_by_requests,
    broken_rules,
    trip_schema,
)
from mlops.datasets.taxi.trips import REQUEST_COLUMNS
from mlops.errors import DataQualityError
from mlops.settings import ValidationSettings

LIMITS = ValidationSettings()
RULES = rules_in_force(LIMITS, at_pickup=True)
SCHEMA = trip_schema(RULES, LIMITS)


@pytest.mark.parametrize("column", list(REQUEST_COLUMNS))
def test_a_missing_column_is_named(make_trips: Any, column: str) -> None:
    with pytest.raises(DataQualityError, match=column):
        broken_rules(make_trips(3).drop(columns=column), SCHEMA)
    with pytest.raises(DataQualityError, match=f"{column} is missing"):
        broken_by_requests(make_trips(3).drop(columns=column), RULES, LIMITS)


@pytest.mark.parametrize("column", list(REQUEST_COLUMNS))
def test_a_column_of_the_wrong_type_is_named(make_trips: Any, column: str) -> None:
    with pytest.raises(DataQualityError, match=column):
        broken_rules(make_trips(3).astype({column: str}), SCHEMA)
    with pytest.raises(DataQualityError, match=f"{column} is object"):
        broken_by_requests(make_trips(3).astype({column: str}), RULES, LIMITS)


def test_requests_break_the_same_rules_with_and_without_pandera(make_trips: Any) -> None:
    # Given requests with every kind of fault, some more than one
    trips = make_trips(400, seed=3)
    random = np.random.default_rng(3)
    for column, worst in {
        "pickup_at": np.datetime64("NaT"),
        "pickup_zone": 0,
        "dropoff_zone": 265,
        "trip_distance": -1.0,
        "rate_code": np.nan,
        "passenger_count": 11.0,
    }.items():
        trips.loc[random.random(len(trips)) < 0.1, column] = worst
    trips.loc[4:7, "pickup_at"] = datetime(2024, 3, 10, 2, 30)
    trips.loc[6:9, "trip_distance"] = np.inf
    trips.loc[8:11, "passenger_count"] = 0.0
    trips.loc[10:13, "rate_code"] = 42.0
    trips.loc[:3, "trip_distance"] = [0.0, 101.0, np.nan, 5_000.0]
    # When they are held to all rules for requests
    found = broken_by_requests(trips, RULES, LIMITS)
    # Then pandera says the same
    expected = broken_rules(trips, SCHEMA)
    assert list(found) == list(expected)
    assert list(found) == list(RULES)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask)


def test_the_trips_are_not_changed(make_trips: Any) -> None:
    trips = make_trips(50)
    before = trips.copy(deep=True)
    broken_rules(trips, SCHEMA)
    assert trips.equals(before)


def test_validating_does_not_keep_the_trips_in_memory(make_trips: Any) -> None:
    # Given the collector of cycles asleep
    import gc

    gc.collect()
    gc.disable()
    try:
        # When a frame with bad rows has been validated
        broken_rules(make_trips(1_234).assign(pickup_zone=np.int32(0)), SCHEMA)
        # Then nothing of its size is left
        import pandas as pd

        kinds = (pd.DataFrame, pd.Series)
        assert not [o for o in gc.get_objects() if isinstance(o, kinds) and len(o) == 1_234]
    finally:
        gc.enable()


def test_reasons_list_all_broken_rules_of_a_row_in_order() -> None:
    broken = {
        "zone": np.array([True, False, True, False]),
        "speed": np.array([False, False, True, True]),
    }
    rows = np.array([True, False, True, True])
    assert reasons_of(broken, rows) == ["zone", "zone; speed", "speed"]
    assert reasons_of({}, np.array([False])) == []
