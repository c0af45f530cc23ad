"""Data quality: rules and missing values against the usual, a clock that works, miles as miles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.trips import DISTANCE, PICKUP_AT, REQUEST_COLUMNS, TARGET, VENDOR
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.measures.quality import (
    REPEATED,
    UNITS,
    measure_quality,
    properties,
    units_in_words,
)


def quality(world: Any, trips: pd.DataFrame) -> dict[str, Measurement]:
    return {m.subject: m for m in measure_quality(world.window(trips), world.profile)}


def test_good_trips_are_much_as_expected(world: Any) -> None:
    found = quality(world, world.live.iloc[:3_000])

    for m in found.values():
        if m.scale == "share":
            assert m.value == pytest.approx(m.reference, abs=0.05), m.key
    assert found[UNITS].value == pytest.approx(found[UNITS].reference, rel=0.05)


def test_each_missing_value_and_broken_rule_is_counted(world: Any) -> None:
    # given a window where a tenth has no vendor and a fifth an impossible distance
    trips = world.live.iloc[:1_000].reset_index(drop=True)
    trips.loc[:99, VENDOR] = np.nan
    trips.loc[:199, DISTANCE] = -1.0

    # when it is measured
    found = quality(world, trips)

    # then both shares are what they are
    assert found[f"missing {VENDOR}"].value == pytest.approx(0.1, abs=0.02)
    assert found["rule distance_negative"].value == pytest.approx(0.2)
    assert found["rule distance_negative"].reference == 0


def test_a_trip_that_has_not_ended_breaks_no_rule_about_its_end(world: Any) -> None:
    # given a window where half of the trips are still under way
    trips = world.live.iloc[:200].reset_index(drop=True)
    trips.loc[100:, TARGET] = np.nan

    # when rules on durations are counted
    mask, judged = properties(world.window(trips))["rule duration_out_of_range"]

    # then only trips that ended count
    assert judged.sum() == 100
    assert not mask.any()


def test_requests_without_labels_are_held_to_the_rules_on_requests(world: Any) -> None:
    requests = world.live[list(REQUEST_COLUMNS)].iloc[:500]

    names = set(quality(world, requests))

    assert "rule zone_invalid" in names
    assert "rule duration_out_of_range" not in names


def test_a_clock_that_stands_still_repeats_itself(world: Any) -> None:
    trips = world.live.iloc[:1_000].reset_index(drop=True)
    trips.loc[500:, PICKUP_AT] = trips[PICKUP_AT].iloc[0]

    found = quality(world, trips)

    assert found[REPEATED].value > 0.4
    assert found[REPEATED].reference < 0.1


def test_a_clock_without_minutes_fills_one_of_them(world: Any) -> None:
    trips = world.live.iloc[:1_000].reset_index(drop=True)
    trips[PICKUP_AT] = trips[PICKUP_AT].dt.floor("h")

    assert quality(world, trips)["fullest minute"].value == 1


def test_kilometres_are_called_by_their_name() -> None:
    assert "kilometres" in units_in_words(TripWatching.units, 1.609)
    assert "twice" in units_in_words(TripWatching.units, 0.62)
    assert "3.00 times" in units_in_words(TripWatching.units, 3.0)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1.609344 * 1.149, "look like kilometres"),
        (1.609344 * 1.151, "are 1.85 times"),
        (1.609344 / 1.149, "look like kilometres"),
        (1.609344 / 1.151, "are 1.40 times"),
        (1.149 / 1.609344, "converted from kilometres twice"),
        (1 / 1.609344 / 1.151, "are 0.54 times"),
    ],
)
def test_units_are_named_where_the_ratio_is_near_theirs(ratio: float, words: str) -> None:
    assert words in units_in_words(TripWatching.units, ratio)


def test_shares_and_units_of_a_window_are_those_of_its_rows(world: Any) -> None:
    trips = world.live.iloc[:1_000]

    found = quality(world, trips)

    minutes = trips[PICKUP_AT].dt.minute.value_counts()
    fullest = found["fullest minute"]
    assert (fullest.value, fullest.n) == (minutes.max() / 1_000, 1_000)
    assert fullest.reference == pytest.approx(1 / 60)
    ratios = world.window(trips).observed["distance_over_route"].dropna()
    assert (found[UNITS].value, found[UNITS].n) == (pytest.approx(ratios.median()), len(ratios))
    assert found[UNITS].yardstick == found[UNITS].reference
    nothing = quality(world, trips.iloc[:0])
    assert not nothing
