"""The engine's loop over Mage runs in progress. Import only after `environment.boot`.

Mage decides what may run next (`PipelineScheduler.schedule`); this loop starts it, watches it,
and asks Mage again as soon as something ended.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from mage_ai.orchestration.db import db_connection
from mage_ai.orchestration.job_manager import get_job_manager
from mage_ai.orchestration.pipeline_scheduler import PipelineScheduler

from mlops.orchestration.engine.jobs import TICK_SECONDS, fork_queue, plan_block, why
from mlops.orchestration.engine.queue import JobEnd, JobPlan
from mlops.orchestration.engine.tail import ProgressTail
from mlops.orchestration.runs import exits, marks, outcomes, setbacks
from mlops.orchestration.runs import tables as runs
from mlops.orchestration.runs.contract import (
    BlockFinished,
    BlockProgress,
    BlockStarted,
    Event,
    RunFinished,
    RunStarted,
)
from mlops.orchestration.runs.naming import block_log, run_logs
from mlops.progress import PROGRESS_FILE_VARIABLE
from mlops.settings import Settings

PROGRESS_SECONDS = 0.25
# How often runs are looked at although no block ended: somebody may have cancelled one, or a
# block may have started the run of another pipeline.
LOOK_SECONDS = 0.5


@dataclass
class _Active:
    """A run being driven."""

    run_id: int
    pipeline: str
    scheduler: PipelineScheduler
    told: set[str]  # blocks whose end was reported, now or in an earlier life of the run
    started: float = field(default_factory=time.monotonic)


@dataclass
class _Job:
    """A block's process."""

    active: _Active
    block_run_id: int
    block: str
    spawns: bool  # only creates the block runs of dynamic children: no work of its own
    tail: ProgressTail


