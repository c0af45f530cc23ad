"""Errors of a window: the same numbers as evaluation's, and confidence intervals that mean it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS
from mlops.datasets.taxi.slices import slice_labels
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET
from mlops.evaluation.metrics import interval_metrics, regression_metrics
from mlops.evaluation.slices import slice_metrics
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.measures.performance import (
    _compare,
    measure_performance,
    squared_absolute_plain_inside,
)
from mlops.monitoring.reference.tables import ErrorTable


def performance(world: Any, trips: pd.DataFrame) -> dict[str, Measurement]:
    return {m.key: m for m in measure_performance(world.window(trips), world.profile)}


def test_numbers_are_those_of_evaluation(world: Any) -> None:
    # given a window and what evaluation says of it
    trips = world.live.iloc[:2_000].reset_index(drop=True)
    clean = trips[world.window(trips).learnable]
    predicted = world.predict(clean)
    actual, minutes = clean[TARGET].to_numpy(), predicted["prediction_minutes"].to_numpy()
    metrics = regression_metrics(actual, minutes)
    coverage = interval_metrics(actual, predicted["lower_minutes"], predicted["upper_minutes"])
    slices = {
        f"{s.dimension}: {s.slice}": s for s in slice_metrics(slice_labels(clean), actual, minutes)
    }

    # when monitoring measures it
    found = performance(world, trips)

    # then both agree, overall and by slice
    for name, value in (("rmse", metrics.rmse), ("mae", metrics.mae), ("bias", metrics.bias)):
        assert found[f"all rows: {name}"].value == pytest.approx(value)
    assert found["all rows: coverage"].value == pytest.approx(coverage.coverage)
    assert found["hour: midday: rmse"].value == pytest.approx(slices["hour: midday"].rmse)


def test_only_trips_that_ended_count(world: Any) -> None:
    trips = world.live.iloc[:600].reset_index(drop=True)
    trips.loc[300:, TARGET] = np.nan

    found = performance(world, trips)

    assert found["all rows: rmse"].n <= 300
    assert performance(world, trips[list(REQUEST_COLUMNS)]) == {}


def test_the_interval_holds_the_truth_about_as_often_as_it_says(world: Any) -> None:
    # given one world without any drift: the errors of the whole month
    live = world.live
    truth = performance(world, live)["all rows: bias"].value

    # when many windows of it are measured
    windows = [live.iloc[start : start + 400] for start in range(0, len(live) - 400, 400)]
    hits = [
        low <= truth <= high
        for window in windows
        for low, high in [performance(world, window)["all rows: bias"].interval or (0, 0)]
    ]

    # then 95 % of the intervals, roughly, hold what is true of the month
    assert np.mean(hits) > 0.8


def test_a_single_trip_has_no_interval(world: Any) -> None:
    clean = world.live[world.window(world.live).learnable]

    found = performance(world, clean.iloc[:1])

    assert found["all rows: rmse"].interval is None


def test_slower_traffic_shows_as_a_negative_bias(world: Any) -> None:
    trips = world.live.iloc[:2_000]
    slower = trips.assign(**{TARGET: (trips[TARGET] * 1.3).clip(upper=60)})

    before, after = (performance(world, each)["all rows: bias"] for each in (trips, slower))

    assert after.value < before.value - 1
    assert after.reference == before.reference


def compared(each: Any) -> dict[str, Measurement]:
    """Compare errors with a reference of an RMSE of 3, an MAE of 2 and a bias of -1 minutes."""
    sums = ((1_000.0, 9_000.0, 2_000.0, -1_000.0, 800.0), *[(0.0,) * 5] * (NUMBER_OF_BANDS - 1))
    table = ErrorTable(dimension="hour", slice="night", sums=sums)
    stratum = np.zeros(len(each), dtype=np.int64)
    return {m.statistic: m for m in _compare(table, np.asarray(each, float), stratum, "min")}


@pytest.mark.parametrize("size", [3, 0.3])
def test_intervals_come_from_the_means_of_25_blocks_in_the_order_of_time(size: float) -> None:
    # given errors of 50 trips, two of each block
    error = np.random.default_rng(5).normal(-2, 3, 50) * size / 3
    each = np.column_stack([error**2, np.abs(error), error, np.abs(error) < 3])

    found = compared(each)

    half = 1.96 * each.reshape(25, 2, 4).mean(axis=1).std(axis=0, ddof=1) / 5
    rmse = np.sqrt((error**2).mean())
    expected = [
        ("rmse", "high", rmse, 3, half[0] / (2 * rmse), 3),
        ("mae", "high", np.abs(error).mean(), 2, half[1], 2),
        ("bias", "both", error.mean(), -1, half[2], 3),
        ("coverage", "low", (np.abs(error) < 3).mean(), 0.8, half[3], 1),
    ]
    for name, side, value, reference, around, yardstick in expected:
        m = found[name]
        assert (m.subject, m.side, m.n) == ("hour: night", side, 50)
        assert (m.value, m.reference, m.yardstick) == pytest.approx((value, reference, yardstick))
        assert m.interval == pytest.approx((value - around, value + around))


def test_few_trips_are_a_block_each_and_one_alone_has_no_interval() -> None:
    each = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])

    found = compared(each)

    assert found["rmse"].interval == (0, 0)
    around = 1.96 * np.std([1, 1, 0], ddof=1) / np.sqrt(3)
    assert found["coverage"].interval == pytest.approx((2 / 3 - around, 2 / 3 + around))
    assert compared(each[:1])["rmse"].interval is None
    assert compared(each[:2])["rmse"].interval is not None


@pytest.mark.parametrize(("trips", "measured"), [(100.0, True), (99.0, False)])
def test_what_the_reference_hardly_knows_is_no_expectation(
    world: Any, trips: float, measured: bool
) -> None:
    sums = ((trips, *[trips] * 4), *[(0.0,) * 5] * (NUMBER_OF_BANDS - 1))
    table = ErrorTable(dimension="all", slice="all", sums=sums)
    profile = world.profile.model_copy(update={"errors": (table,)})

    found = list(measure_performance(world.window(world.live.iloc[:50]), profile))

    assert bool(found) == measured
    assert {m.subject for m in found} <= {"all rows"}


def test_both_ends_of_an_interval_lie_in_it(world: Any) -> None:
    trips = world.live.iloc[:4]
    actual = trips[TARGET].to_numpy()
    predicted = pd.DataFrame(
        {
            "prediction_minutes": actual + np.array([1.0, -2.0, 0.0, 0.0]),
            "lower_minutes": actual + np.array([0.0, -3.0, 0.001, -1.0]),
            "upper_minutes": actual + np.array([5.0, 0.0, 2.0, -0.001]),
        }
    )
    window = replace(world.window(trips), predictions=predicted)

    assert squared_absolute_plain_inside(window) == pytest.approx(
        np.array([[1, 1, 1, 1], [4, 2, -2, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    )
