"""Requests become numbers in one way, row by row, whatever is missing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops.datasets.dataset import training_matrix
from mlops.datasets.taxi.features.encoding import COLUMN, FEATURES, FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET
from mlops.errors import DataQualityError
from mlops.settings import FeatureSettings


@pytest.fixture(scope="module")
def trips(sample_history: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return sample_history("2024-01")


@pytest.fixture(scope="module")
def encoder(trips: pd.DataFrame) -> FeatureEncoder:
    return FeatureEncoder(RouteStatistics.of(trips, datetime(2024, 2, 1), FeatureSettings()))


def column(matrix: np.ndarray, name: str) -> np.ndarray:
    return matrix[:, COLUMN[name]]


def test_shape_type_and_names(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    matrix = encoder.encode(trips[list(REQUEST_COLUMNS)])

    assert matrix.dtype == np.float32
    assert matrix.shape == (len(trips), len(FEATURES))
    assert len(set(FEATURES)) == len(FEATURES)
    assert not np.isinf(matrix).any()


def test_training_rows_and_requests_take_the_same_path(
    encoder: FeatureEncoder, trips: pd.DataFrame
) -> None:
    # given trips whose history says what the encoder's own statistics say
    annotated = pd.concat([trips, encoder.statistics.lookup(trips)], axis=1)

    np.testing.assert_array_equal(
        encoder.encode(annotated, history=True), encoder.encode(trips[list(REQUEST_COLUMNS)])
    )


def test_history_of_the_row_is_used_not_the_snapshot(
    encoder: FeatureEncoder, trips: pd.DataFrame
) -> None:
    known = RouteHistory(FeatureSettings()).annotate(trips)

    matrix = encoder.encode(pd.concat([trips, known], axis=1), history=True)

    np.testing.assert_array_equal(column(matrix, "route_minutes"), known["route_minutes"])
    np.testing.assert_array_equal(column(matrix, "pickup_hour_pace"), known["pickup_hour_pace"])


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_row_is_encoded_alike_in_any_company(
    encoder: FeatureEncoder, trips: pd.DataFrame, rows: list[int]
) -> None:
    alone = encoder.encode(trips.iloc[rows])

    np.testing.assert_array_equal(alone, encoder.encode(trips)[rows])


def test_vendor_and_outcome_do_not_enter(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    other = trips.assign(vendor_id=99.0, fare_amount=1e6, duration_minutes=3.0)

    np.testing.assert_array_equal(encoder.encode(other), encoder.encode(trips))


@pytest.mark.parametrize("miles", [0.0, np.nan, 134_625.0, -1.0])
def test_an_impossible_distance_is_unknown(
    encoder: FeatureEncoder, trips: pd.DataFrame, miles: float
) -> None:
    matrix = encoder.encode(trips[:50].assign(trip_distance=miles))

    assert np.isnan(column(matrix, "miles")).all()
    np.testing.assert_array_equal(column(matrix, "likely_miles"), column(matrix, "route_miles"))
    assert (column(matrix, "miles_over_route") == 1).all()


def test_only_time_and_zones_are_needed(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    bare = trips[["pickup_at", "pickup_zone", "dropoff_zone"]]

    matrix = encoder.encode(bare)

    assert (column(matrix, "codes_missing") == 1).all()
    assert np.isfinite(column(matrix, "minutes_at_route_pace")).all()
    with pytest.raises(DataQualityError, match="dropoff_zone"):
        encoder.encode(bare.drop(columns="dropoff_zone"))


def test_nullable_columns_are_understood(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    nullable = trips.astype({"passenger_count": "Int64", "rate_code": "Float64"})

    np.testing.assert_array_equal(encoder.encode(nullable), encoder.encode(trips))


def test_codes_are_missing_together_or_not(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    both = trips[:1].assign(passenger_count=np.nan, rate_code=np.nan)
    one = trips[:1].assign(passenger_count=np.nan, rate_code=1.0)

    found = [column(encoder.encode(rows), "codes_missing").item() for rows in (both, one)]

    assert found == [1, 0]


def test_pickled_encoder_encodes_alike(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    copied = pickle.loads(pickle.dumps(encoder))

    np.testing.assert_array_equal(copied.encode(trips), encoder.encode(trips))


def test_nothing_to_encode(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    assert encoder.encode(trips[:0]).shape == (0, len(FEATURES))


def test_training_needs_trips_with_history(encoder: FeatureEncoder, trips: pd.DataFrame) -> None:
    with pytest.raises(DataQualityError, match="route_trips"):
        training_matrix(encoder, trips, TARGET)
    annotated = pd.concat([trips, encoder.statistics.lookup(trips)], axis=1)
    with pytest.raises(DataQualityError, match="none"):
        training_matrix(encoder, annotated[:0], TARGET)
