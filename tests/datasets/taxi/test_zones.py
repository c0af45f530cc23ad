"""Every zone has exactly one borough."""

from __future__ import annotations

import numpy as np
import pytest

from mlops.datasets.taxi.trips import UNKNOWN_BOROUGH
from mlops.datasets.taxi.zones import BOROUGHS, borough_of, zones_of


def test_boroughs_cover_every_zone_exactly_once() -> None:
    zones = [zone for borough in BOROUGHS for zone in zones_of(borough)]
    assert sorted(zones) == list(range(1, 266))


def test_boroughs_have_the_sizes_the_tlc_publishes() -> None:
    sizes = {borough: len(zones_of(borough)) for borough in BOROUGHS}
    assert sizes == {
        "EWR": 1,
        "Bronx": 43,
        "Brooklyn": 61,
        "Manhattan": 69,
        "Queens": 69,
        "Staten Island": 20,
        UNKNOWN_BOROUGH: 2,
    }


@pytest.mark.parametrize(
    ("zone", "borough"),
    [
        (1, "EWR"),
        (132, "Queens"),  # JFK Airport
        (138, "Queens"),  # LaGuardia Airport
        (74, "Manhattan"),  # East Harlem North
        (75, "Manhattan"),  # East Harlem South
        (194, "Manhattan"),  # Randalls Island
        (199, "Bronx"),  # Rikers Island
        (181, "Brooklyn"),  # Park Slope
        (206, "Staten Island"),  # Saint George
        (264, UNKNOWN_BOROUGH),
        (265, UNKNOWN_BOROUGH),
    ],
)
def test_known_zones(zone: int, borough: str) -> None:
    assert borough_of(np.array([zone], dtype="int32")).tolist() == [borough]


def test_numbers_that_are_no_zone_are_unknown_and_shape_is_kept() -> None:
    zones = np.array([[0, -3], [266, 132]])
    assert borough_of(zones).tolist() == [["Unknown", "Unknown"], ["Unknown", "Queens"]]
