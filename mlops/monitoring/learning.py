"""Builds the reference profile of a model version, limits included, from its own history.

History plays the part of the future: each stretch of it is cut into windows of several sizes and
compared with what came before it, exactly as windows to come will be compared with all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops.data.trips import PICKUP_AT
from mlops.errors import DataQualityError
from mlops.monitoring.drift import measure_drift
from mlops.monitoring.measurements import LEARNED, Family, Measurement
from mlops.monitoring.nulls import fit_nulls, limit_of
from mlops.monitoring.observations import FEATURES
from mlops.monitoring.performance import measure_performance, sum_errors
from mlops.monitoring.profile import Calibration, ReferenceProfile
from mlops.monitoring.quality import count_properties, measure_quality
from mlops.monitoring.tables import FeatureTable
from mlops.monitoring.windows import Mask, TripWindow
from mlops.settings import MonitoringSettings

Times = npt.NDArray[Any]

# Sizes of the windows that limits are learned from; in between and beyond, the fit tells.
_SIZES: Final = (1_000, 2_000, 5_000, 10_000, 20_000)
_BLOCK: Final = np.timedelta64(10, "D")
_TEST_BLOCKS: Final = 6
_LEAST_BLOCK: Final = np.timedelta64(2, "D")
# Windows of one size per block: more would overlap more and teach less.
_PER_BLOCK: Final = 4
# A champion is compared with a past that ends up to a month before: both ends of that.
_GAPS: Final = (np.timedelta64(0, "D"), np.timedelta64(20, "D"))
_LEAD: Final = np.timedelta64(30, "D")
_MIN_REFERENCE_ROWS: Final = 2_000
# What needs no label; the others are learned on the model's test alone.
_INPUTS: Final[frozenset[Family]] = frozenset({"quality", "drift"})


class _Quiet(NamedTuple):
    """What was measured on one window of history, and the block it lies in."""

    block: int
    found: list[Measurement]


class _Known(NamedTuple):
    """What a history cannot tell of a model."""

    version: str
    tested_from: datetime
    shortest: float
    longest: float


def build_profile(
    history: TripWindow,
    version: str,
    tested_from: datetime,
    limits_of_model: tuple[float, float],
    settings: MonitoringSettings,
) -> ReferenceProfile:
    """Build a profile and learn what is quiet.

    Args:
        history: Trips in the order of pickup, those that break rules included, with predictions of
            the version; at least the trips it learned from last and those it was tested on.
        version: Of the model.
        tested_from: Pickups from here on were not learned from; only their errors count.
        limits_of_model: Shortest and longest duration it predicts, minutes.
        settings: Length of the reference and the share of false alarms allowed.

    Raises:
        DataQualityError: If the history is too short to tell noise from change, or out of order.
    """
    at = history.trips[PICKUP_AT].to_numpy()
    if len(at) < 2 or np.isnat(at).any() or (np.diff(at) < np.timedelta64(0)).any():
        raise DataQualityError(
            f"{PICKUP_AT}: a reference needs trips in the order of pickup, none without a time",
            "sort the history by pickup, and drop trips without one",
        )
    recent = at >= at[-1] - np.timedelta64(settings.reference_days, "D")
    reference, at = history.rows(recent), at[recent]
    known = _Known(version, tested_from, *limits_of_model)
    tables = _choose_bins(reference)
    reference = reference.binned(tables)
    profile = _summed(reference, at, known, tables)
    quiet = [
        *_quiet_inputs(reference, at, tables, known),
        *_quiet_errors(reference, at, tables, known),
    ]
    calibration = _calibrate(quiet, settings.false_alarms)
    if "drift" not in calibration.limits:
        raise DataQualityError(
            f"the {len(at):,} trips from {profile.start:%Y-%m-%d} to {profile.end:%Y-%m-%d} are too"
            " few to learn what is quiet",
            f"build the profile on a month or more, with {_SIZES[0]:,} trips in each ten days",
        )
    return profile.model_copy(update={"calibration": calibration})


def _choose_bins(rows: TripWindow) -> list[FeatureTable]:
    return [
        FeatureTable.of(feature, rows.values(feature.name, label=feature.label)[0])
        for feature in FEATURES
        if feature.name in rows.observed
    ]


def _summed(
    rows: TripWindow,
    at: Times,
    known: _Known,
    tables: Iterable[FeatureTable],
    errors: TripWindow | None = None,
) -> ReferenceProfile:
    """Sum trips up in given bins; with errors from other trips, if given."""
    tested = rows.rows(at >= np.datetime64(known.tested_from)) if errors is None else errors
    return ReferenceProfile(
        version=known.version,
        created_at=datetime.now(timezone.utc),
        start=at[0].item(),
        end=at[-1].item(),
        tested_from=known.tested_from,
        rows=len(at),
        shortest=known.shortest,
        longest=known.longest,
        features=tuple(table.counting(*rows.codes(table)) for table in tables),
        shares=count_properties(rows),
        errors=sum_errors(tested),
    )


def _quiet_inputs(
    history: TripWindow, at: Times, tables: Sequence[FeatureTable], known: _Known
) -> Iterator[_Quiet]:
    """Measure inputs and quality of windows of each stretch against what came before it."""
    # A month of lead, or a third where there is less, so that a first reference is worth its name.
    lead = min((at[-1] - at[0]) / 3, _LEAD)
    for block, (start, end) in enumerate(_blocks(at[-1], at[-1] - at[0] - lead, _BLOCK)):
        inside = (at >= start) & (at < end)
        for gap in _GAPS:
            before = at < start - gap
            if before.sum() >= _MIN_REFERENCE_ROWS and inside.any():
                none = history.rows(slice(0, 0))
                against = _summed(history.rows(before), at[before], known, tables, none)
                for window in _cut(history, inside):
                    found = [*measure_drift(window, against), *measure_quality(window, against)]
                    yield _Quiet(block, [m for m in found if m.family in _INPUTS])


def _quiet_errors(
    history: TripWindow, at: Times, tables: Sequence[FeatureTable], known: _Known
) -> Iterator[_Quiet]:
    """Measure errors on windows of each stretch of the test against those of the rest of it."""
    tested = at >= np.datetime64(known.tested_from)
    if not tested.any():
        return
    labels = [table for table in tables if table.label]
    span = at[-1] - at[tested][0]
    length = max(min(span / _TEST_BLOCKS, _BLOCK), _LEAST_BLOCK)
    for block, (start, end) in enumerate(_blocks(at[-1], span, length)):
        inside = (at >= start) & (at < end)
        before, others = at < start, tested & ~inside
        if before.sum() >= _MIN_REFERENCE_ROWS and others.any() and inside.any():
            errors = history.rows(others)
            against = _summed(history.rows(before), at[before], known, labels, errors)
            for window in _cut(history, inside):
                found = [*measure_drift(window, against), *measure_performance(window, against)]
                yield _Quiet(block, [m for m in found if m.family not in _INPUTS])


def _blocks(last: Any, span: Any, length: Any) -> Iterator[tuple[Any, Any]]:
    """Divide the last part of a history into stretches of equal length, as many as it holds."""
    for number in range(int(span / length), 0, -1):
        start = last - length * number
        yield start, start + length if number > 1 else last + np.timedelta64(1, "us")


def _cut(history: TripWindow, inside: Mask) -> Iterator[TripWindow]:
    """Cut neighbouring rows into overlapping windows of each size that fits."""
    rows = np.flatnonzero(inside)
    first, count = int(rows[0]), len(rows)
    for size in (size for size in _SIZES if size <= count):
        windows = min(_PER_BLOCK, 1 + 2 * (count // size - 1))
        for start in np.linspace(first, first + count - size, windows).astype(int).tolist():
            yield history.rows(slice(start, start + size))


def _calibrate(quiet: Sequence[_Quiet], false_alarms: float) -> Calibration:
    """Fit every statistic, and limits from scores under fits that did not see their stretch."""
    maxima: dict[Family, list[float]] = {family: [] for family in LEARNED}
    for block in sorted({window.block for window in quiet}):
        nulls = fit_nulls(window.found for window in quiet if window.block != block)
        for window in quiet:
            if window.block == block:
                for family, values in maxima.items():
                    worst = nulls.worst(m for m in window.found if m.family == family)
                    if worst is not None:
                        values.append(worst)
    each = false_alarms / len(LEARNED)
    return Calibration(
        nulls=fit_nulls(window.found for window in quiet),
        limits={f: limit_of(values, each) for f, values in maxima.items() if len(values) > 1},
        windows=len(quiet),
        false_alarms=false_alarms,
    )
