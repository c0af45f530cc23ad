"""The distances: right on cases worked out by hand, and distances at all on any shares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS
from mlops.monitoring.measures.drift import (
    _coarse,
    _compare,
    jensen_shannon,
    kolmogorov_smirnov,
    measure_drift,
    population_stability_index,
    wasserstein,
)
from mlops.monitoring.reference.tables import FeatureCounts


def shares(bins: int = 6) -> st.SearchStrategy[np.ndarray]:
    counts = hnp.arrays(np.float64, bins, elements=st.integers(1, 1_000).map(float))
    return counts.map(lambda array: array / array.sum())


def test_psi_is_the_textbook_sum() -> None:
    value = population_stability_index(np.array([0.6, 0.4]), np.array([0.9, 0.1]))

    assert value == pytest.approx(0.3 * np.log(1.5) - 0.3 * np.log(0.25))


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


def number_table(*counts: int, points: tuple[float, ...]) -> FeatureCounts:
    empty = tuple(0 for _ in counts)
    return FeatureCounts(
        name="minutes",
        kind="number",
        unit="min",
        label=True,
        points=points,
        counts=(counts, *[empty] * (NUMBER_OF_BANDS - 1)),
    )


def test_numbers_are_compared_where_they_are_known() -> None:
    # given a quarter of the reference in each bin, none missing, and a window of which half is
    table = number_table(25, 25, 25, 25, 0, points=(5.0, 10.0, 20.0))
    codes = np.array([0, 1, 1, 3, 4, 4, 4, 4])

    found = {m.statistic: m for m in _compare(table, codes, np.zeros(8, dtype=np.int64))}

    assert {m.kind for m in found.values()} == {"labels"}
    assert found["psi"].n == 8
    expected, seen = np.array([0.25] * 4 + [0]), np.array([1, 2, 0, 1, 4]) / 8
    assert found["psi"].value == pytest.approx(population_stability_index(expected, seen))
    # distribution functions of those that are known: 0.25 0.5 0.75, and 0.25 0.75 0.75
    assert (found["ks"].value, found["ks"].n) == (pytest.approx(0.25), 4)
    moved = found["wasserstein"]
    # a quarter is apart at 10 only, from half of the way from 5 to half of that to 20
    assert (moved.value, moved.n, moved.unit) == (pytest.approx(0.25 * 7.5), 4, "min")
    assert moved.yardstick == pytest.approx(20 - 5)
    assert {m.statistic: m.scale for m in found.values()} == {
        **{"psi": "squares", "ks": "distance", "wasserstein": "distance"}
    }
    # of categories there is no distance, whatever their numbers
    codes = table.model_copy(update={"kind": "category"})
    kinds = [(m.statistic, m.scale) for m in _compare(codes, np.arange(4), np.zeros(4, int))]
    assert kinds == [("psi", "squares"), ("js", "squares")]


def test_where_nothing_is_known_only_the_missing_are_compared() -> None:
    table = number_table(25, 25, 25, 25, 0, points=(0.0, 10.0, 20.0))
    stratum = np.zeros(3, dtype=np.int64)

    assert [m.statistic for m in _compare(table, np.array([4, 4, 4]), stratum)] == ["psi"]
    nobody = number_table(0, 0, 0, 0, 9, points=(0.0, 10.0, 20.0))
    assert [m.statistic for m in _compare(nobody, np.array([0, 1, 4]), stratum)] == ["psi"]
    assert list(_compare(table, codes=stratum[:0], stratum=stratum[:0])) == []
    assert wasserstein(np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([3.0])) == 0
    assert wasserstein(np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), np.array([3.0, 7.0])) == 4


def test_neighbouring_bins_are_joined_to_ten_and_the_missing_stay_apart() -> None:
    assert _coarse(np.arange(51.0)).tolist() == [*(25.0 * n + 10 for n in range(10)), 50.0]
    assert _coarse(np.array([0.1, 0.2, 0.7])).tolist() == [0.1, 0.2, 0.7]
