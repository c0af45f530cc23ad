"""The bootstrap: covers the truth, respects pairing and dependence, and never punishes progress."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops.evaluation.bootstrap import GainInterval, relative_gain

errors = st.lists(
    st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0, 1)), min_size=1, max_size=60
).map(np.array)


def gain(mine: np.ndarray, other: np.ndarray) -> GainInterval:
    return relative_gain(mine, other, confidence=0.95, samples=200)


@settings(max_examples=60, deadline=None)
@given(errors)
@example(np.array([[1.6e-157, 0.0, 0.0]]))  # its square is not zero, but below the normal floats
def test_smaller_errors_never_lower_any_end_of_the_interval(rows: np.ndarray) -> None:
    mine, other, shrink = rows.T

    before, after = gain(mine, other), gain(mine * shrink, other)

    slack = 1e-9 * (1 + abs(before.lower))
    assert after.estimate >= before.estimate - slack
    assert after.lower >= before.lower - slack
    assert after.upper >= before.upper - slack


def test_equal_errors_gain_exactly_nothing() -> None:
    mine = np.random.default_rng(1).normal(size=5_000)

    assert gain(mine, mine.copy()) == GainInterval(0, 0, 0)


def test_a_uniform_gain_is_found_without_doubt() -> None:
    # Given errors that are all one tenth smaller, pairing leaves no uncertainty
    other = np.random.default_rng(1).normal(size=5_000)

    found = gain(0.9 * other, other)

    assert found.lower == pytest.approx(0.1)
    assert found.upper == pytest.approx(0.1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # Given two models of equal quality, measured on 200 windows
    rng = np.random.default_rng(3)
    covered = sum(
        found.lower <= 0 <= found.upper
        for found in (gain(rng.normal(size=300), rng.normal(size=300)) for _ in range(200))
    )

    # Then 95 % of the intervals hold the truth, within three standard errors and a small-sample
    # loss of a few percent
    assert 0.88 <= covered / 200 <= 1.0


@pytest.mark.parametrize(("confidence", "z"), [(0.95, 1.96), (0.5, 0.674)])
def test_the_interval_is_as_wide_as_theory_says(confidence: float, z: float) -> None:
    # Given squared errors of 0 and 4, half each, against 1: their mean has the deviation 2 / √n,
    # so the gain, 1 - √mean, has 2 / (2·√2·√n)
    rows = 2_000
    mine, other = np.tile([0.0, 2.0], rows // 2), np.ones(rows)

    found = relative_gain(mine, other, confidence, samples=4_000)

    assert found.upper - found.lower == pytest.approx(2 * z / np.sqrt(2 * rows), rel=0.05)
    assert (found.upper + found.lower) / 2 == pytest.approx(found.estimate, abs=0.001)


@pytest.mark.parametrize("rows", [1, 1_999, 2_000, 2_001, 5_000])
def test_the_estimate_counts_every_row_once(rows: int) -> None:
    mine, other = np.random.default_rng(6).normal(size=(2, rows))

    exact = 1 - np.sqrt(np.square(mine).mean() / np.square(other).mean())
    assert gain(mine, other).estimate == pytest.approx(exact)


def test_the_same_rows_and_seed_give_the_same_interval() -> None:
    rng = np.random.default_rng(4)
    mine, other = rng.normal(size=(2, 1_000))

    assert gain(mine, other) == gain(mine, other)


def test_a_perfect_champion_cannot_be_beaten_and_the_numbers_stay_finite() -> None:
    found = gain(np.ones(10), np.zeros(10))

    assert found.upper < 0
    assert np.isfinite([found.estimate, found.lower, found.upper]).all()
    assert gain(np.full(10, 0.1), np.zeros(10)) == found  # however little it errs
    assert gain(np.zeros(10), np.zeros(10)) == GainInterval(0, 0, 0)


def test_cost_does_not_grow_with_the_window() -> None:
    rng = np.random.default_rng(5)
    mine, other = rng.normal(size=(2, 1_000_000))

    started = time.perf_counter()
    relative_gain(mine, other, confidence=0.95, samples=500)

    # A plain bootstrap of a million rows takes ten seconds and more.
    assert time.perf_counter() - started < 2
