"""A linear model sees indicators and tamed numbers."""

from __future__ import annotations

import numpy as np

from mlops.datasets.taxi.features.encoding import COLUMN, FEATURES, LAYOUT
from mlops.datasets.taxi.features.sums import ZONES
from mlops.training.linear import LinearEncoding


def matrix(rows: int = 2_000) -> np.ndarray:
    random = np.random.default_rng(0)
    found = random.normal(5, 2, (rows, len(FEATURES))).astype(np.float32)
    found[:, COLUMN["pickup_zone"]] = random.integers(0, ZONES, rows)
    found[:, COLUMN["dropoff_zone"]] = random.integers(0, ZONES, rows)
    found[:, COLUMN["minute_of_day"]] = random.integers(0, 1_440, rows)
    found[:, COLUMN["weekday"]] = random.integers(0, 7, rows)
    return found


def test_one_indicator_per_zone_and_hour_of_the_week() -> None:
    features = matrix()
    features[0, COLUMN["pickup_zone"]] = 3
    features[0, COLUMN["dropoff_zone"]] = 265
    features[0, COLUMN["weekday"]] = 6
    features[0, COLUMN["minute_of_day"]] = 1_439

    encoded = LinearEncoding(LAYOUT).fit(features).transform(features)

    indicators = encoded[0].toarray()[0, : 2 * (ZONES + 1) + 7 * 24]
    assert indicators.nonzero()[0].tolist() == [3, ZONES + 1 + 265, 2 * (ZONES + 1) + 7 * 24 - 1]
    assert encoded.has_sorted_indices


def test_numbers_have_mean_zero_and_spread_one() -> None:
    features = matrix()

    numbers = (
        LinearEncoding(LAYOUT)
        .fit(features)
        .transform(features)[:, 2 * (ZONES + 1) + 7 * 24 :]
        .toarray()
    )

    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(numbers.std(axis=0), 1, atol=1e-5)


def test_an_absurd_number_is_as_far_as_the_farthest_usual_one() -> None:
    features = matrix()
    encoding = LinearEncoding(LAYOUT).fit(features)
    usual = np.abs(encoding.transform(features)[:, 2 * (ZONES + 1) + 7 * 24 :]).max()

    absurd = features[:1].copy()
    absurd[:, COLUMN["miles"]] = 134_625

    assert np.abs(encoding.transform(absurd)[:, 2 * (ZONES + 1) + 7 * 24 :]).max() <= usual


def test_missing_is_the_mean_and_a_column_without_any_value_is_harmless() -> None:
    features = matrix()
    features[:100, COLUMN["miles"]] = np.nan
    features[:, COLUMN["trip_type"]] = np.nan  # yellow taxis have none

    encoded = LinearEncoding(LAYOUT).fit(features).transform(features)

    assert np.isfinite(encoded.data).all()
    position = encoded.shape[1] - len(FEATURES) + COLUMN["miles"]
    assert (encoded[:100, position].toarray() == 0).all()
