"""Does what monitoring has decided: starts the pipeline for it, exactly once.

A kill between the start and the note of it must not start a second run. So each run is given the
decision it follows from, and a second attempt looks for it first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from mlops.errors import MlopsError
from mlops.monitoring.findings.deciding import PIPELINES, is_due, reason_for
from mlops.monitoring.findings.records import DecisionRecord, read_decisions, write_decision
from mlops.orchestration.runs.datasets import dataset_named
from mlops.orchestration.runs.history import runs_since, runs_with_variables
from mlops.orchestration.runs.liveness import run_is_alive
from mlops.orchestration.runs.lock import HomeLock
from mlops.orchestration.triggers.admission import FOLLOWS_FROM
from mlops.orchestration.triggers.client import start_pipeline
from mlops.settings import Settings

BY: Final = "monitoring"
_IN_PROGRESS: Final = ("initial", "running")
_LONGEST_RUN: Final = timedelta(days=3)
_LOCK_SECONDS: Final = 120.0


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Make or follow a decision while nobody else in this home does.

    Raises:
        BusyError: If another process takes minutes.
    """
    lock = HomeLock(settings.monitored / "deciding.lock", "mlops monitor")
    lock.acquire(_LOCK_SECONDS)
    try:
        yield
    finally:
        lock.release()


def act(settings: Settings, record: DecisionRecord) -> DecisionRecord:
    """Start what was decided, unless it was started before; store and return what came of it.

    Never raises for a server that is away or refuses: the record then names the problem, and what
    a person would type.

    Args:
        settings: Say whether to act, and where the server answers.
        record: A stored decision.

    Raises:
        BusyError: If another process decides for minutes.
    """
    with alone(settings):
        stored = {known.decision.at: known for known in read_decisions(settings)}
        record = stored.get(record.decision.at, record)
        if not is_due(record):
            return record
        done = record.model_copy(update=_follow(settings, record))
        if done != record:
            write_decision(settings, done)
        return done


def _follow(settings: Settings, record: DecisionRecord) -> dict[str, Any]:
    """Return what has become of a decision, as fields of its record."""
    pipeline = PIPELINES[record.decision.step]
    run = _started(settings, pipeline, record)
    if run is None:
        if not settings.monitoring.act:
            return {"problem": "monitoring.act is off"}
        others = _in_progress(settings, pipeline, record)
        if others is not None:
            return {"problem": f"{pipeline} is in progress already: run {others}"}
        variables = {
            **({"force": True} if pipeline == "retraining" else {}),
            "by": BY,
            "reason": reason_for(record.decision),
            FOLLOWS_FROM: record.decision.at.isoformat(),
        }
        try:
            run = start_pipeline(settings, pipeline, variables)
        except MlopsError as error:
            # Only the answer may have been lost.
            run = _started(settings, pipeline, record)
            if run is None:
                return {"problem": f"{error.message} ({error.hint})"}
    return {"started": pipeline, "started_run": run, "problem": ""}


def _started(settings: Settings, pipeline: str, record: DecisionRecord) -> int | None:
    """Return the run that was started for this decision, if there is one."""
    at = record.decision.at
    given = _runs(settings, pipeline, at - timedelta(minutes=5))
    key = at.isoformat()
    return next((run for run, variables in given if variables.get(FOLLOWS_FROM) == key), None)


def _in_progress(settings: Settings, pipeline: str, record: DecisionRecord) -> int | None:
    """Return a run for this dataset that somebody else started and that is being worked on."""
    since = record.decision.at - _LONGEST_RUN
    recent = {row["run"]: row["status"] for row in runs_since(settings, since)}
    numbers = (
        run for run, _ in _runs(settings, pipeline, since) if recent.get(run) in _IN_PROGRESS
    )
    return next((run for run in numbers if run_is_alive(settings, str(run))), None)


def _runs(
    settings: Settings, pipeline: str, since: datetime
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the runs of a pipeline for this dataset, and what they were given."""
    for run, variables in runs_with_variables(settings, pipeline, since):
        if dataset_named(variables) == settings.dataset:
            yield run, variables
