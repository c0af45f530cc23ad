"""Whether a window's data are what they claim to be: rules, missing values, the clock, units.

The rules are those of training. None of this needs a label or a model's opinion, so it is what
notices a broken feed first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlops.datasets.watching import Ints, Mask, Units
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.reference.tables import FeatureCounts, ShareTable, expected_shares, mix_of
from mlops.monitoring.windows.features import RowWindow

UNITS: Final = "units"
REPEATED: Final = "repeated instants"
# The usual ratio may be off by this factor before a change of units is ruled out as the cause.
_UNITS_TOLERANCE: Final = 1.15
_MINUTES_OF_HOUR: Final = 60
_NONE: Final = np.zeros(0, dtype=bool)


def properties(window: RowWindow) -> dict[str, tuple[Mask, Mask]]:
    """Return what should be rare: by name, the rows that have it and those that could have it."""
    every = np.ones(len(window), dtype=bool)
    missing = {
        f"missing {name}": (window.frame[name].isna().to_numpy(), every)
        for name in window.watching.optional
        if name in window.frame
    }
    # A rule on what is known afterwards says nothing of a row whose outcome is not known.
    broken = {
        f"rule {rule.name}": (
            window.broken[rule.name].to_numpy(),
            every if rule.asked else window.ended,
        )
        for rule in window.watching.rules
        if rule.name in window.broken
    }
    others = {str(name): (mask.to_numpy(), every) for name, mask in window.rare.items()}
    # A clock that stands still or jumps gives many rows the same instant.
    repeated = window.events.duplicated().to_numpy()
    return {**missing, **broken, **others, REPEATED: (repeated, every)}


def count_properties(window: RowWindow) -> tuple[ShareTable, ...]:
    """Count the properties of a reference's rows by part of the day."""
    strata = window.watching.strata
    return tuple(
        ShareTable.of(name, mask[judged], window.stratum[judged], strata)
        for name, (mask, judged) in properties(window).items()
    )


def measure_quality(window: RowWindow, profile: ReferenceProfile) -> Iterator[Measurement]:
    """Compare rules, missing values, clock and units of a window with the profile."""
    found = properties(window)
    for table in profile.shares:
        mask, judged = found.get(table.name, (_NONE, _NONE))
        if judged.any():
            yield _share(table, mask[judged], window.stratum[judged])
    if window.watching.every_minute:
        yield from _fullest_minute(window)
    units = window.watching.units
    for feature in profile.features:
        if units and feature.name == units.feature:
            yield from _units(feature, units, window)


def _fullest_minute(window: RowWindow) -> Iterator[Measurement]:
    """Measure how many events fall on the fullest minute of the hour: a clock that has lost its
    minutes, or part of them, fills some and leaves others empty.
    """  # noqa: D205
    at = window.events.dropna()
    if len(at):
        minutes = at.dt.minute.to_numpy()
        value, usual = float(np.bincount(minutes).max() / len(at)), 1 / _MINUTES_OF_HOUR
        yield Measurement(
            "quality", "fullest minute", "share", "share", "high", len(at), value, usual, "%"
        )


def units_in_words(units: Units, ratio: float) -> str:
    """Say what values that are a multiple of those usual for such rows may mean."""
    for factor, what in units.suspects.items():
        if 1 / _UNITS_TOLERANCE < ratio / factor < _UNITS_TOLERANCE:
            return what
    return f"{units.subject} are {ratio:.2f} times {units.usual}"


def _share(table: ShareTable, mask: Mask, stratum: Ints) -> Measurement:
    mix = mix_of(stratum, len(table.counts))
    usual = float(expected_shares(np.array(table.counts, float), mix)[1])
    return Measurement(
        "quality", table.name, "share", "share", "high", len(mask), float(mask.mean()), usual, "%"
    )


def _units(table: FeatureCounts, units: Units, window: RowWindow) -> Iterator[Measurement]:
    ratios, stratum = window.values(table.name)
    known = np.isfinite(ratios)
    if known.any() and len(table.points) > 1:
        expected = table.quantile(0.5, mix_of(stratum[known], len(table.counts)))
        found = float(np.median(ratios[known]))
        yield Measurement(
            *("quality", UNITS, "median ratio", "ratio", "both", int(known.sum()), found, expected),
            yardstick=expected,
            note=units_in_words(units, found / expected),
        )