class Drive:
    """Drives pipeline runs until none is in progress.

    Args:
        settings: The engine's limits, and where logs go.
        emit: Called with each event.
    """

    def __init__(self, settings: Settings, emit: Callable[[Event], None]) -> None:
        self._settings = settings
        self._logs = settings.logs
        self._emit = emit
        self._jobs: dict[str, _Job] = {}
        self._active: dict[int, _Active] = {}
        self._signal: int | None = None
        self._queue = fork_queue(settings.engine.workers, self._plan)

    def until_done(self, run_ids: Sequence[int]) -> None:
        """Drive runs that are RUNNING and marked.

        Raises:
            KeyboardInterrupt: On SIGINT, once blocks are stopped and runs cancelled.
            SystemExit: On SIGTERM, too.
        """
        get_job_manager().queue = self._queue
        setbacks.install()
        with self._trapping_signals():
            try:
                for run_id in run_ids:
                    self._adopt(run_id)
                self._loop()
            except BaseException:
                self._abandon()
                raise

    def _adopt(self, run_id: int) -> None:
        run = runs.get_run(run_id)
        finished = {b.block_uuid for b in run.block_runs if b.status in runs.FINISHED}
        active = _Active(run_id, run.pipeline_uuid, PipelineScheduler(run), finished)
        self._active[run_id] = active
        self._emit(RunStarted(active.pipeline, run_id))
        self._advance(active)

    def _loop(self) -> None:
        next_look = next_progress = time.monotonic()
        while self._active:
            if self._signal is not None:
                raise (
                    KeyboardInterrupt
                    if self._signal == signal.SIGINT
                    else SystemExit(128 + self._signal)
                )
            ended, started = self._queue.tick()
            for job_id in started:
                job = self._jobs[job_id]
                if not job.spawns:
                    self._emit(BlockStarted(job.active.pipeline, job.block))
            now = time.monotonic()
            if now >= next_progress or ended:
                next_progress = now + PROGRESS_SECONDS
                for job in list(self._jobs.values()):
                    self._tell_progress(job)
            touched = {self._settle(end).run_id: None for end in ended}
            if now >= next_look:
                next_look = now + LOOK_SECONDS
                touched.update(dict.fromkeys(self._cancelled()))
                self._adopt_children()
            for run_id in touched:
                if run_id in self._active:
                    self._advance(self._active[run_id])
            if not ended:
                time.sleep(TICK_SECONDS)

    def _adopt_children(self) -> None:
        """Drive what blocks of our runs have started, and end it with its parent."""
        for run in runs.marked_runs():
            if run.id not in self._active and marks.parent_of(run) in self._active:
                self._adopt(run.id)
        for run in runs.orphans():
            if run.id in self._active:
                runs.cancel(run, self._active[run.id].scheduler.pipeline)

    def _cancelled(self) -> list[int]:
        """Return the runs that somebody else has ended."""
        runs.forget()
        return [
            run_id
            for run_id, active in self._active.items()
            if active.scheduler.pipeline_run.status != runs.RunStatus.RUNNING
        ]

    def _advance(self, active: _Active) -> None:
        """Let Mage schedule what has become possible; retire the run when it is over."""
        if self._status(active) == runs.RunStatus.RUNNING:
            active.scheduler.schedule()
            if self._status(active) == runs.RunStatus.RUNNING and not self._jobs_of(active):
                # Mage skips a turn after it has timed a block out: ask once more.
                active.scheduler.schedule()
                if self._status(active) == runs.RunStatus.RUNNING and not self._jobs_of(active):
                    runs.fail_run(
                        active.scheduler.pipeline_run, "no remaining block can start: see above"
                    )
        if self._status(active) != runs.RunStatus.RUNNING:
            for job_id in self._jobs_of(active):
                self._queue.kill_job(job_id)
                if not self._queue.has_job(job_id):
                    del self._jobs[job_id]
            if not self._jobs_of(active):
                self._retire(active)

    def _status(self, active: _Active) -> Any:
        runs.forget()
        return active.scheduler.pipeline_run.status

    def _jobs_of(self, active: _Active) -> list[str]:
        return [job_id for job_id, job in self._jobs.items() if job.active is active]

    def _settle(self, end: JobEnd) -> _Active:
        """Tell how a block ended; record it as failed where it could not do so itself."""
        job = self._jobs.pop(end.job_id)
        active = job.active
        runs.forget()
        runs.fail_if_unfinished(job.block_run_id, why(end))
        runs.forget()
        block_run = next(
            b for b in active.scheduler.pipeline_run.block_runs if b.id == job.block_run_id
        )
        result = outcomes.block_result(block_run, self._logs)
        reported = setbacks.reported_failure(block_run)
        if reported:
            result = replace(result, status="failed", error=reported)
        active.told.add(job.block)
        if not job.spawns or result.status != "completed":
            self._emit(
                BlockFinished(active.pipeline, job.block, result.status, end.seconds, result.error)
            )
        return active

    def _retire(self, active: _Active) -> None:
        del self._active[active.run_id]
        run = active.scheduler.pipeline_run
        runs.close(run)
        for block_run in sorted(run.block_runs, key=lambda b: b.id):
            if block_run.block_uuid not in active.told:
                result = outcomes.block_result(block_run, self._logs)
                self._emit(
                    BlockFinished(active.pipeline, result.block, result.status, 0.0, result.error)
                )
        project = Path(active.scheduler.pipeline.repo_path)
        exits.run_ended(self._settings, outcomes.describe(run, project, self._logs))
        seconds = time.monotonic() - active.started
        self._emit(RunFinished(active.pipeline, active.run_id, run.status.value, seconds))

    def _abandon(self) -> None:
        """Stop every block, then leave Mage's tables saying what happened."""
        self._queue.stop()
        self._jobs.clear()
        db_connection.session.rollback()
        for active in list(self._active.values()):
            if self._status(active) == runs.RunStatus.RUNNING:
                runs.cancel(active.scheduler.pipeline_run, active.scheduler.pipeline)
            with contextlib.suppress(Exception):
                self._retire(active)

    def _plan(self, job_id: str, arguments: tuple[Any, ...]) -> JobPlan:
        """Decide where a job writes; ``arguments`` are those of Mage's ``run_block``."""
        run_id, block_run_id, _, tags, *_ = arguments
        active = self._active[run_id]
        name = tags["block_uuid"]
        block = active.scheduler.pipeline.get_block(name)
        log = block_log(run_logs(self._logs, active.pipeline, run_id), name)
        progress = log.with_suffix(".progress")
        self._jobs[job_id] = _Job(
            active=active,
            block_run_id=block_run_id,
            block=name,
            spawns=outcomes.only_spawns(block, name),
            tail=ProgressTail(progress),
        )
        environment = {PROGRESS_FILE_VARIABLE: str(progress)}
        return plan_block(block, log, environment, self._settings.engine.block_timeout_seconds)

    def _tell_progress(self, job: _Job) -> None:
        for message, fields in job.tail.read():
            self._emit(BlockProgress(job.active.pipeline, job.block, message, fields))

    @contextlib.contextmanager
    def _trapping_signals(self) -> Iterator[None]:
        """Note signals for the loop, so that none interrupts Mage in the middle of a write."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self._signal = number

        former = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
