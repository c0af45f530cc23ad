"""The pipeline `retraining` from the command line, through the headless engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlops.errors import ConfigurationError
from mlops.orchestration.engine.engine import Engine
from mlops.orchestration.engine.interruption import interruptible
from mlops.orchestration.jobs import deployments, main_job
from mlops.orchestration.runs.contract import Event, PipelineRequest
from mlops.orchestration.runs.failures import require_success
from mlops.registry.connection import ensure_tracking
from mlops.retraining.records import RetrainingRecord, newest_record, read_record
from mlops.settings import Settings


def run_retraining(
    settings: Settings,
    variables: Mapping[str, Any],
    on_event: Callable[[Event], None],
    *,
    resume: bool = False,
) -> RetrainingRecord:
    """Run `retraining` to its end.

    Args:
        settings: The configuration.
        variables: Of the run: overrides of settings, ``force``, ``reason``.
        on_event: Called with each event of a run, block and step.
        resume: Go on with the last retraining instead, with its own variables.

    Raises:
        ConfigurationError: If there is nothing to resume.
        MlopsError: What made it fail.
    """
    last = newest_record(settings) if resume else None
    if resume and (last is None or last.ended_well):
        raise ConfigurationError(
            "there is no retraining to continue", "start one with: mlops retrain"
        )
    ensure_tracking(settings)
    before = newest_record(settings)

    def go_on() -> str:
        # Before its first block has ended, a retraining has no record to go on from.
        begun = resume or newest_record(settings) != before
        return "mlops retrain --resume" if begun else "mlops retrain"

    preload = main_job.PRELOAD + deployments.PRELOAD
    with interruptible(go_on), Engine(settings, on_event=on_event, preload=preload) as engine:
        if last is None:
            (result,) = engine.run(PipelineRequest("retraining", variables))
        else:
            result = engine.resume(last.run_id)
    require_success(result, go_on())
    record = read_record(settings, result.run_id)
    assert record is not None  # written by the first block
    return record
