"""Mage's run tables, as drivers need them (see `marks`). Import only after `environment.boot`."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.pipeline import Pipeline
from mage_ai.data_preparation.models.triggers import ScheduleStatus, ScheduleType
from mage_ai.orchestration.db import db_connection
from mage_ai.orchestration.db.models.schedules import BlockRun, PipelineRun, PipelineSchedule
from mage_ai.orchestration.db.process import start_session_and_run
from mage_ai.orchestration.pipeline_scheduler import (
    PipelineScheduler,
    configure_pipeline_run_payload,
    run_block,
    stop_pipeline_run,
)

from mlops.errors import ConfigurationError
from mlops.orchestration.runs.contract import PipelineRequest
from mlops.orchestration.runs.datasets import DATASET, dataset_named
from mlops.orchestration.runs.marks import PARENT, driver, is_marked, our_mark, parent_of, unmarked

TRIGGER_NAME = "mlops run"
BlockStatus = BlockRun.BlockRunStatus
RunStatus = PipelineRun.PipelineRunStatus
IN_PROGRESS = (RunStatus.INITIAL, RunStatus.RUNNING)
FINISHED = (BlockStatus.COMPLETED, BlockStatus.CONDITION_FAILED)
LIVE = (BlockStatus.QUEUED, BlockStatus.RUNNING)


def forget() -> None:
    """Drop what this session has read, so that the next look sees what children wrote."""
    db_connection.session.commit()
    db_connection.session.expire_all()


def load_pipeline(name: str, project: Path) -> Pipeline:
    """Load a pipeline's definition.

    Raises:
        ConfigurationError: Naming the pipelines there are.
    """
    folder = project / "pipelines"
    if not (folder / name / "metadata.yaml").is_file():
        known = sorted(path.parent.name for path in folder.glob("*/metadata.yaml"))
        raise ConfigurationError(
            f"pipelines/{name}: there is no such pipeline",
            f"choose one of: {', '.join(known) or 'none is defined'}",
        )
    return Pipeline.get(name, repo_path=str(project))


def create_run(
    request: PipelineRequest, project: Path, parent: PipelineRun | None = None
) -> PipelineRun:
    """Create a run that is RUNNING, and driven by this process or by the driver of the parent.

    There is no moment at which another driver could take it for its own, or find it without all
    of its blocks: until it is complete it counts as cancelled, and nobody touches it. A run without
    a dataset of its own works on that of its parent.
    """
    pipeline = load_pipeline(request.pipeline, project)
    schedule = _schedule(request)
    inherited = {} if parent is None else {DATASET: dataset_named(parent.variables)}
    payload, _ = configure_pipeline_run_payload(
        schedule, pipeline.type, {"variables": {**inherited, **request.variables}}
    )
    metrics = our_mark() if parent is None else {**driver(parent), PARENT: parent.id}
    run = PipelineRun.create(**payload, status=RunStatus.CANCELLED, metrics=metrics)
    run.update(status=RunStatus.RUNNING, started_at=_now())
    return run


def child_of(parent_id: int, pipeline: str) -> PipelineRun | None:
    """Return the newest run of a pipeline that a block of ``parent_id`` has started."""
    started = PipelineRun.query.filter(
        PipelineRun.pipeline_uuid == pipeline, PipelineRun.started_at.is_not(None)
    )
    # Later than its parent: how far back to look.
    candidates = started.filter(PipelineRun.id > parent_id).order_by(PipelineRun.id.desc())
    return next((run for run in candidates.all() if parent_of(run) == parent_id), None)


def orphans() -> list[PipelineRun]:
    """Return the runs in progress whose parent has ended."""
    children = [run for run in running() if parent_of(run) is not None]
    parents = {run.id for run in running()} if children else set()
    return [run for run in children if parent_of(run) not in parents]


def running() -> list[PipelineRun]:
    """Return the runs in progress, oldest first."""
    found = PipelineRun.query.filter(PipelineRun.status == RunStatus.RUNNING)
    return list(found.order_by(PipelineRun.id).all())


def _schedule(request: PipelineRequest) -> PipelineSchedule:
    """Return the trigger whose settings and history the run belongs to."""
    schedule = PipelineSchedule.repo_query.filter(
        PipelineSchedule.pipeline_uuid == request.pipeline,
        PipelineSchedule.name == TRIGGER_NAME,
    ).first()
    return schedule or PipelineSchedule.create(
        name=TRIGGER_NAME,
        pipeline_uuid=request.pipeline,
        schedule_type=ScheduleType.API,
        # Inactive: nobody starts it over the network.
        status=ScheduleStatus.INACTIVE,
        # A failing dynamic child must not take its siblings with it.
        settings={"allow_blocks_to_fail": True},
    )


def get_run(run_id: int) -> PipelineRun:
    """Return a run.

    Raises:
        ConfigurationError: If there is none with this number.
    """
    run = PipelineRun.query.get(run_id)
    if run is None:
        raise ConfigurationError(
            f"pipeline run {run_id}: there is no such run", "list the runs with: mlops status"
        )
    return run


def marked_runs() -> list[PipelineRun]:
    """Return the runs in progress that belong to an engine, oldest first."""
    return [run for run in running() if is_marked(run)]


def take(run: PipelineRun, parent: PipelineRun | None = None) -> bool:
    """Set a run running, driven by us or by the driver of its parent.

    Returns:
        Whether nobody else has changed it meanwhile.
    """
    mark = our_mark() if parent is None else driver(parent)
    changed = (
        PipelineRun.query.filter(PipelineRun.id == run.id, PipelineRun.status == run.status)
    ).update(
        {
            PipelineRun.status: RunStatus.RUNNING,
            PipelineRun.metrics: {**unmarked(run), **mark},
            PipelineRun.started_at: run.started_at or _now(),
            PipelineRun.completed_at: None,
        },
        synchronize_session=False,
    )
    forget()
    return bool(changed)


def reopen(run: PipelineRun) -> None:
    """Make a run that we have taken runnable: only what is unfinished starts afresh."""
    for block_run in run.block_runs:
        if block_run.status not in FINISHED:
            metrics = {k: v for k, v in (block_run.metrics or {}).items() if k != "error"}
            block_run.update(
                status=BlockStatus.INITIAL, started_at=None, completed_at=None, metrics=metrics
            )


def unmark(run_id: int) -> None:
    """Take a dead engine's mark off a run."""
    run = PipelineRun.query.get(run_id)
    if run is not None and is_marked(run):
        close(run)


