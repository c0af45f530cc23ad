"""What is expected of a window: the reference at the window's own mix of hours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS
from mlops.datasets.watching import Feature
from mlops.monitoring.reference.tables import ErrorTable, FeatureCounts, expected_shares, mix_of

CATEGORY = Feature("vendor_id", "category", "code", "")
NUMBER = Feature("trip_distance", "number", "miles", "")


def counted(feature: Feature, values: Any, stratum: Any) -> FeatureCounts:
    """Choose bins for values and count those same values."""
    table = FeatureCounts.of(feature, values)
    return table.counting(table.codes(values), stratum, NUMBER_OF_BANDS)


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

    assert table.expected(mix_of(np.zeros(5, dtype=np.int64), NUMBER_OF_BANDS)).tolist() == [
        0.0,
        1.0,
    ]


def test_a_window_at_night_is_expected_to_look_like_nights() -> None:
    # given a reference whose nights (0) are all of one vendor and its days (3) of another
    stratum = np.repeat([0, 3], 50_000)
    values = np.where(stratum == 0, 1.0, 2.0)
    table = counted(CATEGORY, values, stratum)

    # when a window has nights only
    expected = table.expected(mix_of(np.zeros(100, dtype=np.int64), NUMBER_OF_BANDS))

    # then only that vendor is expected
    assert expected[0] == pytest.approx(1, abs=0.01)


def test_quantiles_are_those_of_the_values() -> None:
    values = np.random.default_rng(0).gamma(2, 1.5, 20_000)
    stratum = np.zeros(len(values), dtype=np.int64)
    table = counted(NUMBER, values, stratum)

    assert table.quantile(0.5) == pytest.approx(np.median(values), rel=0.01)
    assert table.quantile(0.25, mix_of(stratum, NUMBER_OF_BANDS)) == pytest.approx(
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


def test_a_category_of_half_a_percent_is_counted_on_its_own() -> None:
    values = np.repeat([1.0, 2.0, 3.0, np.nan], [991, 5, 4, 500])

    assert FeatureCounts.of(CATEGORY, values).points == (1.0, 2.0)
    nothing = FeatureCounts.of(CATEGORY, np.array([np.nan]))
    assert nothing.codes(np.array([1.0, np.nan])).tolist() == [0, 1]


def test_a_number_on_an_edge_lies_above_it() -> None:
    table = FeatureCounts.of(NUMBER, np.arange(10_000.0))

    assert len(table.points) == 49
    assert table.codes(np.array(table.points)).tolist() == list(range(1, 50))


def of_bands(*rows: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Return these counts for the first parts of the day, and none for the others."""
    empty = tuple(0 for _ in rows[0])
    return (*rows, *[empty] * (NUMBER_OF_BANDS - len(rows)))


def test_a_part_of_the_day_borrows_a_hundred_trips_of_the_whole() -> None:
    # given 40 trips of one part of the day and 60 of another
    counts = np.array(of_bands((30, 10), (0, 60)), dtype=float)
    errors = ErrorTable(
        dimension="all",
        slice="all",
        sums=of_bands((40, 400, 80, -20, 30), (60, 200, 120, 20, 60)),
    )
    nights = mix_of(np.zeros(7, dtype=np.int64), NUMBER_OF_BANDS)

    # then what is expected of the first lies between its own and that of all
    assert expected_shares(counts, nights) == pytest.approx([(30 + 30) / 140, (10 + 70) / 140])
    overall = np.array([6, 2, 0, 0.9])
    assert errors.rows == 100
    assert errors.expected(nights) == pytest.approx(
        (np.array([400, 80, -20, 30]) + 100 * overall) / 140
    )
    # and of a part without any trip, that of all; nothing is expected where nothing was seen
    unseen = mix_of(np.full(3, 2, dtype=np.int64), NUMBER_OF_BANDS)
    assert errors.expected(unseen) == pytest.approx(overall)
    assert expected_shares(0 * counts, nights).tolist() == [0, 0]
    assert not mix_of(np.zeros(0, dtype=np.int64), NUMBER_OF_BANDS).any()
    # one trip is enough to expect all to be like it
    single = np.array(of_bands((1, 0)))
    assert expected_shares(single, mix_of(nights.nonzero()[0], NUMBER_OF_BANDS)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("level", "value"), [(0.0, 0), (0.1, 0), (0.2, 5), (0.3, 10), (0.45, 15), (0.6, 20), (1, 20)]
)
def test_a_quantile_lies_on_a_straight_line_between_the_edges(level: float, value: float) -> None:
    named = {"name": "x", "kind": "number", "unit": "", "label": False}
    table = FeatureCounts(**named, points=(0.0, 10.0, 20.0), counts=of_bands((10, 20, 30, 40, 999)))
    bare = FeatureCounts(**named, points=(), counts=of_bands((0, 5)))

    assert table.quantile(level) == pytest.approx(value)
    assert table.quantile(
        level, mix_of(np.zeros(3, dtype=np.int64), NUMBER_OF_BANDS)
    ) == pytest.approx(value)
    assert bare.quantile(level) == 0
