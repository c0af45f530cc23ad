"""Pandera enforces types; masks become reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlops.data.rules import rules_in_force
from mlops.data.schema import broken_rules, reasons_of, trip_schema
from mlops.data.trips import REQUEST_COLUMNS
from mlops.errors import DataQualityError
from mlops.settings import ValidationSettings

LIMITS = ValidationSettings()
SCHEMA = trip_schema(rules_in_force(LIMITS, at_pickup=True), LIMITS)


@pytest.mark.parametrize("column", list(REQUEST_COLUMNS))
def test_a_missing_column_is_named(make_trips: Any, column: str) -> None:
    with pytest.raises(DataQualityError, match=column):
        broken_rules(make_trips(3).drop(columns=column), SCHEMA)


@pytest.mark.parametrize("column", list(REQUEST_COLUMNS))
def test_a_column_of_the_wrong_type_is_named(make_trips: Any, column: str) -> None:
    with pytest.raises(DataQualityError, match=column):
        broken_rules(make_trips(3).astype({column: str}), SCHEMA)


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
