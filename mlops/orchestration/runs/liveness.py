"""Whether a pipeline run is still in somebody's hands: from Mage's tables and our locks, no Mage.

A run in progress whose driver is dead is not alive: an engine that was killed leaves its runs
marked and RUNNING, and a server that is down leaves its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops.orchestration.runs.history import find_run
from mlops.orchestration.runs.lock import HomeLock, is_held
from mlops.orchestration.runs.marks import MARK
from mlops.orchestration.runs.naming import ENGINE_LOCK, SCHEDULER_LOCK
from mlops.settings import Settings


def run_is_alive(settings: Settings, run_id: str | int) -> bool:
    """Tell whether a run is in progress and its driver alive.

    Args:
        settings: Say where Mage's database and our locks are.
        run_id: Number of the pipeline run.

    Returns:
        True as well if Mage's database cannot be asked: a driver that may be at work must not be
        disturbed.
    """
    try:
        run = find_run(settings, int(run_id))
    except Exception:  # of the driver of any database
        return True
    if run is None or run["status"] not in ("INITIAL", "RUNNING"):
        return False
    return has_driver(settings, run["metrics"])


def with_interruptions(settings: Settings, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `recent_runs`, but call those interrupted that Mage's tables only think in progress.

    Args:
        settings: Say where Mage's database and our locks are.
        runs: With ``run``, the number, and ``status``.
    """
    return [
        {**run, "status": "interrupted"}
        if run["status"] in ("initial", "running") and not run_is_alive(settings, run["run"])
        else run
        for run in runs
    ]


def has_driver(settings: Settings, metrics: Mapping[str, Any] | None) -> bool:
    """Tell whether the engine that a run's metrics name lives, or the server if they name none."""
    mark = (metrics or {}).get(MARK)
    if mark is None:
        return is_held(settings.home / SCHEDULER_LOCK)
    engine = HomeLock(settings.home / ENGINE_LOCK, "")
    return is_held(engine.path) and engine.holder().get("pid") == mark["pid"]
