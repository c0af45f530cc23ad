"""The distances: right on cases worked out by hand, and distances at all on any shares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from mlops.monitoring.drift import (
    jensen_shannon,
    kolmogorov_smirnov,
    measure_drift,
    population_stability_index,
    wasserstein,
)


def shares(bins: int = 6) -> st.SearchStrategy[np.ndarray]:
    counts = hnp.arrays(np.float64, bins, elements=st.integers(1, 1_000).map(float))
    return counts.map(lambda array: array / array.sum())


def test_psi_is_the_textbook_sum() -> None:
    value = population_stability_index(np.array([0.5, 0.5]), np.array([0.8, 0.2]))

    assert value == pytest.approx(0.3 * np.log(1.6) - 0.3 * np.log(0.4))


def test_jensen_shannon_is_one_bit_for_disjoint_shares() -> None:
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1, abs=0.01)


def test_an_empty_bin_is_finite() -> None:
    assert np.isfinite(population_stability_index(np.array([0.5, 0.5]), np.array([1.0, 0.0])))


def test_distances_on_fine_bins_are_those_of_the_samples() -> None:
    # given two samples, the second shifted by half a unit, and fine bins
    random = np.random.default_rng(0)
    one, other = random.normal(0, 1, 20_000), random.normal(0.5, 1, 20_000)
    edges = np.linspace(-6, 7, 1_000)

    # when they are compared through the bins
    expected, found = (
        np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) / len(sample)
        for sample in (one, other)
    )

    # then the distances are what they are without bins
    assert kolmogorov_smirnov(expected, found) == pytest.approx(
        stats.ks_2samp(one, other).statistic, abs=0.005
    )
    assert wasserstein(expected, found, edges) == pytest.approx(
        stats.wasserstein_distance(one, other), rel=0.01
    )


@given(shares(), shares())
def test_distances_are_never_negative_and_symmetric(p: np.ndarray, q: np.ndarray) -> None:
    edges = np.arange(5.0)
    for distance in (
        population_stability_index,
        jensen_shannon,
        kolmogorov_smirnov,
        lambda a, b: wasserstein(a, b, edges),
    ):
        assert distance(p, q) >= -1e-12
        assert distance(p, q) == pytest.approx(distance(q, p), abs=1e-12)
        assert distance(p, p) == pytest.approx(0, abs=1e-12)


def test_every_feature_is_measured_and_a_refused_trip_counts_nowhere(world) -> None:
    # given a window, and the same with as many trips without a zone
    trips = world.live.iloc[:2_000]
    broken = trips.assign(pickup_zone=np.int32(0))

    # when both are measured
    measured = list(measure_drift(world.window(trips), world.profile))
    mixed = world.window(pd.concat([trips, broken], ignore_index=True))

    # then features of all kinds are there, and what no model answers changes nothing
    assert {"pickup_zone", "trip_distance", "prediction_minutes", "duration_minutes"} <= {
        m.subject for m in measured
    }
    assert [m.value for m in measure_drift(mixed, world.profile)] == [m.value for m in measured]
