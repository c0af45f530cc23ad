"""Every feature of trips has a meaning for people, and every group it speaks of exists."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.features.encoding import FEATURES
from mlops.datasets.taxi.trips import DISTANCE
from mlops.settings import load_settings

TAXI = TaxiTrips()


def test_every_feature_has_a_meaning_and_no_other_has() -> None:
    assert set(TAXI.words.features) == set(FEATURES)


def test_the_dimensions_that_matter_most_are_groups(
    sample_history: Callable[..., pd.DataFrame],
) -> None:
    trips = sample_history("2024-01", rows=300)
    trips.loc[trips.index[0], DISTANCE] = 0.0  # the most frequent error of a meter

    groups = TAXI.groups(trips)

    assert {*TAXI.words.compared, *TAXI.words.dimensions} <= set(groups.columns)
    assert not TAXI.exemplary(trips)[0] and TAXI.exemplary(trips).any()
    assert " miles" in TAXI.described(trips.iloc[1])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "the bundled sample (synthetic trips"),
        ({"source.kind": "tlc", "source.months": "2024-01"}, "(green taxi, 2024-01)"),
        ({"source.kind": "path", "source.location": "/trips"}, "path /trips (green taxi"),
    ],
)
def test_the_source_of_trips_is_named_before_a_run(given: dict[str, str], named: str) -> None:
    assert named in TAXI.source_in_words(load_settings(given))
