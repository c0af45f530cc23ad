"""Metrics agree with scikit-learn, keep their invariants, and refuse what is not a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import metrics as sklearn_metrics

from mlops.errors import DataQualityError
from mlops.evaluation.metrics import Metrics, interval_metrics, regression_metrics

minutes = st.floats(0.1, 1_000, allow_nan=False)
pairs = st.lists(st.tuples(minutes, minutes), min_size=2, max_size=50).map(np.array)


@given(pairs)
def test_metrics_equal_those_of_scikit_learn(rows: np.ndarray) -> None:
    actual, predicted = rows.T

    found = regression_metrics(actual, predicted)

    assert found.rmse == pytest.approx(sklearn_metrics.root_mean_squared_error(actual, predicted))
    assert found.mae == pytest.approx(sklearn_metrics.mean_absolute_error(actual, predicted))
    assert found.mape == pytest.approx(
        sklearn_metrics.mean_absolute_percentage_error(actual, predicted)
    )
    # A target that varies only by rounding has no meaningful R2.
    if np.var(actual) > 1e-6:
        assert found.r2 == pytest.approx(sklearn_metrics.r2_score(actual, predicted), abs=1e-6)


@given(pairs)
def test_metrics_keep_their_order_whatever_the_rows(rows: np.ndarray) -> None:
    found = regression_metrics(*rows.T)

    slack = 1e-9 * (1 + found.rmse)
    assert abs(found.bias) <= found.mae + slack
    assert found.mae <= found.rmse + slack
    assert found.r2 <= 1


@given(pairs, st.floats(0.5, 2))
def test_errors_scale_with_the_unit(rows: np.ndarray, factor: float) -> None:
    found, scaled = regression_metrics(*rows.T), regression_metrics(*(rows * factor).T)

    for name in ("rmse", "mae", "p90_error", "bias"):
        assert getattr(scaled, name) == pytest.approx(factor * getattr(found, name), abs=1e-9)
    assert scaled.mape == pytest.approx(found.mape)


def test_a_perfect_prediction_has_no_error() -> None:
    found = regression_metrics([5, 10, 20], [5, 10, 20])

    assert found == Metrics(rows=3, rmse=0, mae=0, mape=0, r2=1, p90_error=0, bias=0)


def test_a_relative_error_is_not_defined_where_an_answer_is_zero() -> None:
    assert regression_metrics([0, 10], [1, 10]).mape is None
    assert regression_metrics([-5, 10], [-4, 10]).mape == pytest.approx(0.1)


def test_a_constant_target_has_the_r2_of_scikit_learn() -> None:
    assert regression_metrics([4, 4], [4, 4]).r2 == 1
    assert regression_metrics([4, 4], [4, 5]).r2 == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named_with_its_row(bad: float) -> None:
    with pytest.raises(DataQualityError, match=r"predicted: 1 of 3 .* first in row 1"):
        regression_metrics([1, 2, 3], [1, bad, 3])
    with pytest.raises(DataQualityError, match="actual"):
        regression_metrics([bad, 2], [1, 2])


def test_vectors_must_match_and_hold_rows() -> None:
    with pytest.raises(DataQualityError, match="same length"):
        regression_metrics([1, 2], [1])
    with pytest.raises(DataQualityError, match="no row"):
        regression_metrics([], [])


def test_metrics_refuse_nan_from_json() -> None:
    with pytest.raises(ValidationError):
        Metrics(rows=1, rmse=float("nan"), mae=0, mape=0, r2=0, p90_error=0, bias=0)


@given(pairs, st.floats(0, 100))
def test_a_wider_interval_never_covers_less(rows: np.ndarray, margin: float) -> None:
    actual, middle = rows.T

    narrow = interval_metrics(actual, middle - 1, middle + 1)
    wide = interval_metrics(actual, middle - 1 - margin, middle + 1 + margin)

    assert 0 <= narrow.coverage <= wide.coverage <= 1
    assert wide.mean_width == pytest.approx(2 + 2 * margin)


def test_interval_bounds_belong_to_the_interval() -> None:
    found = interval_metrics([1, 2, 3, 9], [1, 1, 1, 1], [2, 2, 3, 3])

    assert found.coverage == 0.75
    assert found.mean_width == 1.5


def test_a_crossed_interval_is_refused() -> None:
    with pytest.raises(DataQualityError, match="crossed in 1 row, first in row 1"):
        interval_metrics([1, 2], [0, 3], [2, 2])
