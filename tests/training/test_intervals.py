"""Conformal intervals cover what they promise, whatever the errors look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.training.intervals import NOMINAL_COVERAGE, QuantileInterval, ResidualInterval


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

    interval = QuantileInterval.calibrate(Fixed(quantiles(later)), quantiles(center), actual)

    found = covered(interval.bounds(None, later), later_actual)
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

    assert QuantileInterval.calibrate(Fixed(quantiles), quantiles, actual).margin == 8
