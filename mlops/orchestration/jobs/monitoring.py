"""The pipeline `monitoring` from the command line, through the headless engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from mlops.monitoring.findings.records import DecisionRecord, WindowRecord, find_window
from mlops.orchestration.engine.engine import Engine
from mlops.orchestration.jobs import deployments
from mlops.orchestration.runs.contract import Event, PipelineRequest, PipelineResult
from mlops.orchestration.runs.failures import require_success
from mlops.registry.connection import ensure_tracking, load_mlflow
from mlops.settings import Settings

# Imported once before blocks are forked; each would pay these seconds again.
PRELOAD: Final = (
    *deployments.PRELOAD,
    "mlops.steps.monitoring",
    "pandas.tseries.holiday",
    "pandera.pandas",
)


class MonitoringOutcome(NamedTuple):
    """What one run of `monitoring` looked at and decided."""

    windows: tuple[WindowRecord, ...]  # measured by this run, the latest last
    decision: DecisionRecord | None  # in force; None without a champion


def run_monitoring(
    settings: Settings, variables: Mapping[str, Any], on_event: Callable[[Event], None]
) -> MonitoringOutcome:
    """Run `monitoring` to its end.

    Args:
        settings: The configuration.
        variables: Of the run: overrides of settings.
        on_event: Called with each event of a block and step.

    Raises:
        BusyError: If another engine works in this home.
        MlopsError: What made it fail.
    """
    load_mlflow()  # with the settings that it reads at import
    ensure_tracking(settings)
    engine = Engine(settings, on_event=on_event, preload=PRELOAD)
    (result,) = engine.run(PipelineRequest("monitoring", variables))
    require_success(result, "mlops monitor")
    staged = result.output("measure_windows")["windows"]
    found = (find_window(settings, window["name"]) for window in staged)
    return MonitoringOutcome(
        windows=tuple(window for window in found if window is not None),
        decision=_decision(result),
    )


def _decision(result: PipelineResult) -> DecisionRecord | None:
    decided = result.output("decide_what_to_do")
    record = result.output("start_what_was_decided") if decided["start"] else decided["record"]
    return None if record is None else DecisionRecord.model_validate(record)
