"""What is done whenever a run has ended, in any way and in any process.

Blocks cannot do it: a block that was killed runs no handler. The drivers call `run_ended` once per
run that they saw end; a hook that fails is logged and costs neither the run nor the other hooks.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mlops.errors import DeploymentError
from mlops.notifications import events
from mlops.notifications.events import BlockFailure
from mlops.orchestration.runs.contract import PipelineResult
from mlops.retraining.records import close_record
from mlops.settings import Settings

logger = logging.getLogger(__name__)

STAGING_SECONDS: Final = 7 * 24 * 3600.0


def clean_up(settings: Settings, result: PipelineResult) -> None:
    """Remove what a run staged, once nobody can need it any more.

    A failed or cancelled run can be resumed, from what it staged: that stays for a week.
    """
    if result.succeeded:
        shutil.rmtree(settings.staging / "selection" / str(result.run_id), ignore_errors=True)
    old = time.time() - STAGING_SECONDS
    staged = [*settings.staging.glob("*"), *settings.staging.glob("selection/*")]
    for path in staged:
        if path.name != "selection" and _changed_at(path) < old:
            shutil.rmtree(path, ignore_errors=True)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def close_retraining(settings: Settings, result: PipelineResult) -> None:
    """Note in the record of a retraining that it ended before its end, and why."""
    if result.pipeline == "retraining":
        error = next((f"{block.block}: {block.error}" for block in result.failed_blocks), "")
        close_record(settings, result.run_id, result.status, error)


def tell(settings: Settings, result: PipelineResult) -> None:
    """Tell people that a run failed, or that its pipeline works again.

    A deployment that refused or took back a version has reported it itself.
    """
    prefix = f"{DeploymentError.__module__}.{DeploymentError.__qualname__}:"
    failed = [block for block in result.failed_blocks if not block.error.startswith(prefix)]
    if result.succeeded:
        events.run_succeeded(settings, result.pipeline)
    elif result.status == "failed" and (failed or not result.failed_blocks):
        failures = [BlockFailure(b.block, b.error, b.log) for b in failed]
        events.run_failed(settings, result.pipeline, result.run_id, failures)


HOOKS: tuple[Callable[[Settings, PipelineResult], None], ...] = (
    clean_up,
    close_retraining,
    tell,
)


def run_ended(settings: Settings, result: PipelineResult) -> None:
    """Call every hook.

    Args:
        settings: Of the process that drove the run, which may work on another dataset.
        result: How it ended.
    """
    settings = settings.working_on(result.dataset)
    for hook in HOOKS:
        try:
            hook(settings, result)
        except Exception:  # noqa: PERF203
            logger.exception("after run %s of %s: %s", result.run_id, result.pipeline, hook)
