"""Builds the reference profile of a model version, limits included, from its own history.

History plays the part of the future: each stretch of it is cut into windows of several sizes and
compared with what came before it, exactly as windows to come will be compared with all of it.

Limits are as good as the history is long. With two months and more each stretch is ten days long,
and some are compared with a past that ends weeks before, as windows to come will be. With less, at
least three weeks, four shorter stretches follow closely on what they are compared with: how a month
differs from the next they cannot tell, and what is rare in them may look like a change later.
Errors count only where they were not learned from: a test of less than three weeks cannot tell how
much they vary from week to week, so it gives no limits for them at all, and a plain rule is used
instead (`mlops.monitoring.measures.judging`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops.datasets.watching import Mask
from mlops.errors import DataQualityError
from mlops.monitoring.findings.measurements import LEARNED, FindingKind, Measurement
from mlops.monitoring.measures.drift import measure_drift
from mlops.monitoring.measures.performance import measure_performance, sum_errors
from mlops.monitoring.measures.quality import count_properties, measure_quality
from mlops.monitoring.reference.nulls import fit_nulls, limit_of
from mlops.monitoring.reference.profile import Calibration, ReferenceProfile
from mlops.monitoring.reference.tables import FeatureCounts
from mlops.monitoring.windows.features import RowWindow
from mlops.settings import MonitoringSettings

Times = npt.NDArray[Any]

# Sizes of the windows that limits are learned from; in between and beyond, the fit tells.
_SIZES: Final = (1_000, 2_000, 5_000, 10_000, 20_000)
_STRETCH: Final = np.timedelta64(10, "D")
_LEAST_STRETCH: Final = np.timedelta64(2, "D")
_INPUT_STRETCHES: Final = 4
_TEST_STRETCHES: Final = 6
_LEAST_TEST: Final = np.timedelta64(20, "D")
_NO_TIME: Final = np.timedelta64(0, "D")
# Windows of one size per stretch: more would overlap more and teach less.
_PER_STRETCH: Final = 4
# A champion is compared with a past that ends up to a month before: both ends of that.
_GAPS: Final = (np.timedelta64(0, "D"), np.timedelta64(20, "D"))
_LEAD: Final = np.timedelta64(30, "D")
_MIN_REFERENCE_ROWS: Final = 2_000


class _Quiet(NamedTuple):
    """What was measured on one window of history, and when the stretch it lies in begins."""

    stretch: Any
    found: list[Measurement]


def build_profile(
    history: RowWindow,
    version: str,
    tested_from: datetime,
    limits_of_model: tuple[float, float],
    settings: MonitoringSettings,
) -> ReferenceProfile:
    """Build a profile and learn what is quiet.

    Args:
        history: Rows in the order of their events, those that break rules included, with
            predictions of the version; at least those it learned from last and was tested on.
        version: Of the model.
        tested_from: Events from here on were not learned from; only their errors count.
        limits_of_model: Smallest and largest answer it gives.
        settings: Length of the reference and the share of false alarms allowed.

    Raises:
        DataQualityError: If the history is too short to tell noise from change, or out of order.
    """
    at = history.events.to_numpy()
    if len(at) < 2 or np.isnat(at).any() or (np.diff(at) < np.timedelta64(0)).any():
        raise DataQualityError(
            f"{history.watching.event}: a reference needs {history.watching.plural} in the order of"
            " time, none without one",
            f"sort the history by {history.watching.event}, and drop what has none",
        )
    recent = at >= at[-1] - np.timedelta64(settings.reference_days, "D")
    reference, at = history.rows(recent), at[recent]
    tables = _choose_bins(reference)
    reference = reference.binned(tables)
    tested = at >= np.datetime64(tested_from)
    shortest, longest = limits_of_model
    profile = ReferenceProfile(
        version=version,
        created_at=datetime.now(timezone.utc),
        start=at[0].item(),
        end=at[-1].item(),
        tested_from=tested_from,
        rows=len(at),
        shortest=shortest,
        longest=longest,
        features=_counted(reference, tables),
        shares=count_properties(reference),
        errors=sum_errors(reference.rows(tested)),
    )
    stretches = itertools.chain(
        _quiet_inputs(reference, at, profile), _quiet_errors(reference, at, tested, profile)
    )
    calibration = _calibrate(list(stretches), settings.false_alarms)
    if "drift" not in calibration.limits:
        plural = history.watching.plural
        raise DataQualityError(
            f"the {len(at):,} {plural} from {profile.start:%Y-%m-%d} to {profile.end:%Y-%m-%d} are"
            " too few to learn alarm limits",
            f"use three weeks or more for the profile, with {_SIZES[0]:,} {plural} in each half"
            " week",
        )
    return profile.model_copy(update={"calibration": calibration})


def _choose_bins(rows: RowWindow) -> list[FeatureCounts]:
    return [
        FeatureCounts.of(feature, rows.values(feature.name, label=feature.label)[0])
        for feature in rows.watching.features
        if feature.name in rows.observed
    ]


def _counted(rows: RowWindow, tables: Iterable[FeatureCounts]) -> tuple[FeatureCounts, ...]:
    return tuple(table.counting(*rows.codes(table), rows.watching.strata) for table in tables)


def _quiet_inputs(history: RowWindow, at: Times, profile: ReferenceProfile) -> Iterator[_Quiet]:
    """Measure inputs, labels and quality of each stretch against what came before it."""
    # A month of lead, or a third where there is less, so that a first reference is worth its name.
    span = at[-1] - at[0] - min((at[-1] - at[0]) / 3, _LEAD)
    for start, end in _stretches(at[-1], span, _length(span, _INPUT_STRETCHES)):
        inside = (at >= start) & (at < end)
        for gap in _GAPS:
            before = at < start - gap
            if before.sum() >= _MIN_REFERENCE_ROWS and inside.any():
                rows = history.rows(before)
                known = {
                    "features": _counted(rows, profile.features),
                    "shares": count_properties(rows),
                }
                against = profile.model_copy(update=known)
                for window in _cut(history, inside):
                    found = [*measure_drift(window, against), *measure_quality(window, against)]
                    yield _Quiet(start, found)


def _quiet_errors(
    history: RowWindow, at: Times, tested: Mask, profile: ReferenceProfile
) -> Iterator[_Quiet]:
    """Measure errors of each stretch of the test against those of the rest of it."""
    span = at[-1] - at[tested][0] if tested.any() else _NO_TIME
    if span < _LEAST_TEST:
        return
    for start, end in _stretches(at[-1], span, _length(span, _TEST_STRETCHES)):
        inside = (at >= start) & (at < end)
        others = tested & ~inside
        if others.any() and inside.any():
            errors = {"errors": sum_errors(history.rows(others))}
            against = profile.model_copy(update=errors)
            for window in _cut(history, inside):
                yield _Quiet(start, list(measure_performance(window, against)))


def _length(span: Any, wanted: int) -> Any:
    """Return how long stretches are: as `_STRETCH`, or less where so many would not fit."""
    return max(min(span / wanted, _STRETCH), _LEAST_STRETCH)


def _stretches(last: Any, span: Any, length: Any) -> Iterator[tuple[Any, Any]]:
    """Divide the last part of a history into stretches of equal length, as many as it holds."""
    for number in range(int(span / length), 0, -1):
        start = last - length * number
        yield start, start + length if number > 1 else last + np.timedelta64(1, "us")


def _cut(history: RowWindow, inside: Mask) -> Iterator[RowWindow]:
    """Cut neighbouring rows into overlapping windows of each size that fits."""
    rows = np.flatnonzero(inside)
    first, count = int(rows[0]), len(rows)
    for size in (size for size in _SIZES if size <= count):
        windows = min(_PER_STRETCH, 1 + 2 * (count // size - 1))
        for start in np.linspace(first, first + count - size, windows).astype(int).tolist():
            yield history.rows(slice(start, start + size))


def _calibrate(quiet: Sequence[_Quiet], false_alarms: float) -> Calibration:
    """Fit every statistic, and limits from scores under fits that did not see their stretch."""
    maxima: dict[FindingKind, list[float]] = {kind: [] for kind in LEARNED}
    for stretch in sorted({window.stretch for window in quiet}):
        nulls = fit_nulls(window.found for window in quiet if window.stretch != stretch)
        for window in quiet:
            if window.stretch == stretch:
                for kind, values in maxima.items():
                    worst = nulls.worst(m for m in window.found if m.kind == kind)
                    if worst is not None:
                        values.append(worst)
    each = false_alarms / len(LEARNED)
    return Calibration(
        nulls=fit_nulls(window.found for window in quiet),
        limits={f: limit_of(values, each) for f, values in maxima.items() if len(values) > 1},
        windows=len(quiet),
        false_alarms=false_alarms,
    )
