"""Errors of a window: the same numbers as evaluation's, and confidence intervals that mean it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.trips import REQUEST_COLUMNS, TARGET
from mlops.evaluation.metrics import interval_metrics, regression_metrics
from mlops.evaluation.slices import slice_metrics
from mlops.monitoring.measurements import Measurement
from mlops.monitoring.performance import measure_performance


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
    slices = {f"{s.dimension}: {s.slice}": s for s in slice_metrics(clean, actual, minutes)}

    # when monitoring measures it
    found = performance(world, trips)

    # then both agree, overall and by slice
    for name, value in (("rmse", metrics.rmse), ("mae", metrics.mae), ("bias", metrics.bias)):
        assert found[f"all trips: {name}"].value == pytest.approx(value)
    assert found["all trips: coverage"].value == pytest.approx(coverage.coverage)
    assert found["hour: midday: rmse"].value == pytest.approx(slices["hour: midday"].rmse)


def test_only_trips_that_ended_count(world: Any) -> None:
    trips = world.live.iloc[:600].reset_index(drop=True)
    trips.loc[300:, TARGET] = np.nan

    found = performance(world, trips)

    assert found["all trips: rmse"].n <= 300
    assert performance(world, trips[list(REQUEST_COLUMNS)]) == {}


def test_the_interval_holds_the_truth_about_as_often_as_it_says(world: Any) -> None:
    # given one world without any drift: the errors of the whole month
    live = world.live
    truth = performance(world, live)["all trips: bias"].value

    # when many windows of it are measured
    windows = [live.iloc[start : start + 400] for start in range(0, len(live) - 400, 400)]
    hits = [
        low <= truth <= high
        for window in windows
        for low, high in [performance(world, window)["all trips: bias"].interval or (0, 0)]
    ]

    # then 95 % of the intervals, roughly, hold what is true of the month
    assert np.mean(hits) > 0.8


def test_a_single_trip_has_no_interval(world: Any) -> None:
    clean = world.live[world.window(world.live).learnable]

    found = performance(world, clean.iloc[:1])

    assert found["all trips: rmse"].interval is None


def test_slower_traffic_shows_as_a_negative_bias(world: Any) -> None:
    trips = world.live.iloc[:2_000]
    slower = trips.assign(**{TARGET: (trips[TARGET] * 1.3).clip(upper=60)})

    before, after = (performance(world, each)["all trips: bias"] for each in (trips, slower))

    assert after.value < before.value - 1
    assert after.reference == before.reference
