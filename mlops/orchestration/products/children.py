"""Runs of other pipelines from inside a block: started once, waited for, ended with their parent.

A child belongs to the run whose block starts it. The driver of that run, the server's scheduler or
a headless engine, drives the child as well, and cancels it when the parent ends first. A block
that is started again, after a kill or by a retry, finds its child and continues it. Such a block
needs ``configuration: {waits: true}``, so that it holds no worker while its child needs one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import progress
from mlops.errors import ConfigurationError
from mlops.orchestration.runs import marks
from mlops.orchestration.runs.contract import PipelineRequest, PipelineResult
from mlops.orchestration.runs.failures import require_success
from mlops.settings import load_settings

if TYPE_CHECKING:
    from mage_ai.orchestration.db.models.schedules import PipelineRun

POLL_SECONDS = 0.25


def run_child(
    pipeline: str,
    variables: Mapping[str, Any],
    parent: Mapping[str, Any],
) -> PipelineResult:
    """Run another pipeline to its end, as part of the run that calls.

    Args:
        pipeline: Its name; a run starts at most one child of each pipeline.
        variables: For every block of the child.
        parent: The variables that Mage gave to the calling block.

    Returns:
        The run with its blocks' outputs: successful, or but for single candidates.

    Raises:
        MlopsError: What made the child fail, in its own words.
        ConfigurationError: If the child cannot run as asked, or outside of a pipeline run.
    """
    # Only here, because these import Mage; a block's process has it already.
    from mage_ai.settings.repo import get_repo_path

    from mlops.orchestration.runs import outcomes

    parent_id = parent.get("pipeline_run_id")
    if parent_id is None:
        raise ConfigurationError(
            f"{pipeline} can only be started from a run, not from the editor",
            "run the pipeline: mlops pipeline run NAME, or its trigger",
        )
    project = Path(get_repo_path())
    run = _started(PipelineRequest(pipeline, variables), project, int(parent_id))
    progress.report(f"waiting for {pipeline}", run=run.id)
    result = outcomes.describe(wait_for(run.id), project, load_settings().logs)
    if not result.survived:
        require_success(result, f"mlops pipeline resume {parent_id}")
    return result


def wait_for(
    run_id: int, is_abandoned: Callable[[PipelineRun], bool] = lambda run: False
) -> PipelineRun:
    """Return a run once it has ended, in any process, or is abandoned."""
    from mlops.orchestration.runs import tables as runs

    while True:
        runs.forget()
        run = runs.get_run(run_id)
        if run.status not in runs.IN_PROGRESS or is_abandoned(run):
            return run
        time.sleep(POLL_SECONDS)


def _started(request: PipelineRequest, project: Path, parent_id: int) -> PipelineRun:
    """Return the child that this run has started already, made to go on, or a new one."""
    from mlops.orchestration.runs import tables as runs

    runs.forget()
    parent = runs.get_run(parent_id)
    child = runs.child_of(parent_id, request.pipeline)
    if child is None:
        return runs.create_run(request, project, parent)
    driven = child.status == runs.RunStatus.RUNNING and marks.driver(child) == marks.driver(parent)
    if child.status != runs.RunStatus.COMPLETED and not driven and runs.take(child, parent):
        runs.reopen(child)
    return runs.get_run(child.id)
