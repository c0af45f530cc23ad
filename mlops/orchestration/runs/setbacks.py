"""Children that report a failure: they look failed, although their siblings and collector go on.

Import only after `environment.boot`. With Mage's own means a failing dynamic child either takes its
siblings with it or keeps its collector from running. So a child returns ``{"status": "failed",
"error": …}`` and its collector decides. What it reported is written into Mage's tables when nothing
is left to run: the child's block run and the pipeline run are failed, and both the page's "retry
incomplete blocks" and ``--resume`` run the child again; then what depends on it, which ran without.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.block.dynamic.utils import is_dynamic_block_child
from mage_ai.orchestration.db.models.schedules import BlockRun, PipelineRun
from mage_ai.settings.repo import get_repo_path

from mlops.errors import CandidateFailureError
from mlops.orchestration.runs import outcomes

_Status = BlockRun.BlockRunStatus
_ERROR = f"{CandidateFailureError.__module__}.{CandidateFailureError.__qualname__}"


def install() -> None:
    """Let a run settle its setbacks whenever Mage finds that all of its blocks are done."""
    original = PipelineRun.all_blocks_completed
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def all_blocks_completed(run: PipelineRun, include_failed_blocks: bool = False) -> bool:
        return bool(original(run, include_failed_blocks)) and _settle(run)

    PipelineRun.all_blocks_completed = all_blocks_completed


def reported_failure(block_run: BlockRun) -> str:
    """Return why a child that ran to its end reports a failure; empty if it does not."""
    if block_run.status != _Status.COMPLETED or not _is_child(block_run):
        return ""
    value = outcomes.read_output(
        block_run.pipeline_run, Path(get_repo_path()), block_run.block_uuid
    )
    if not isinstance(value, Mapping) or value.get("status") != "failed":
        return ""
    return f"{_ERROR}: {value.get('error') or 'no reason is given: see its log'}"


def _settle(run: PipelineRun) -> bool:
    """Write down what children reported; tell whether the run is really over."""
    children = [block_run for block_run in run.block_runs if _is_child(block_run)]
    outdated = _outdated(run, children)
    for block_run in outdated:
        block_run.update(status=_Status.INITIAL, started_at=None, completed_at=None)
    if outdated:
        return False
    for child in children:
        error = reported_failure(child)
        metrics = {k: v for k, v in (child.metrics or {}).items() if k != "error"}
        if error:
            metrics["error"] = {"error": error, "message": error, "exception": error}
            child.update(status=_Status.FAILED, metrics=metrics)
        elif child.status == _Status.COMPLETED and metrics != child.metrics:
            child.update(metrics=metrics)  # it was repeated, and went well
    return True


def _outdated(run: PipelineRun, children: list[BlockRun]) -> list[BlockRun]:
    """Return the blocks that ran before a child ended whose result they, or others, read."""
    pipeline = run.pipeline
    ended: dict[str, Any] = {}
    for child in children:
        if child.status == _Status.COMPLETED and child.completed_at is not None:
            block = _block(child)
            ended[block] = max(ended.get(block, child.completed_at), child.completed_at)
    late: set[str] = set()
    for block in pipeline.blocks_by_uuid.values():  # in order: upstream blocks come first
        own = next((b for b in run.block_runs if b.block_uuid == block.uuid), None)
        if own is None or own.status != _Status.COMPLETED or own.started_at is None:
            continue
        read = [name for name in block.upstream_block_uuids if name in ended or name in late]
        if any(name in late or ended[name] > own.started_at for name in read):
            late.add(block.uuid)
    return [block_run for block_run in run.block_runs if block_run.block_uuid in late]


def _is_child(block_run: BlockRun) -> bool:
    """Tell whether it is one dynamic child, rather than the block run that creates them."""
    name, colon, _ = block_run.block_uuid.partition(":")
    return bool(colon) and is_dynamic_block_child(block_run.pipeline_run.pipeline.get_block(name))


def _block(block_run: BlockRun) -> str:
    return str(block_run.block_uuid).partition(":")[0]
