"""Impossible predictions, skew, clocks and ages: counted exactly."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.trips import DISTANCE, PICKUP_AT
from mlops.errors import DataQualityError
from mlops.monitoring.measures.stability import (
    measure_predictions,
    measure_progress,
    measure_skew,
    measure_staleness,
)


def counts(world: Any, **changed: Any) -> dict[str, float]:
    window = world.window(world.live.iloc[:100].reset_index(drop=True))
    predictions = window.predictions.copy()
    for name, (row, value) in changed.items():
        predictions.loc[row, name] = value
    odd = replace(window, predictions=predictions)
    return {m.statistic: m.value for m in measure_predictions(odd, world.profile)}


def test_a_working_model_makes_no_impossible_prediction(world: Any) -> None:
    assert set(counts(world).values()) == {0.0}


@pytest.mark.parametrize(
    ("column", "value", "statistic"),
    [
        ("prediction_minutes", np.nan, "missing"),
        ("prediction_minutes", np.inf, "infinite"),
        ("upper_minutes", np.inf, "infinite"),
        ("prediction_minutes", 600.0, "out of range"),
        ("lower_minutes", 59.9, "outside their interval"),
    ],
)
def test_each_kind_of_impossible_prediction_is_counted(
    world: Any, column: str, value: float, statistic: str
) -> None:
    assert counts(world, **{column: (3, value)})[statistic] == 1


def test_predictions_from_a_log_are_rounded_and_still_in_range(world: Any) -> None:
    longest = float(np.float32(world.profile.longest * (1 + 1e-7)))

    found = counts(world, prediction_minutes=(0, longest), upper_minutes=(0, longest))

    assert found["out of range"] == 0


def progress(world: Any, trips: pd.DataFrame, arrived: pd.Series[Any]) -> list[float]:
    return [m.value for m in measure_progress(world.window(trips, arrived_at=arrived))]


def test_pickups_move_on_with_the_requests_unless_the_clock_stands_still(world: Any) -> None:
    trips = world.live.iloc[:500].reset_index(drop=True)
    arrived = trips[PICKUP_AT] + pd.Timedelta(seconds=2)
    frozen = trips.assign(**{PICKUP_AT: trips[PICKUP_AT].iloc[0]})

    assert progress(world, trips, arrived) == [pytest.approx(1)]
    assert progress(world, frozen, arrived) == [0]


def test_a_burst_of_requests_says_nothing_of_the_clock(world: Any) -> None:
    trips = world.live.iloc[:500].reset_index(drop=True)
    at_once = pd.Series(trips[PICKUP_AT].iloc[0], index=trips.index)

    assert progress(world, trips, at_once) == []


def test_skew_is_the_share_of_rows_that_differ_beyond_rounding() -> None:
    # given values as float32, one of them changed, and one missing on both sides
    recomputed = pd.DataFrame({"prediction_minutes": [10.1, 20.2, 30.3, np.nan]})
    logged = recomputed.astype("float32").astype("float64")
    logged.loc[1, "prediction_minutes"] += 0.5

    # when they are compared
    (skew,) = measure_skew(logged, recomputed)

    # then only the change counts
    assert (skew.subject, skew.value) == ("prediction_minutes", 0.25)


def test_skew_needs_the_same_rows() -> None:
    with pytest.raises(DataQualityError, match=r"2 logged rows .* 1 recomputed"):
        list(measure_skew(pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1]})))


def test_staleness_is_in_days() -> None:
    (age,) = measure_staleness(datetime(2024, 1, 1), datetime(2024, 1, 31, 12))

    assert (age.value, age.unit) == (30.5, "days")


def test_predictions_of_trips_that_are_refused_do_not_count(world: Any) -> None:
    trips = world.live.iloc[:10].reset_index(drop=True)
    trips.loc[0, DISTANCE] = -1.0
    predictions = world.predict(trips)
    predictions.loc[0] = np.nan
    window = world.window(trips)

    broken = replace(window, predictions=predictions)
    assert all(m.value == 0 and m.n == 9 for m in measure_predictions(broken, world.profile))
    assert list(measure_predictions(replace(window, predictions=None), world.profile)) == []


@pytest.mark.parametrize(
    ("factor", "wrong"), [(1 - 1e-4, 0), (1 - 1.1e-4, 1), (1 + 1e-4, 0), (1 + 1.1e-4, 1)]
)
def test_a_prediction_may_leave_the_range_by_what_rounding_makes(
    world: Any, factor: float, wrong: int
) -> None:
    edge = (world.profile.shortest if factor < 1 else world.profile.longest) * factor
    column = "lower_minutes" if factor < 1 else "upper_minutes"

    found = counts(world, prediction_minutes=(0, edge), **{column: (0, edge)})

    assert found["out of range"] == wrong


@pytest.mark.parametrize(("minutes", "measured"), [(12.5, True), (12.49, False)])
def test_the_clock_is_measured_over_ten_minutes_of_requests(
    world: Any, minutes: float, measured: bool
) -> None:
    # Given requests at an even pace, and pickups that move half as fast
    trips = world.live.iloc[:11].reset_index(drop=True)
    steps = pd.Series(range(11)) * pd.Timedelta(minutes=minutes) / 10
    start = trips[PICKUP_AT].iloc[0].floor("h")
    trips[PICKUP_AT] = start + steps / 2

    assert progress(world, trips, start + steps) == ([pytest.approx(0.5)] if measured else [])


@pytest.mark.parametrize(("difference", "share"), [(1.9e-4, 0.0), (2.1e-4, 1.0)])
def test_skew_is_more_than_what_rounding_makes(difference: float, share: float) -> None:
    one, other = pd.DataFrame({"a": [1.0], "b": [2.0]}), pd.DataFrame({"a": [1.0 + difference]})

    (skew,) = measure_skew(other, one)

    assert (skew.subject, skew.n, skew.value) == ("a", 1, share)
    (nothing,) = measure_skew(other[:0], one[:0])
    assert (nothing.n, nothing.value) == (0, 0)
