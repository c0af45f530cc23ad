"""Names of taxi zones: as many as there are zones, in the order that numbers follow."""

from __future__ import annotations

import pytest

from mlops.datasets.taxi.trips import NUMBER_OF_ZONES
from mlops.datasets.taxi.zone_names import ZONE_NAMES, zone_label


def test_every_zone_has_a_name() -> None:
    assert len(ZONE_NAMES) == NUMBER_OF_ZONES
    assert all(name and name == name.strip() for name in ZONE_NAMES)


def test_numbers_follow_the_alphabet_by_initial() -> None:
    initials = [name[0] for name in ZONE_NAMES[2:263]]  # Newark's airport and a bay come first

    assert initials == sorted(initials)


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        (1, "1 Newark Airport, EWR"),
        (74, "74 East Harlem North, Manhattan"),
        (132, "132 JFK Airport, Queens"),
        (138, "138 LaGuardia Airport, Queens"),
        (263, "263 Yorkville West, Manhattan"),
        (265, "265 Outside of NYC"),
    ],
)
def test_a_label_says_number_name_and_borough(zone: int, label: str) -> None:
    assert zone_label(zone) == label


@pytest.mark.parametrize("zone", [0, -1, 266])
def test_there_are_no_other_zones(zone: int) -> None:
    with pytest.raises(ValueError, match="1 to 265"):
        zone_label(zone)