def close(run: PipelineRun) -> None:
    """Take the engine's mark off a run that it no longer drives."""
    run.update(metrics=unmarked(run), completed_at=run.completed_at or _now())


def cancel(run: PipelineRun, pipeline: Pipeline) -> None:
    """Cancel a run and its unfinished blocks in Mage's tables."""
    stop_pipeline_run(run, pipeline)


def fail_if_unfinished(block_run_id: int, reason: str) -> None:
    """Record that a block failed, if its process ended without saying how."""
    block_run = BlockRun.query.get(block_run_id)
    run = block_run.pipeline_run
    if run.status == RunStatus.RUNNING and block_run.status in LIVE:
        scheduler = PipelineScheduler(run)
        tags = scheduler.build_tags(block_run=block_run)
        scheduler.logger.error(f"BlockRun {block_run.id} failed: {reason}", **tags)
        _fail(block_run, {"error": reason, "message": reason})


def _fail(block_run: BlockRun, error: Mapping[str, str]) -> None:
    # A new dictionary: SQLAlchemy does not notice changes inside a JSON column.
    metrics = {**(block_run.metrics or {}), "error": dict(error)}
    block_run.update(status=BlockStatus.FAILED, completed_at=_now(), metrics=metrics)


def run_job(target: Callable[..., Any], *arguments: Any) -> None:
    """Run one of Mage's jobs in its own process and session.

    Mage loses the error of a dynamic child: it changes the JSON column in place, which
    SQLAlchemy does not notice. So the error is written here, for every block.
    """
    try:
        start_session_and_run(target, *arguments)
    except Exception as error:
        if target is run_block:
            db_connection.start_session(force=True)
            block_run = BlockRun.query.get(arguments[1])
            text = "".join(traceback.format_exception_only(error)).strip()
            message = "".join(traceback.format_exception(error))
            _fail(block_run, {"error": str(error), "message": message, "exception": text})
        raise


def fail_run(run: PipelineRun, reason: str) -> None:
    """Record that a run can go no further."""
    for block_run in run.block_runs:
        if block_run.status == BlockStatus.INITIAL:
            _fail(block_run, {"error": reason, "message": reason})
    run.update(status=RunStatus.FAILED)


def _now() -> datetime:
    return datetime.now(timezone.utc)
