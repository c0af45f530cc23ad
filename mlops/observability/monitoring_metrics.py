"""The metrics of monitoring: how the champion does, and how far the world has moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import Metric

from mlops.monitoring.findings.alerting import streak_of
from mlops.monitoring.findings.measurements import ALL_ROWS, FindingKind
from mlops.monitoring.findings.policy import SEVERITY
from mlops.observability.gauges import gauge, seconds_of, single
from mlops.observability.world import ObservedWorld

if TYPE_CHECKING:
    from mlops.monitoring.findings.records import WindowRecord
    from mlops.monitoring.findings.report import Finding

KINDS: Final[tuple[FindingKind, ...]] = get_args(FindingKind)
# Statistic to the unit in the metric's name, and what it means.
PERFORMANCE: Final = {
    "rmse": ("_minutes", "Root mean squared error"),
    "mae": ("_minutes", "Mean absolute error"),
    "bias": ("_minutes", "Mean of predicted minus actual duration"),
    "coverage": ("", "Share of rows within their prediction interval"),
}


def window_metrics(world: ObservedWorld) -> Iterator[Metric]:
    """Yield what the latest windows of the champion say; nothing before the first."""
    champion = world.champion
    own = [w for w in world.windows if champion and w.version == champion.version]
    yield single(
        "mlops_model_windows", "Number of monitored windows of the champion's answers", len(own)
    )
    yield single(
        "mlops_model_window_size_trips",
        "Number of answers in a complete window",
        world.settings.monitoring.window_trips,
    )
    if not own:
        return
    yield from _alarms(own)
    latest = own[-1]
    yield single(
        "mlops_model_window_end_timestamp_seconds",
        "End of the latest window",
        seconds_of(latest.end),
    )
    yield gauge(
        "mlops_model_window_trips",
        "Answers in the latest window: all, and those whose actual duration is known",
        [({"trips": "answered"}, latest.trips), ({"trips": "labelled"}, latest.labelled)],
    )
    served = [window.end for window in own if window.origin == "served"]
    yield single(
        "mlops_model_served_until_timestamp_seconds",
        "Time of the last monitored answer of the online server",
        seconds_of(max(served, default=None)),
    )
    answered = sum(window.trips for window in own)
    labelled = sum(window.labelled for window in own)
    yield single(
        "mlops_model_labelled_share",
        "Share of all monitored answers whose actual duration is known",
        labelled / answered if answered else None,
    )
    yield from _drift(latest)
    yield from _performance(own)
    yield from _staleness(own)


def _alarms(windows: Sequence[WindowRecord]) -> Iterator[Metric]:
    """Yield the alarms of each kind in the latest window that could be judged, and since when."""
    streaks = {kind: streak_of(windows, kind) for kind in KINDS}
    yield gauge(
        "mlops_model_alarms",
        "Statistics beyond their limits in the latest window where they could be judged",
        [({"kind": each}, len(streak.alarms) if streak else 0) for each, streak in streaks.items()],
    )
    yield gauge(
        "mlops_model_alarm_windows",
        "Number of consecutive windows with an alarm of this kind",
        [({"kind": each}, streak.windows if streak else 0) for each, streak in streaks.items()],
    )
    yield gauge(
        "mlops_model_alarm_since_timestamp_seconds",
        "Start of the first consecutive window with an alarm of this kind",
        [({"kind": each}, seconds_of(s.since)) for each, s in streaks.items() if s],
    )


def _drift(window: WindowRecord) -> Iterator[Metric]:
    found = [
        finding
        for finding in window.report.findings
        if finding.kind in ("drift", "labels") and finding.statistic == "psi"
    ]
    yield gauge(
        "mlops_model_drift_psi",
        "Population stability index of a feature in the latest window",
        [({"feature": finding.subject}, finding.value) for finding in found],
    )
    yield gauge(
        "mlops_model_drift_psi_limit",
        "Limit of the population stability index that raises an alarm",
        [({"feature": finding.subject}, finding.limit) for finding in found],
    )


def _performance(windows: Sequence[WindowRecord]) -> Iterator[Metric]:
    what = "in the latest window with labels"
    for statistic, (unit, meaning) in PERFORMANCE.items():
        found = _latest(windows, _is("performance", ALL_ROWS, statistic))
        low, high = (found and found.interval) or (None, None)
        for part, text, value in (
            ("", meaning, _of(found, "value")),
            ("_lower", f"Lower end of the 95 % confidence interval: {meaning.lower()}", low),
            ("_upper", f"Upper end of the 95 % confidence interval: {meaning.lower()}", high),
            ("_expected", f"Value in the test window: {meaning.lower()}", _of(found, "reference")),
            ("_limit", f"Limit that raises an alarm: {meaning.lower()}", _of(found, "limit")),
        ):
            yield single(f"mlops_model_live_{statistic}{part}{unit}", f"{text} {what}", value)


def _of(found: Finding | None, name: str) -> float | None:
    return getattr(found, name) if found else None


def _staleness(windows: Sequence[WindowRecord]) -> Iterator[Metric]:
    found = _latest(windows, _is("staleness", "model", "age"))
    yield single(
        "mlops_model_staleness_days",
        "Age of the champion: time from the end of its training set to the latest window",
        _of(found, "value"),
    )
    yield single(
        "mlops_model_staleness_limit_days",
        "Age of the champion that raises an alarm",
        _of(found, "limit"),
    )


def _is(kind: str, subject: str, statistic: str) -> Callable[[Finding], bool]:
    wanted = (kind, subject, statistic)
    return lambda finding: (finding.kind, finding.subject, finding.statistic) == wanted


def _latest(windows: Sequence[WindowRecord], wanted: Callable[[Finding], bool]) -> Finding | None:
    return next(
        (f for window in reversed(windows) for f in window.report.findings if wanted(f)), None
    )


def decision_metrics(world: ObservedWorld) -> Iterator[Metric]:
    """Yield what monitoring decided last, and whether it could do it."""
    if not world.decisions:
        return
    last = world.decisions[-1]
    yield single(
        "mlops_model_last_monitoring_timestamp_seconds",
        "Time of the last run of monitoring, with or without new windows",
        seconds_of(last.looked_at),
    )
    yield single(
        "mlops_model_last_decision_timestamp_seconds",
        "Time of the decision in force",
        seconds_of(last.decision.at),
    )
    yield gauge(
        "mlops_model_decision",
        "1 for the step that monitoring decided on last",
        [({"step": step}, last.decision.step == step) for step in SEVERITY],
    )
    yield gauge(
        "mlops_model_decision_held_back",
        "1 for a step that the cool-down holds back",
        [({"step": step}, last.decision.held_back == step) for step in SEVERITY[2:]],
    )
    yield single(
        "mlops_model_decision_problem",
        "1 if the action decided on last could not be started",
        bool(last.problem),
    )
