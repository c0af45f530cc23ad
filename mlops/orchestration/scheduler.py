"""The server's scheduler: Mage's triggers and queued runs, through our own queue.

It runs beside headless engines on one database. Runs that carry an engine's mark are not its
business, so that no block ever has two drivers. Import only after `environment.boot`.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import Any

from mage_ai.orchestration.db.models.schedules import PipelineRun
from mage_ai.orchestration.job_manager import get_job_manager
from mage_ai.orchestration.pipeline_scheduler import check_sla, schedule_all

from mlops.orchestration import runs
from mlops.orchestration.drive import TICK_SECONDS, fork_queue, why
from mlops.orchestration.lock import HomeLock, is_held
from mlops.orchestration.naming import ENGINE_LOCK, SCHEDULER_LOCK, block_log, run_logs
from mlops.orchestration.queue import JobEnd, JobPlan
from mlops.settings import Settings

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Schedule until the process is ended; holds the scheduler's lock meanwhile."""
    scheduler = Scheduler(settings)
    lock = HomeLock(settings.home / SCHEDULER_LOCK, "mlops up")
    lock.acquire()
    while True:
        scheduler.look()
        scheduler.work(settings.server.scheduler_interval_seconds)


class Scheduler:
    """Mage's scheduler loop, one step at a time.

    Args:
        settings: Where logs go, and how many blocks run at a time.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._block_runs: dict[str, int] = {}
        self._seen_marked: set[int] = set()
        self._queue = fork_queue(settings.engine.workers, self._plan)
        get_job_manager().queue = self._queue
        self._leave_engines_alone()

    def look(self) -> None:
        """Let Mage fire triggers, start runs and queue the blocks that have become possible."""
        try:
            runs.forget()
            schedule_all()
            check_sla()
            self._return_abandoned_runs()
        except Exception:
            # One bad trigger must not stop all the others.
            logger.exception("a scheduling pass failed")

    def work(self, seconds: float) -> None:
        """Run queued blocks until one ends, at most for ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended, _ = self._queue.tick()
            for end in ended:
                self._settle(end)
            if ended:
                return
            time.sleep(TICK_SECONDS)

    def _plan(self, job_id: str, arguments: tuple[Any, ...]) -> JobPlan:
        tags = next((a for a in arguments if isinstance(a, dict) and "pipeline_uuid" in a), {})
        if "block_run_id" not in tags:
            return JobPlan(self._settings.logs / "server" / "jobs.log")
        self._block_runs[job_id] = tags["block_run_id"]
        folder = run_logs(self._settings.logs, tags["pipeline_uuid"], tags["pipeline_run_id"])
        return JobPlan(block_log(folder, tags["block_uuid"]))

    def _settle(self, end: JobEnd) -> None:
        """Fail a block whose process died: Mage would start it again and again."""
        block_run_id = self._block_runs.pop(end.job_id, None)
        if block_run_id is not None:
            runs.forget()
            runs.fail_if_unfinished(block_run_id, why(end))

    def _leave_engines_alone(self) -> None:
        find_all = PipelineRun.active_runs_for_pipelines

        @functools.wraps(find_all)
        def find_ours(*args: Any, **kwargs: Any) -> list[Any]:
            found = find_all(*args, **kwargs)
            self._seen_marked.update(run.id for run in found if runs.is_marked(run))
            return [run for run in found if not runs.is_marked(run)]

        PipelineRun.active_runs_for_pipelines = find_ours

    def _return_abandoned_runs(self) -> None:
        """Unmark runs of a killed engine that were ended by hand, so that a retry starts them."""
        if self._seen_marked and not is_held(self._settings.home / ENGINE_LOCK):
            running = {run.id for run in runs.marked_runs()}
            for run_id in self._seen_marked - running:
                runs.unmark(run_id)
            self._seen_marked &= running
