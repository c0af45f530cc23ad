"""What Mage's tables and files say of blocks that ran. Import only after `environment.boot`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.block.dynamic.utils import (
    is_dynamic_block,
    is_dynamic_block_child,
)
from mage_ai.orchestration.db.models.schedules import BlockRun, PipelineRun

from mlops.orchestration.runs.contract import BlockResult, PipelineResult
from mlops.orchestration.runs.datasets import dataset_named
from mlops.orchestration.runs.history import explain
from mlops.orchestration.runs.naming import block_log, run_logs
from mlops.orchestration.runs.tables import FINISHED, BlockStatus, get_run, load_pipeline
from mlops.records.files import damaged


def describe(run: PipelineRun, project: Path, logs: Path) -> PipelineResult:
    """Describe how a run stands.

    Args:
        run: Mage's record of it.
        project: The Mage project's root.
        logs: The home's folder of logs.
    """
    run_id = run.id
    end = run.completed_at or run.updated_at
    return PipelineResult(
        pipeline=run.pipeline_uuid,
        run_id=run_id,
        status=run.status.value,
        seconds=max((end - run.started_at).total_seconds(), 0.0) if run.started_at else 0.0,
        blocks=block_results(run, project, logs),
        read_output=lambda block: read_output(get_run(run_id), project, block),
        dataset=dataset_named(run.variables),
    )


def only_spawns(block: Any, name: str) -> bool:
    """Tell whether a block run merely creates those of dynamic children."""
    return block is not None and is_dynamic_block_child(block) and name == block.uuid


def block_result(block_run: BlockRun, logs: Path) -> BlockResult:
    """Describe how a block stands.

    Args:
        block_run: Mage's record of it.
        logs: The home's folder of logs.
    """
    run = block_run.pipeline_run
    seconds = 0.0
    if block_run.started_at:
        end = block_run.completed_at or block_run.updated_at or block_run.started_at
        seconds = max((end - block_run.started_at).total_seconds(), 0.0)
    return BlockResult(
        block=block_run.block_uuid,
        status=block_run.status.value,
        seconds=seconds,
        error=explain((block_run.metrics or {}).get("error") or {}),
        log=block_log(run_logs(logs, run.pipeline_uuid, run.id), block_run.block_uuid),
    )


def block_results(run: PipelineRun, project: Path, logs: Path) -> tuple[BlockResult, ...]:
    """Describe the blocks of a run; those that merely spawned children are left out."""
    pipeline = load_pipeline(run.pipeline_uuid, project)
    order = list(pipeline.blocks_by_uuid)

    def place(block_run: BlockRun) -> tuple[int, int]:
        name = block_run.block_uuid.partition(":")[0]
        return (order.index(name) if name in order else len(order)), block_run.id

    return tuple(
        block_result(block_run, logs)
        for block_run in sorted(run.block_runs, key=place)
        if not only_spawns(pipeline.get_block(block_run.block_uuid), block_run.block_uuid)
        or block_run.status != BlockStatus.COMPLETED
    )


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


def require_outputs(run: PipelineRun, project: Path) -> None:
    """Make sure that what the finished blocks of a run returned can be read.

    Raises:
        DamagedFileError: If one of Mage's files is gone or damaged, which Mage would take for an
            empty answer. Going on cannot help, a new run can.
    """
    manager = load_pipeline(run.pipeline_uuid, project).variable_manager
    root = Path(manager.pipeline_path(run.pipeline_uuid), ".variables", run.execution_partition)
    way_out = (
        f"start a new run in place of this one: mlops pipeline run {run.pipeline_uuid}; "
        "if it belongs to an interrupted main job: mlops run"
    )
    for block_run in run.block_runs:
        if block_run.status not in FINISHED:
            continue
        name, _, child = block_run.block_uuid.partition(":")
        index = str((block_run.metrics or {}).get("dynamic_block_index", "")) if child else ""
        for folder in sorted((root / name / index).glob("output_*")):
            file = folder / "data.json"
            try:
                if file.exists() or not any(folder.glob("data.*")):
                    json.loads(file.read_bytes())
            except (OSError, ValueError) as error:
                raise damaged(file, str(error), way_out) from error


def _single(values: list[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else values
