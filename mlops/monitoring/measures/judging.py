"""From measurements to findings: beyond what chance makes, and large enough to matter.

Two conditions make an alarm. The first is learned (`mlops.monitoring.reference.nulls`). The second
is set in the settings, because with enough rows everything has certainly changed a little: a PSI
below 0.1 is commonly read as "no significant change" (N. Siddiqi, *Credit Risk Scorecards*, 2006).

A profile may know no limits of errors: a short test does not tell how much they vary. Then the RMSE
is judged by its own confidence interval; other statistics of errors are reported, not judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Final

from mlops.errors import DataQualityError
from mlops.monitoring.findings.measurements import ALL_ROWS, LEARNED, Measurement
from mlops.monitoring.findings.report import Finding, Outcome, WindowReport, worst_first
from mlops.monitoring.measures.drift import measure_drift
from mlops.monitoring.measures.performance import measure_performance
from mlops.monitoring.measures.quality import UNITS, measure_quality
from mlops.monitoring.measures.stability import measure_predictions, measure_progress
from mlops.monitoring.reference.nulls import MIN_ROWS
from mlops.monitoring.reference.profile import Calibration, ReferenceProfile
from mlops.monitoring.windows.features import RowWindow
from mlops.settings import MonitoringSettings

# For small changes the Jensen–Shannon divergence in bits is PSI / (8 ln 2): J. Lin (1991), and the
# second-order expansion of both.
_JS_PER_PSI: Final = 1 / (8 * math.log(2))
# On four months of the worked case, each watched by a model tested on one week, the interval of
# some slice's RMSE lay half above the expected one in 1 of 89 quiet windows of 5,000 rows, and in
# all 16 windows of two months with a doubled rush hour, those around weekends included.
_SLICE_FACTOR: Final = 5
_MIN_SLICE_ROWS: Final = 500


def report_window(
    window: RowWindow,
    profile: ReferenceProfile,
    settings: MonitoringSettings,
    *,
    name: str,
    more: Sequence[Measurement] = (),
) -> WindowReport:
    """Measure a window in every way that needs nothing but itself and the profile, and judge it.

    Args:
        window: The rows; performance is measured on those with labels.
        profile: Of the version that made the predictions.
        settings: What is large enough to matter.
        name: Identifies the window.
        more: Measured elsewhere: skew, staleness, serving.

    Raises:
        DataQualityError: If the profile has no limits.
    """
    if profile.calibration is None:
        raise DataQualityError(
            f"the reference profile of version {profile.version} has no limits",
            "build it with mlops.monitoring.measures.learning.build_profile",
        )
    measured = [
        *measure_drift(window, profile),
        *measure_quality(window, profile),
        *measure_predictions(window, profile),
        *measure_progress(window),
        *measure_performance(window, profile),
        *more,
    ]
    at = window.events.dropna()
    return WindowReport(
        window=name,
        version=profile.version,
        start=None if at.empty else at.min().to_pydatetime(),
        end=None if at.empty else at.max().to_pydatetime(),
        created_at=datetime.now(timezone.utc),
        rows=len(window),
        refused=int(window.refused.sum()),
        labelled=int(window.learnable.sum()),
        findings=worst_first(judge(m, profile, settings) for m in measured),
    )


def judge(
    measurement: Measurement, profile: ReferenceProfile, settings: MonitoringSettings
) -> Finding:
    """Judge one measurement by what the profile knows, or by the limit set for its kind."""
    score, limit = None, None
    if measurement.kind in LEARNED:
        calibration = profile.calibration
        if calibration and calibration.nulls.knows(measurement):
            limit = _learned_limit(measurement, calibration, settings)
            score = calibration.nulls.score(measurement)
        if limit is None:
            limit = _plain_limit(measurement, settings)
    else:
        limit = _set_limit(measurement, settings)
    outcome: Outcome = "unjudged"
    if limit is not None:
        outcome = "alarm" if _beyond(measurement, limit) else "ok"
    return Finding(
        kind=measurement.kind,
        subject=measurement.subject,
        statistic=measurement.statistic,
        value=measurement.value,
        reference=measurement.reference,
        unit=measurement.unit,
        limit=limit,
        score=score,
        interval=measurement.interval,
        rows=measurement.n,
        outcome=outcome,
        why=_why(measurement, limit),
    )


def _learned_limit(
    m: Measurement, calibration: Calibration, settings: MonitoringSettings
) -> float | None:
    """Return the value beyond which a measurement is neither chance nor small."""
    score = calibration.limits.get(m.kind)
    if score is None:
        return None
    learned = calibration.nulls.value_at(m, score)
    least = least_change(m, settings)
    if learned < m.reference:  # what is low, or lower where both matter
        return min(learned, m.reference - least)
    return max(learned, m.reference + least)


def _plain_limit(m: Measurement, settings: MonitoringSettings) -> float | None:
    """Return the RMSE whose whole interval is above the expected one by what matters.

    Of slices, five times as much must have changed: many are looked at, each of them small, and
    what is expected of one comes from few rows, too.
    """
    if m.kind != "performance" or m.statistic != "rmse" or m.interval is None:
        return None
    overall = m.subject == ALL_ROWS
    if m.n < (MIN_ROWS if overall else _MIN_SLICE_ROWS):
        return None
    least = least_change(m, settings) * (1 if overall else _SLICE_FACTOR)
    return m.reference + least + (m.value - m.interval[0])


def least_change(m: Measurement, settings: MonitoringSettings) -> float:
    """Return by how much a value must differ from its reference to matter, in its own unit."""
    if m.is_divergence:
        return {
            "psi": settings.min_psi,
            "js": settings.min_psi * _JS_PER_PSI,
            "ks": settings.min_ks,
            "wasserstein": settings.min_wasserstein * m.yardstick,
        }[m.statistic]
    if m.kind == "performance":
        if m.statistic == "coverage":
            return settings.min_coverage_change
        return settings.min_error_change * m.yardstick
    if m.subject == UNITS:
        return settings.min_units_change * m.yardstick
    return max(settings.min_share_change, settings.min_share_growth * m.reference)


def _set_limit(m: Measurement, settings: MonitoringSettings) -> float | None:
    if m.limit is not None:
        return m.limit
    if m.kind == "skew":
        return settings.max_skew_share
    if m.kind == "staleness":
        return settings.max_model_age_days
    if m.kind == "stability":
        return settings.min_clock_progress if m.statistic == "progress" else 0.0
    return None


def _beyond(m: Measurement, limit: float) -> bool:
    if m.side == "both":
        return abs(m.value - m.reference) > abs(limit - m.reference)
    return m.value < limit if m.side == "low" else m.value > limit


def _why(m: Measurement, limit: float | None) -> str:
    if m.note:
        what = m.note
    elif m.is_divergence:
        what = f"{m.subject} has a different distribution: {m.statistic} {_shown(m.value, m.unit)}"
    elif m.kind in ("stability", "skew", "staleness"):
        what = f"{m.subject} {m.statistic}: {_shown(m.value, m.unit)}"
    else:
        what = (
            f"{m.subject}: {m.statistic} is {_shown(m.value, m.unit)},"
            f" usual is {_shown(m.reference, m.unit)}"
        )
    return f"{what} (limit {'unknown' if limit is None else _shown(limit, m.unit)})"


def _shown(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.2%}"
    return f"{value:.3g} {unit}".strip()
