"""Deployments and rollbacks from the command line: their pipelines, through the headless engine.

It works beside `mlops up`: the engine marks its runs, and the claim of deployments keeps the two
apart. A rollback does not wait for an engine that is busy, e.g. with a training of hours: it is
then done at once, in this process, with the same record but without a pipeline run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mlops.deployment.records import DeploymentRecord, Records
from mlops.errors import BusyError, MlopsError
from mlops.orchestration.engine.engine import Engine
from mlops.orchestration.engine.interruption import interruptible
from mlops.orchestration.runs.contract import Event, PipelineRequest, PipelineResult, StaleRun
from mlops.orchestration.runs.failures import require_success
from mlops.orchestration.runs.lock import is_held
from mlops.orchestration.runs.naming import ENGINE_LOCK
from mlops.registry.connection import load_mlflow
from mlops.settings import Settings
from mlops.steps import deployment

PIPELINES: Final = ("deployment", "rollback")
# Imported once before blocks are forked; each would pay these seconds again.
PRELOAD: Final = (
    "mlops.steps.deployment",
    "mlops.serving.model.compilation",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.ensemble",
    "sklearn.pipeline",
)

Watcher = Callable[[Event], None]


def deploy(settings: Settings, variables: Mapping[str, Any], watch: Watcher) -> DeploymentRecord:
    """Run the pipeline `deployment`, or continue one of this version that was killed.

    Args:
        settings: The configuration.
        variables: Of the run: ``version`` or ``alias``, ``reason``, ``by``, …
        watch: Called with each event.

    Returns:
        The record, of a deployment that succeeded.

    Raises:
        MlopsError: What ended it otherwise, in its own words.
    """
    asked = str(variables.get("version") or variables.get("alias"))
    records = Records(settings.deployments)
    again = f"mlops deploy {asked}"
    with interruptible(lambda: again), _engine(settings, watch) as engine:
        stale = [run for run in engine.stale_runs() if run.pipeline in PIPELINES]
        ours = next((run for run in stale if _is_of(records, run, asked)), None)
        if ours is None:
            (result,) = engine.run(PipelineRequest("deployment", variables))
        else:
            result = engine.resume(ours.run_id)
        for run in stale:
            # What was taken over ends as soon as it is looked at, in Mage's tables as well.
            if run is not ours:
                engine.resume(run.run_id)
    return _record(records, result, again)


def roll_back(settings: Settings, variables: Mapping[str, Any], watch: Watcher) -> DeploymentRecord:
    """Run the pipeline `rollback`, or do its work at once if an engine is busy.

    Args:
        settings: The configuration.
        variables: ``reason``, ``by``, ``to_version``.
        watch: Called with each event.

    Raises:
        MlopsError: What prevented it.
    """
    records = Records(settings.deployments)
    if not is_held(settings.home / ENGINE_LOCK):
        try:
            with _engine(settings, watch) as engine:
                (result,) = engine.run(PipelineRequest("rollback", variables))
            return _record(records, result, "mlops rollback")
        except BusyError:
            pass  # it became busy meanwhile
    return records.load(deployment.roll_back_at_once(variables)["deployment"])


def _engine(settings: Settings, watch: Watcher) -> Engine:
    load_mlflow()  # with the settings that it reads at import
    return Engine(settings, on_event=watch, preload=PRELOAD)


def _is_of(records: Records, run: StaleRun, asked: str) -> bool:
    """Tell whether a killed run has an unfinished deployment of what is asked for."""
    record = _of_run(records, run.run_id)
    return (
        record is not None
        and record.kind == "deployment"
        and not record.is_over
        and asked in (record.asked, str(record.version))
    )


def _of_run(records: Records, run_id: int) -> DeploymentRecord | None:
    return records.newest(lambda record: record.run.id == str(run_id))


def _record(records: Records, result: PipelineResult, go_on: str) -> DeploymentRecord:
    record = _of_run(records, result.run_id)
    if record is not None and record.is_over:
        return record
    if record is not None and record.kind == "deployment":
        # An alias may be gone by now, or name another version.
        go_on = go_on.replace(f"deploy {record.asked}", f"deploy {record.version}")
    require_success(result, go_on)
    raise MlopsError(f"run {result.run_id} of {result.pipeline} left no record", "read its logs")
