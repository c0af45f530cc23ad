"""Conformal intervals cover what they promise, whatever the errors look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.encoding import COLUMN, FEATURES, LAYOUT
from mlops.training.intervals import (
    NOMINAL_COVERAGE,
    QuantileInterval,
    ResidualInterval,
    folds_of,
    out_of_fold,
)


class Fixed:
    """An estimator that answers with given quantiles."""

    def __init__(self, quantiles: np.ndarray) -> None:
        self.quantiles = quantiles

    def predict(self, features: object) -> np.ndarray:
        return self.quantiles


def skewed(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions, and actual minutes whose errors grow with the prediction and are skewed."""
    random = np.random.default_rng(seed)
    center = random.uniform(2, 40, rows)
    return center, center * random.lognormal(0, 0.4, rows)


def covered(bounds: tuple[np.ndarray, np.ndarray], actual: np.ndarray) -> float:
    return float(((bounds[0] <= actual) & (actual <= bounds[1])).mean())


def trips_of(miles: np.ndarray, zones: np.ndarray | int = 11) -> np.ndarray:
    """Features of trips, all of which but zones and miles are zero."""
    features = np.zeros((len(miles), len(FEATURES)), np.float32)
    features[:, COLUMN["pickup_zone"]] = zones
    features[:, COLUMN["miles"]] = miles
    return features


def test_residual_interval_covers_short_and_long_trips_alike() -> None:
    interval = ResidualInterval.calibrate(*skewed(5_000, 1))
    center, actual = skewed(20_000, 2)

    for part in (center < 10, (center >= 10) & (center < 30), center >= 30):
        found = covered(interval.bounds(None, center[part]), actual[part])
        assert found == pytest.approx(NOMINAL_COVERAGE, abs=0.03)


def test_long_trips_are_less_certain() -> None:
    interval = ResidualInterval.calibrate(*skewed(5_000, 1))

    lower, upper = interval.bounds(None, np.array([5.0, 35.0]))

    assert (upper - lower)[1] > 3 * (upper - lower)[0]


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_quantile_interval_mends_quantiles_of_any_width(factor: float) -> None:
    # given quantiles that are far too narrow, or far too wide
    def quantiles(center: np.ndarray) -> np.ndarray:
        return np.stack([center - factor * 8, center, center + factor * 8], axis=1)

    center, actual = skewed(5_000, 1)
    later, later_actual = skewed(20_000, 2)

    estimator = Fixed(quantiles(later))
    interval = QuantileInterval.calibrate(
        estimator, trips_of(center), quantiles(center), actual, LAYOUT
    )

    found = covered(interval.bounds(trips_of(later), later), later_actual)
    assert found == pytest.approx(NOMINAL_COVERAGE, abs=0.03)


@given(st.integers(1, 300), st.integers(0, 100))
def test_few_trips_calibrate_too(rows: int, seed: int) -> None:
    center, actual = skewed(rows, seed)

    interval = ResidualInterval.calibrate(center, actual)
    lower, upper = interval.bounds(None, center)

    assert np.isfinite(lower).all() and np.isfinite(upper).all()
    # on the very trips it was calibrated on, it covers at least what it promises
    assert covered((lower, upper), actual) >= NOMINAL_COVERAGE - 1e-9


def test_the_conformal_rank_counts_the_new_trip() -> None:
    # given nine scores 1 to 9: of ten trips, eight lie at or below the eighth
    actual = np.arange(1.0, 10.0)
    quantiles = np.zeros((9, 3))

    found = QuantileInterval.calibrate(
        Fixed(quantiles), trips_of(actual), quantiles, actual, LAYOUT
    )

    assert found.margin == 8


def test_a_borough_that_needs_more_gets_more_as_far_as_its_trips_are_evidence() -> None:
    # given trips of Brooklyn and of the Bronx, these twice as uncertain as they look
    random = np.random.default_rng(3)
    rows = 60_000
    bronx = np.arange(rows) % 3 == 0
    features = trips_of(np.full(rows, 2.0), zones=np.where(bronx, 3, 11))
    quantiles = np.stack([np.full(rows, 18.0), np.full(rows, 20.0), np.full(rows, 22.0)], axis=1)
    actual = 20 + random.normal(0, np.where(bronx, 3.2, 1.6))

    interval = QuantileInterval.calibrate(Fixed(quantiles), features, quantiles, actual, LAYOUT)
    bounds = interval.bounds(features, quantiles[:, 1])

    for part in (bronx, ~bronx):
        inside = covered((bounds[0][part], bounds[1][part]), actual[part])
        assert inside == pytest.approx(NOMINAL_COVERAGE, abs=0.03)
    # a zone nobody knows and a distance nobody gave are no reason to fail
    unknown = trips_of(np.array([np.nan]), zones=np.array([0]))
    assert np.isfinite(interval.tables[0].margins_of(unknown)).all()
    assert np.isfinite(interval.tables[1].margins_of(unknown)).all()


class Remembers:
    """Predicts for each trip how often it was among those that it was fitted on."""

    def fit(self, features: np.ndarray, minutes: np.ndarray) -> None:
        self.known = set(features[:, 0].tolist())

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.array([float(row in self.known) for row in features[:, 0].tolist()])


@given(st.lists(st.integers(0, 9), min_size=3, max_size=60))
def test_no_trip_is_predicted_by_a_fit_that_knew_its_day(days: list[int]) -> None:
    at = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D"))
    folds = folds_of(at.to_numpy(), len(at))
    rows = np.arange(len(days), dtype=float)[:, None]

    predictions = out_of_fold(Remembers, rows, rows[:, 0], folds)

    assert predictions.tolist() == [0.0] * len(days)
    if len(set(days)) >= 3:  # else trips are dealt one by one
        assert all(len(set(folds[np.array(days) == day])) == 1 for day in set(days))
    assert len(set(folds)) == 3
