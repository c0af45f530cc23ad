"""The server's scheduler process: Mage's triggers and queued runs, through our own queue.

It runs beside headless engines on one database. Runs that carry an engine's mark are not its
business, so that no block ever has two drivers.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops.orchestration import environment
from mlops.orchestration.lock import HomeLock, is_held
from mlops.orchestration.naming import ENGINE_LOCK, SCHEDULER_LOCK, block_log
from mlops.orchestration.queue import ForkQueue, JobEnd, JobPlan
from mlops.settings import Settings

TICK_SECONDS = 0.05

logger = logging.getLogger(__name__)


def run(settings: Settings, project: Path) -> None:
    """Schedule until the process is ended. Holds the scheduler's lock once it is at work."""
    environment.prepare(settings, project)
    logs = settings.logs / "server"
    environment.boot(log=None)

    from mage_ai.orchestration.job_manager import get_job_manager

    from mlops.orchestration.drive import fork_queue

    scheduler = _Scheduler(settings, logs, fork_queue)
    get_job_manager().queue = scheduler.queue
    HomeLock(settings.home / SCHEDULER_LOCK, "mlops up").acquire()
    scheduler.loop()


class _Scheduler:
    def __init__(
        self,
        settings: Settings,
        logs: Path,
        make_queue: Callable[[int, Callable[[str, tuple[Any, ...]], JobPlan]], ForkQueue],
    ) -> None:
        self.settings = settings
        self.logs = logs
        self.queue = make_queue(settings.engine.workers, self._plan)
        self.block_runs: dict[str, int] = {}
        self.seen_marked: set[int] = set()
        self._leave_engines_alone()

    def loop(self) -> None:
        from mage_ai.orchestration.pipeline_scheduler import check_sla, schedule_all

        from mlops.orchestration import runs

        while True:
            try:
                runs.forget()
                schedule_all()
                check_sla()
                self._return_abandoned_runs()
            except Exception:
                # One bad trigger must not stop all the others.
                logger.exception("a scheduling pass failed")
            self._work_until_something_ends(
                time.monotonic() + self.settings.server.scheduler_interval_seconds
            )

    def _work_until_something_ends(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            ended, _ = self.queue.tick()
            for end in ended:
                self._settle(end)
            if ended:
                return
            time.sleep(TICK_SECONDS)

    def _plan(self, job_id: str, arguments: tuple[Any, ...]) -> JobPlan:
        tags = next((a for a in arguments if isinstance(a, dict) and "pipeline_uuid" in a), {})
        if "block_run_id" not in tags:
            return JobPlan(self.logs / "jobs.log")
        self.block_runs[job_id] = tags["block_run_id"]
        folder = self.logs / f"{tags['pipeline_uuid']}-{tags['pipeline_run_id']}"
        return JobPlan(block_log(folder, tags["block_uuid"]))

    def _settle(self, end: JobEnd) -> None:
        """Fail a block whose process died: Mage would start it again and again."""
        from mlops.orchestration import runs
        from mlops.orchestration.drive import why

        block_run_id = self.block_runs.pop(end.job_id, None)
        if block_run_id is not None:
            runs.forget()
            runs.fail_if_unfinished(block_run_id, why(end))

    def _leave_engines_alone(self) -> None:
        from mage_ai.orchestration.db.models.schedules import PipelineRun

        from mlops.orchestration import runs

        find_all = PipelineRun.active_runs_for_pipelines

        @functools.wraps(find_all)
        def find_ours(*args: Any, **kwargs: Any) -> list[Any]:
            found = find_all(*args, **kwargs)
            self.seen_marked.update(run.id for run in found if runs.is_marked(run))
            return [run for run in found if not runs.is_marked(run)]

        PipelineRun.active_runs_for_pipelines = find_ours

    def _return_abandoned_runs(self) -> None:
        """Unmark runs of a killed engine that were ended by hand, so that a retry starts them."""
        from mlops.orchestration import runs

        if self.seen_marked and not is_held(self.settings.home / ENGINE_LOCK):
            running = {run.id for run in runs.marked_runs()}
            for run_id in self.seen_marked - running:
                runs.unmark(run_id)
            self.seen_marked &= running
