"""Mage's run tables, as the engine needs them. Import only after `environment.boot`.

A run driven by the headless engine carries a mark in its ``metrics`` for as long as it is
driven: the server's scheduler leaves marked runs alone (`scheduler`), and a marked run without a
live engine is one whose engine was killed.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.block.dynamic.utils import (
    is_dynamic_block,
    is_dynamic_block_child,
)
from mage_ai.data_preparation.models.global_data_product import GlobalDataProduct
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
from mage_ai.orchestration.triggers.global_data_product import fetch_or_create_pipeline_schedule

from mlops.errors import ConfigurationError
from mlops.orchestration.contract import BlockResult, PipelineRequest
from mlops.orchestration.naming import block_log

MARK = "headless_engine"
TRIGGER_NAME = "mlops run"
BlockStatus = BlockRun.BlockRunStatus
RunStatus = PipelineRun.PipelineRunStatus
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


def load_product(name: str) -> GlobalDataProduct:
    """Load a global data product's definition.

    Raises:
        ConfigurationError: If ``global_data_products.yaml`` does not name it.
    """
    product = GlobalDataProduct.get(name)
    if product is None:
        known = sorted(product.uuid for product in GlobalDataProduct.load_all())
        raise ConfigurationError(
            f"global_data_products.yaml: there is no product {name!r}",
            f"choose one of: {', '.join(known) or 'none is defined'}",
        )
    return product


def product_is_fresh(product: GlobalDataProduct) -> bool:
    """Tell whether Mage would use the newest completed build rather than start another."""
    latest = _latest_build(product)
    outdated, gate_open = product.is_outdated(latest)
    return not (outdated and gate_open)


def product_run(name: str) -> Any | None:
    """Return the newest completed run that built a product, or ``None``."""
    latest = _latest_build(load_product(name))
    return PipelineRun.query.get(latest.id) if latest else None


def _latest_build(product: GlobalDataProduct) -> Any | None:
    builds = product.pipeline_runs(limit=1, status=RunStatus.COMPLETED)
    return builds[0] if builds else None


def products_read_by(pipeline: Pipeline) -> Iterable[GlobalDataProduct]:
    """Return the global data products that a pipeline's blocks wait for."""
    for block in pipeline.blocks_by_uuid.values():
        if block.type == "global_data_product":
            yield block.get_global_data_product()


def check(request: PipelineRequest, project: Path) -> None:
    """Make sure that a request can be met.

    Raises:
        ConfigurationError: If the pipeline or the product does not exist, if the product is not
            built by this pipeline, or if a product the pipeline reads is outdated.
    """
    pipeline = load_pipeline(request.pipeline, project)
    if request.global_data_product is not None:
        product = load_product(request.global_data_product)
        if product.object_uuid != request.pipeline:
            raise ConfigurationError(
                f"global_data_products.yaml: {product.uuid!r} is built by "
                f"pipelines/{product.object_uuid}, not by pipelines/{request.pipeline}"
            )
    for product in products_read_by(pipeline):
        if not product_is_fresh(product):
            raise ConfigurationError(
                f"pipelines/{request.pipeline}: it reads the data product {product.uuid!r}, which "
                "has not been built yet or is outdated",
                f"build it first: mlops pipeline run {product.object_uuid}",
            )


def create_run(request: PipelineRequest, project: Path) -> PipelineRun:
    """Create a run that is RUNNING and marked from its first moment.

    There is no moment at which the server's scheduler could take it for its own.
    """
    pipeline = load_pipeline(request.pipeline, project)
    schedule = _schedule(request)
    payload, _ = configure_pipeline_run_payload(
        schedule, pipeline.type, {"variables": dict(request.variables)}
    )
    return PipelineRun.create(
        **payload,
        status=RunStatus.RUNNING,
        started_at=_now(),
        metrics=_mark(),
    )


def _schedule(request: PipelineRequest) -> PipelineSchedule:
    """Return the trigger whose settings and history the run belongs to."""
    if request.global_data_product is not None:
        return fetch_or_create_pipeline_schedule(load_product(request.global_data_product))
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
    running = PipelineRun.query.filter(PipelineRun.status == RunStatus.RUNNING)
    return [run for run in running.order_by(PipelineRun.id).all() if is_marked(run)]


