"""What is expected of a window: the reference at the window's own mix of hours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.features.calendar import NUMBER_OF_BANDS
from mlops.monitoring.observations import Feature
from mlops.monitoring.tables import FeatureCounts, expected_shares, mix_of

CATEGORY = Feature("vendor_id", "category", "code", "")
NUMBER = Feature("trip_distance", "number", "miles", "")


def counted(feature: Feature, values: Any, stratum: Any) -> FeatureCounts:
    """Choose bins for values and count those same values."""
    table = FeatureCounts.of(feature, values)
    return table.counting(table.codes(values), stratum)


def test_categories_that_are_rare_or_new_count_as_others_and_nan_as_missing() -> None:
    # given two frequent categories and a rare one
    values = np.array([1.0] * 500 + [2.0] * 500 + [9.0] * 2)

    # when bins are chosen
    table = FeatureCounts.of(CATEGORY, values)

    # then each frequent one has its own
    assert table.points == (1.0, 2.0)
    assert table.codes(np.array([1.0, 2.0, 9.0, 77.0, np.nan])).tolist() == [0, 1, 2, 2, 3]


def test_numbers_fall_into_bins_of_equal_share_and_infinity_is_missing() -> None:
    values = np.arange(10_000.0)
    table = FeatureCounts.of(NUMBER, values)

    codes = table.codes(values)

    assert np.ptp(np.bincount(codes, minlength=table.bins)[:-1]) <= 1
    assert table.codes(np.array([np.inf, -5.0, 1e9])).tolist() == [table.bins - 1, 0, 49]


def test_a_feature_without_any_value_is_all_missing() -> None:
    table = counted(NUMBER, np.full(10, np.nan), np.zeros(10, dtype=np.int64))

    assert table.expected(mix_of(np.zeros(5, dtype=np.int64))).tolist() == [0.0, 1.0]


def test_a_window_at_night_is_expected_to_look_like_nights() -> None:
    # given a reference whose nights (0) are all of one vendor and its days (3) of another
    stratum = np.repeat([0, 3], 50_000)
    values = np.where(stratum == 0, 1.0, 2.0)
    table = counted(CATEGORY, values, stratum)

    # when a window has nights only
    expected = table.expected(mix_of(np.zeros(100, dtype=np.int64)))

    # then only that vendor is expected
    assert expected[0] == pytest.approx(1, abs=0.01)


def test_quantiles_are_those_of_the_values() -> None:
    values = np.random.default_rng(0).gamma(2, 1.5, 20_000)
    stratum = np.zeros(len(values), dtype=np.int64)
    table = counted(NUMBER, values, stratum)

    assert table.quantile(0.5) == pytest.approx(np.median(values), rel=0.01)
    assert table.quantile(0.25, mix_of(stratum)) == pytest.approx(
        np.quantile(values, 0.25), rel=0.01
    )


@given(st.integers(0, 2**32 - 1))
def test_the_reference_itself_is_expected_of_its_own_mix(seed: int) -> None:
    # given any counts
    random = np.random.default_rng(seed)
    counts = random.integers(0, 400, (NUMBER_OF_BANDS, 5)).astype(float) + 1
    mix = counts.sum(axis=1) / counts.sum()

    # when they are reweighted to their own mix
    expected = expected_shares(counts, mix)

    # then they sum to 1 and lie near what they were, whatever is borrowed
    assert expected.sum() == pytest.approx(1)
    assert np.abs(expected - counts.sum(axis=0) / counts.sum()).max() < 0.1
