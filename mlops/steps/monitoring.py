"""Steps of `monitoring`: collect windows, measure them, decide, and start what was decided.

Each step can be repeated after a kill: windows have names, a decision has the time of its look, and
a run that was started is found again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from mlops import progress
from mlops.datasets.opening import dataset_of
from mlops.errors import MlopsError
from mlops.monitoring.findings.alerting import tell
from mlops.monitoring.findings.deciding import Situation, is_due, make_decision
from mlops.monitoring.findings.records import DecisionRecord, write_window
from mlops.monitoring.measures.measuring import measure
from mlops.monitoring.measures.rivals import gain_of, labelled_rows
from mlops.monitoring.windows.collecting import collect
from mlops.monitoring.windows.staging import StagedWindow
from mlops.orchestration.triggers import acting
from mlops.registry.remembered import source_in_force
from mlops.registry.trail import Promotion
from mlops.registry.versions import Registry
from mlops.settings import Settings, load_settings

Variables = Mapping[str, Any]


def collect_windows(variables: Variables) -> dict[str, Any]:
    """Stage the windows that are new, or that more labels have arrived for.

    Returns:
        ``at``: the time of this look, which names its decision; ``windows``: staged ones.
    """
    source = source_in_force(_settings(variables))
    progress.report(source.summary)
    now = datetime.now(timezone.utc)
    staged = collect(source.settings, now)
    progress.report("windows to measure", windows=len(staged))
    return {"at": now.isoformat(), "windows": [window.model_dump(mode="json") for window in staged]}


def measure_windows(collected: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Measure, judge and store each window; returns what it was given, for the next step.

    A former version, or one on trial, that cannot be measured is left out. Of each version the
    windows are stored in order up to the first that cannot be measured: what comes after the last
    stored one is collected again, what lies between two of them never is.

    Raises:
        MlopsError: If a window of the champion cannot be measured, e.g. because it has no profile:
            nobody watches it.
    """
    settings = _settings(variables)
    now = datetime.fromisoformat(collected["at"])
    champion = Registry(settings).champion_version()
    failed: dict[int, MlopsError] = {}
    for window in _staged(collected):
        if window.version in failed:
            continue
        try:
            record = measure(settings, window, now)
        except MlopsError as error:
            progress.report(f"{window.name} cannot be measured: {error.message}")
            failed[window.version] = error
            continue
        write_window(settings, record)
        progress.report(
            f"{record.window}: {record.report.summary()}", alarms=len(record.report.alarms)
        )
    if champion in failed:
        raise failed[champion]
    return dict(collected)


def decide(measured: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Decide on what is on record, and tell people, unless something is to be started first.

    Returns:
        ``record``: the `DecisionRecord` in force, or None without a champion; ``start``: whether
        the next step has something to start.
    """
    settings = _settings(variables)
    registry = Registry(settings)
    trail = registry.trail()
    with acting.alone(settings):
        record = make_decision(
            settings,
            Situation(
                trail=trail,
                measure_gain=_gain(settings, registry, trail, _staged(measured)),
                now=datetime.fromisoformat(measured["at"]),
                run_id=int(variables.get("pipeline_run_id") or 0),
                can_roll_back=registry.can_roll_back(),
            ),
        )
    if record is None:
        progress.report("there is no champion to monitor yet")
        return {"record": None, "start": False}
    progress.report(f"{record.decision.step}: {record.decision.reasons[0]}")
    start = is_due(record) and settings.monitoring.act
    if not start:
        record = acting.act(settings, record)  # notes that nothing is to be started
        tell(settings, record)
    return {"record": record.model_dump(mode="json"), "start": start}


def is_to_start(decided: Mapping[str, Any]) -> bool:
    """Tell whether a pipeline is to be started."""
    return bool(decided["start"])


def act(decided: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Start what was decided, and tell people; returns the `DecisionRecord` with what came of it.

    Without a server nothing is started: the record says what a person would type.
    """
    settings = _settings(variables)
    record = acting.act(settings, DecisionRecord.model_validate(decided["record"]))
    tell(settings, record)
    if record.started:
        progress.report(f"{record.started} started", run=record.started_run)
    else:
        progress.report(f"not started: {record.problem}; by hand: {record.command}")
    return record.model_dump(mode="json")


def _gain(
    settings: Settings,
    registry: Registry,
    trail: Sequence[Promotion],
    staged: Sequence[StagedWindow],
) -> Callable[[int], float | None]:
    """Return what measures the gain of the version before the champion on rows just labelled."""

    def measure_gain(previous: int) -> float | None:
        watching = dataset_of(settings).watching(settings)
        answered = labelled_rows(staged, trail[0].version, watching)
        if answered is None:
            return None
        rival, _ = registry.load(previous)
        return gain_of(rival, answered, settings)

    return measure_gain


def _staged(collected: Mapping[str, Any]) -> tuple[StagedWindow, ...]:
    return tuple(StagedWindow.model_validate(window) for window in collected["windows"])


def _settings(variables: Variables) -> Settings:
    return load_settings(variables, strict=False)