def is_marked(run: PipelineRun) -> bool:
    """Tell whether a headless engine drives, or drove, this run."""
    return MARK in (run.metrics or {})


def take(run: PipelineRun) -> bool:
    """Mark a run and set it running, unless somebody else has changed it meanwhile."""
    changed = (
        PipelineRun.query.filter(PipelineRun.id == run.id, PipelineRun.status == run.status)
    ).update(
        {
            PipelineRun.status: RunStatus.RUNNING,
            PipelineRun.metrics: {**(run.metrics or {}), **_mark()},
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
    metrics = {k: v for k, v in (run.metrics or {}).items() if k != MARK}
    run.update(metrics=metrics, completed_at=run.completed_at or _now())


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


def only_spawns(block: Any, name: str) -> bool:
    """Tell whether a block run merely creates those of dynamic children."""
    return block is not None and is_dynamic_block_child(block) and name == block.uuid


def block_result(block_run: BlockRun, log_folder: Path) -> BlockResult:
    """Describe how a block stands."""
    seconds = 0.0
    if block_run.started_at:
        end = block_run.completed_at or block_run.updated_at or block_run.started_at
        seconds = max((end - block_run.started_at).total_seconds(), 0.0)
    return BlockResult(
        block=block_run.block_uuid,
        status=block_run.status.value,
        seconds=seconds,
        error=_explain((block_run.metrics or {}).get("error") or {}),
        log=block_log(log_folder, block_run.block_uuid),
    )


def block_results(run: PipelineRun, project: Path, log_folder: Path) -> tuple[BlockResult, ...]:
    """Describe the blocks of a run; those that merely spawned children are left out."""
    pipeline = load_pipeline(run.pipeline_uuid, project)
    order = list(pipeline.blocks_by_uuid)

    def place(block_run: BlockRun) -> tuple[int, int]:
        name = block_run.block_uuid.partition(":")[0]
        return (order.index(name) if name in order else len(order)), block_run.id

    return tuple(
        block_result(block_run, log_folder)
        for block_run in sorted(run.block_runs, key=place)
        if not only_spawns(pipeline.get_block(block_run.block_uuid), block_run.block_uuid)
        or block_run.status != BlockStatus.COMPLETED
    )


def _explain(error: Mapping[str, Any]) -> str:
    if error.get("exception"):
        return str(error["exception"])
    lines = str(error.get("message") or error.get("error") or "").strip().splitlines()
    return lines[-1].strip() if lines else ""


def read_output(run: PipelineRun, project: Path, name: str) -> Any:
    """Return the JSON value that a block of a run returned (see `PipelineResult.output`)."""
    pipeline = load_pipeline(run.pipeline_uuid, project)
    block_name, _, child = name.partition(":")
    block = pipeline.get_block(block_name)
    if block is None:
        raise KeyError(f"pipelines/{run.pipeline_uuid} has no block {block_name!r}")

    def stored(folder: str) -> list[Any]:
        manager = pipeline.variable_manager
        # A child's folder is `<block>/<index>`: Mage must not clean the slash away.
        where = {"partition": run.execution_partition, "clean_block_uuid": False}
        names = manager.get_variables_by_block(pipeline.uuid, folder, **where)
        return [
            manager.get_variable(pipeline.uuid, folder, variable, **where)
            for variable in sorted(names, key=lambda v: int(v.rsplit("_", 1)[-1]))
            if variable.startswith("output_")
        ]

    if is_dynamic_block_child(block):
        children = {
            block_run.block_uuid.partition(":")[2]: block_run.metrics["dynamic_block_index"]
            for block_run in run.block_runs
            if "dynamic_block_index" in (block_run.metrics or {})
            and block_run.block_uuid.partition(":")[0] == block_name
        }
        if child and child not in children:
            raise KeyError(f"block {block_name!r} has no child {child!r}")
        wanted = [children[child]] if child else sorted(children.values())
        values = [_single(stored(f"{block_name}/{index}")) for index in wanted]
        return values[0] if child else values
    values = stored(block_name)
    return values if is_dynamic_block(block) else _single(values)


def _single(values: list[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else values


def _mark() -> dict[str, Any]:
    return {MARK: {"pid": os.getpid()}}


def _now() -> datetime:
    return datetime.now(timezone.utc)
