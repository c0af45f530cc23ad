"""Errors by group agree with the gate's, and their intervals say how sure they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.slices import slice_labels
from mlops.datasets.taxi.trips import PICKUP_AT, TARGET
from mlops.evaluation.metrics import interval_metrics, regression_metrics
from mlops.evaluation.slices import slice_metrics
from mlops.reports.groups import GroupErrors, measure_groups

TAXI = TaxiTrips()


@pytest.fixture(scope="module")
def groups(trips: pd.DataFrame, predicted: Any) -> tuple[GroupErrors, ...]:
    return measure_groups(trips, predicted, TAXI)


def test_all_trips_come_first_and_agree_with_the_metrics(
    groups: tuple[GroupErrors, ...], trips: pd.DataFrame, predicted: Any
) -> None:
    metrics = regression_metrics(trips[TARGET], predicted[:, 0])
    interval = interval_metrics(trips[TARGET], predicted[:, 1], predicted[:, 2])

    found = groups[0]

    assert found.rows == metrics.rows
    assert found.mae.value == pytest.approx(metrics.mae)
    assert found.rmse.value == pytest.approx(metrics.rmse)
    assert found.bias.value == pytest.approx(metrics.bias)
    assert found.coverage is not None and found.coverage.value == pytest.approx(interval.coverage)
    assert found.against_rest is None


def test_groups_agree_with_the_slices_of_the_gate(
    groups: tuple[GroupErrors, ...], trips: pd.DataFrame, predicted: Any
) -> None:
    found = {(group.dimension, group.group): group for group in groups}

    for each in slice_metrics(slice_labels(trips), trips[TARGET], predicted[:, 0]):
        group = found[each.dimension, each.slice]
        assert group.rows == each.rows
        assert group.mae.value == pytest.approx(each.mae)
        assert group.bias.value == pytest.approx(each.bias)


def test_each_dimension_holds_every_trip_once(
    groups: tuple[GroupErrors, ...], trips: pd.DataFrame
) -> None:
    by_dimension = pd.Series(
        [group.rows for group in groups[1:]], index=[group.dimension for group in groups[1:]]
    ).groupby(level=0)

    assert (by_dimension.sum() == len(trips)).all()
    assert "drop-off borough" in by_dimension.groups


def test_a_group_is_compared_with_all_other_trips(
    groups: tuple[GroupErrors, ...], trips: pd.DataFrame, predicted: Any
) -> None:
    error = np.abs(predicted[:, 0] - trips[TARGET].to_numpy())
    weekend = (trips[PICKUP_AT].dt.dayofweek >= 5).to_numpy()

    found = next(group for group in groups if group.group == "weekend")

    assert found.against_rest is not None
    expected = error[weekend].mean() - error[~weekend].mean()
    assert found.against_rest.value == pytest.approx(expected)


def test_intervals_hold_their_value_and_narrow_with_more_trips(
    groups: tuple[GroupErrors, ...], trips: pd.DataFrame, predicted: Any
) -> None:
    for group in groups:
        for estimate in (group.mae, group.rmse, group.bias, group.relative):
            assert estimate is not None and estimate.low <= estimate.value <= estimate.high
    few = measure_groups(trips[:300], predicted[:300], TAXI)[0].mae
    many = groups[0].mae
    assert few.high - few.low > 1.5 * (many.high - many.low)


def test_the_interval_knows_that_trips_of_an_hour_are_alike(trips: pd.DataFrame) -> None:
    # Given errors that are the same for all trips of an hour
    random = np.random.default_rng(1)
    hour = pd.factorize(trips[PICKUP_AT].dt.floor("h"))[0]
    actual = trips[TARGET].to_numpy()
    alike = actual + random.normal(0, 3, hour.max() + 1)[hour]
    # And errors as large that have nothing in common
    apart = actual + random.normal(0, 3, len(trips))

    widths = []
    for minutes in (alike, apart):
        unknown = np.full(len(trips), np.nan)
        bias = measure_groups(trips, np.column_stack([minutes, unknown, unknown]), TAXI)[0].bias
        widths.append(bias.high - bias.low)

    assert widths[0] > 1.5 * widths[1]


def test_the_same_trips_give_the_same_intervals(
    groups: tuple[GroupErrors, ...], trips: pd.DataFrame, predicted: Any
) -> None:
    assert measure_groups(trips, predicted, TAXI) == groups


def test_without_a_range_there_is_no_coverage(trips: pd.DataFrame) -> None:
    predicted = np.column_stack([trips[TARGET], *[np.full(len(trips), np.nan)] * 2])

    found = measure_groups(trips, predicted, TAXI)

    assert {group.coverage for group in found} == {None}
    assert found[0].mae.value == found[0].mae.high == 0


def test_a_single_trip_is_measured_too(trips: pd.DataFrame, predicted: Any) -> None:
    found = measure_groups(trips[:1], predicted[:1], TAXI)

    assert found[0].rows == 1
    assert found[0].mae.low == found[0].mae.high
