"""Distances between places are enough to draw the map they came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.datasets.taxi.features.positions import zone_positions

ZONES = 30


def _apart(points: np.ndarray) -> np.ndarray:
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))


@pytest.fixture
def city() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 10, (ZONES, 2))


def test_a_map_is_recovered_from_part_of_its_distances(city: np.ndarray) -> None:
    # given a quarter of the routes, driven both ways or one way only
    trips = np.where(np.random.default_rng(4).random((ZONES, ZONES)) < 0.25, 5.0, 0.0)
    miles = np.where(trips > 0, _apart(city), 123.0)  # what was not driven must not be read

    found = _apart(zone_positions(miles, trips))

    assert np.abs(found - _apart(city)).mean() < 0.25  # of distances of 5 miles on average


def test_more_trips_weigh_more(city: np.ndarray) -> None:
    # given one wrong distance, measured by few trips or by many
    errors = []
    for weight in (0.1, 20.0):
        trips, miles = np.full((ZONES, ZONES), 2.0), _apart(city)
        miles[0, 1] = miles[1, 0] = miles[0, 1] + 8
        trips[0, 1] = trips[1, 0] = weight
        errors.append(abs(_apart(zone_positions(miles, trips))[0, 1] - miles[0, 1]))

    assert errors[1] < errors[0]


def test_a_zone_without_trips_lies_nowhere(city: np.ndarray) -> None:
    trips = np.ones((ZONES, ZONES))
    trips[7, :] = trips[:, 7] = 0
    trips[7, 7] = 50  # a round trip says nothing about where it is

    found = zone_positions(_apart(city), trips)

    assert np.isnan(found).any(axis=1).nonzero()[0].tolist() == [7]


def test_too_few_zones_have_no_map() -> None:
    trips = np.zeros((5, 5))
    trips[0, 1] = 3

    assert np.isnan(zone_positions(np.ones((5, 5)), trips)).all()


def test_same_input_same_map(city: np.ndarray) -> None:
    trips = np.ones((ZONES, ZONES))
    first, second = (zone_positions(_apart(city), trips) for _ in range(2))

    np.testing.assert_array_equal(first, second)


def test_two_cities_without_a_route_between_them(city: np.ndarray) -> None:
    # given trips only within each half
    trips = np.zeros((ZONES, ZONES))
    trips[:15, :15] = trips[15:, 15:] = 4

    found = zone_positions(_apart(city), trips)

    assert np.isfinite(found).all()
    np.testing.assert_allclose(_apart(found)[:15, :15], _apart(city)[:15, :15], atol=0.3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.02, 0.05, 0.2]))
def test_rounding_moves_no_zone(seed: int, density: float) -> None:
    # given few routes, so that some zones have none to the others, on another machine
    random = np.random.default_rng(seed)
    trips = np.where(random.random((ZONES, ZONES)) < density, 5.0, 0.0)
    miles = _apart(random.uniform(0, 10, (ZONES, 2)))
    rounded = miles * (1 + 1e-14 * random.standard_normal(miles.shape))

    np.testing.assert_allclose(
        zone_positions(rounded, trips), zone_positions(miles, trips), atol=2e-4
    )
