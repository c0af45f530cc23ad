"""Slices: every trip lies in exactly one slice per dimension, and bands begin where they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.datasets.taxi.slices import slice_labels
from mlops.datasets.taxi.trips import DISTANCE, PICKUP_AT, PICKUP_ZONE
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.slices import slice_metrics

trip = st.tuples(
    st.datetimes(pd.Timestamp("2023-01-01"), pd.Timestamp("2024-12-31")),
    st.integers(1, 265),
    st.one_of(st.none(), st.floats(0, 200)),
    st.floats(1, 60),
    st.floats(1, 60),
)


def trips(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[PICKUP_AT, PICKUP_ZONE, DISTANCE, "actual", "predicted"])
    return frame.astype({PICKUP_AT: "datetime64[us]", PICKUP_ZONE: "int32", DISTANCE: "float64"})


@settings(max_examples=40, deadline=None)
@given(st.lists(trip, min_size=1, max_size=30))
def test_each_dimension_divides_the_window(rows: list[tuple]) -> None:
    frame = trips(rows)
    whole = regression_metrics(frame["actual"], frame["predicted"])

    found = slice_metrics(slice_labels(frame), frame["actual"], frame["predicted"])

    for dimension in {entry.dimension for entry in found}:
        parts = [entry for entry in found if entry.dimension == dimension]
        assert sum(part.rows for part in parts) == len(frame)
        assert all(part.rows > 0 for part in parts)
        squared = sum(part.rows * part.rmse**2 for part in parts) / len(frame)
        assert squared == pytest.approx(whole.rmse**2)
        assert sum(part.rows * part.bias for part in parts) / len(frame) == pytest.approx(
            whole.bias, abs=1e-9
        )


@pytest.mark.parametrize(
    ("at", "band"),
    [
        ("2024-01-15 00:00", "night"),
        ("2024-01-15 05:59", "night"),
        ("2024-01-15 06:00", "morning rush"),
        ("2024-01-15 10:00", "midday"),
        ("2024-01-15 16:00", "evening rush"),
        ("2024-01-15 19:59", "evening rush"),
        ("2024-01-15 23:59", "evening"),
    ],
)
def test_hours_fall_into_bands(at: str, band: str) -> None:
    frame = trips([(pd.Timestamp(at), 74, 1.0, 10.0, 10.0)])

    assert slice_labels(frame)["hour"].tolist() == [band]


@pytest.mark.parametrize(
    ("miles", "band"),
    [
        (0.0, "under 1 mile"),
        (1.0, "1 to 2 miles"),
        (4.99, "2 to 5 miles"),
        (5.0, "5 to 10 miles"),
        (150.0, "10 miles and more"),
        (np.nan, "no distance given"),
    ],
)
def test_distances_fall_into_bands(miles: float, band: str) -> None:
    frame = trips([(pd.Timestamp("2024-01-15"), 74, miles, 10.0, 10.0)])

    assert slice_labels(frame)["distance"].tolist() == [band]


def test_days_and_boroughs_are_named() -> None:
    # Given a Monday trip from East Harlem and a Saturday trip from Astoria
    frame = trips(
        [
            (pd.Timestamp("2024-01-15"), 74, 1.0, 10.0, 10.0),
            (pd.Timestamp("2024-01-20"), 7, 1.0, 10.0, 12.0),
        ]
    )

    labels = slice_labels(frame)
    found = {
        (e.dimension, e.slice): e for e in slice_metrics(slice_labels(frame), [10, 10], [10, 12])
    }

    assert labels["day of week"].tolist() == ["Monday", "Saturday"]
    assert labels["part of week"].tolist() == ["weekday", "weekend"]
    assert found["pickup borough", "Manhattan"].rmse == 0
    assert found["pickup borough", "Queens"].bias == 2
