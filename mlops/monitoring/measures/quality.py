"""Whether a window's data are what they claim to be: rules, missing values, the clock, units.

The rules are those of training. None of this needs a label or a model's opinion, so it is what
notices a broken feed first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlops.datasets.taxi.contract.rules import RULES
from mlops.datasets.taxi.features.calendar import Ints, moments
from mlops.datasets.taxi.trips import DISTANCE, PASSENGERS, PICKUP_AT, RATE_CODE, TRIP_TYPE, VENDOR
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.reference.observations import DISTANCE_RATIO
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.reference.tables import FeatureCounts, ShareTable, expected_shares, mix_of
from mlops.monitoring.windows.features import Mask, TripWindow

OPTIONAL_COLUMNS: Final = (DISTANCE, PASSENGERS, RATE_CODE, TRIP_TYPE, VENDOR)
UNITS: Final = "units"
REPEATED: Final = "repeated instants"
KILOMETRES_PER_MILE: Final = 1.609344
# The usual ratio may be off by this factor before a change of units is ruled out as the cause.
_UNITS_TOLERANCE: Final = 1.15
_MINUTES_OF_HOUR: Final = 60
_NONE: Final = np.zeros(0, dtype=bool)
_AT_PICKUP: Final = frozenset(rule.name for rule in RULES if rule.at_pickup)


def properties(window: TripWindow) -> dict[str, tuple[Mask, Mask]]:
    """Return what should be rare: by name, the rows that have it and those that could have it."""
    every = np.ones(len(window), dtype=bool)
    missing = {
        f"missing {name}": (window.trips[name].isna().to_numpy(), every)
        for name in OPTIONAL_COLUMNS
        if name in window.trips
    }
    # A rule on what is known after the trip says nothing of a trip that has not ended.
    broken = {
        f"rule {name}": (mask.to_numpy(), every if name in _AT_PICKUP else window.ended)
        for name, mask in window.broken.items()
    }
    # A clock that stands still or jumps gives many trips the same instant.
    repeated = window.trips[PICKUP_AT].duplicated().to_numpy()
    return {**missing, **broken, REPEATED: (repeated, every)}


def count_properties(window: TripWindow) -> tuple[ShareTable, ...]:
    """Count the properties of a reference's rows by part of the day."""
    return tuple(
        ShareTable.of(name, mask[judged], window.stratum[judged])
        for name, (mask, judged) in properties(window).items()
    )


def measure_quality(window: TripWindow, profile: ReferenceProfile) -> Iterator[Measurement]:
    """Compare rules, missing values, clock and units of a window with the profile."""
    found = properties(window)
    for table in profile.shares:
        mask, judged = found.get(table.name, (_NONE, _NONE))
        if judged.any():
            yield _share(table, mask[judged], window.stratum[judged])
    yield from _fullest_minute(window)
    for feature in profile.features:
        if feature.name == DISTANCE_RATIO:
            yield from _units(feature, window)


def _fullest_minute(window: TripWindow) -> Iterator[Measurement]:
    """Measure how many pickups fall on the fullest minute of the hour: a clock that has lost its
    minutes, or part of them, fills some and leaves others empty.
    """  # noqa: D205
    at = window.trips[PICKUP_AT].dropna()
    if len(at):
        minutes = moments(at).minute_of_day % _MINUTES_OF_HOUR
        value, usual = float(np.bincount(minutes).max() / len(at)), 1 / _MINUTES_OF_HOUR
        yield Measurement(
            "quality", "fullest minute", "share", "share", "high", len(at), value, usual, "%"
        )


def units_in_words(ratio: float) -> str:
    """Say what distances that are a multiple of those usual on the same routes may mean."""
    for factor, what in (
        (KILOMETRES_PER_MILE, "distances look like kilometres"),
        (1 / KILOMETRES_PER_MILE, "distances look as if converted from kilometres twice"),
    ):
        if 1 / _UNITS_TOLERANCE < ratio / factor < _UNITS_TOLERANCE:
            return what
    return f"distances are {ratio:.2f} times those usual on the same routes"


def _share(table: ShareTable, mask: Mask, stratum: Ints) -> Measurement:
    usual = float(expected_shares(np.array(table.counts, float), mix_of(stratum))[1])
    return Measurement(
        "quality", table.name, "share", "share", "high", len(mask), float(mask.mean()), usual, "%"
    )


def _units(table: FeatureCounts, window: TripWindow) -> Iterator[Measurement]:
    ratios, stratum = window.values(table.name)
    known = np.isfinite(ratios)
    if known.any() and len(table.points) > 1:
        expected = table.quantile(0.5, mix_of(stratum[known]))
        found = float(np.median(ratios[known]))
        n = int(known.sum())
        yield Measurement(
            "quality",
            UNITS,
            "median ratio",
            "ratio",
            "both",
            n,
            found,
            expected,
            "",
            None,
            expected,
        )
