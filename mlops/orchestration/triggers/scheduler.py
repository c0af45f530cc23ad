"""The server's scheduler: Mage's triggers and queued runs, through our own queue.

It runs beside headless engines on one database. Runs that carry an engine's mark are not its
business, so that no block ever has two drivers. Import only after `environment.boot`.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.pipeline import Pipeline
from mage_ai.orchestration.db import db_connection
from mage_ai.orchestration.db.models.schedules import PipelineRun
from mage_ai.orchestration.job_manager import get_job_manager
from mage_ai.orchestration.pipeline_scheduler import PipelineScheduler, check_sla, schedule_all
from sqlalchemy.exc import DBAPIError

from mlops.fingerprints import changed_sources
from mlops.notifications import events
from mlops.orchestration.engine.changed_code import require_unchanged
from mlops.orchestration.engine.jobs import TICK_SECONDS, fork_queue, plan_block, why
from mlops.orchestration.engine.queue import JobEnd, JobPlan
from mlops.orchestration.runs import exits, marks, outcomes, setbacks
from mlops.orchestration.runs import tables as runs
from mlops.orchestration.runs.lock import HomeLock, is_held
from mlops.orchestration.runs.naming import ENGINE_LOCK, SCHEDULER_LOCK, block_log, run_logs
from mlops.orchestration.triggers.schedules import Schedules
from mlops.settings import Settings

logger = logging.getLogger(__name__)

# How often it is asked, by one cheap query, whether there is a new run.
NEWS_SECONDS = 0.2
# How long a database that is away is left alone.
AWAY_SECONDS = 2.0
# How many runs that have their blocks queued already a look checks for time-outs, in turn.
LOOK_AT_RUNS = 3
EXIT = "exit_of_run_"
LATE = "late_run_"


def run(settings: Settings, project: Path) -> None:
    """Schedule until the process is ended; holds the scheduler's lock meanwhile.

    Raises:
        ServerError: If files of the library have changed since `mlops up` began.
    """
    require_unchanged()
    Schedules(settings, project).install()
    scheduler = Scheduler(settings, project)
    lock = HomeLock(settings.home / SCHEDULER_LOCK, "mlops up")
    lock.acquire()
    while True:
        if not scheduler.pauses():
            scheduler.look()
        scheduler.work(settings.server.scheduler_interval_seconds)


class Scheduler:
    """Mage's scheduler loop, one step at a time.

    Args:
        settings: Where logs go, and how many blocks run at a time.
        project: The Mage project's root.
    """

    def __init__(self, settings: Settings, project: Path) -> None:
        self._settings = settings
        self._project = project
        self._jobs: dict[str, tuple[int, int]] = {}  # job: pipeline run, block run
        self._ended: list[JobEnd] = []  # processes whose blocks were not seen to yet
        self._driven: set[int] = set()  # runs whose end is not known yet
        self._looked_at: dict[int, float] = {}  # when those were scheduled last
        self._advancing = False  # whether a run that has begun is being scheduled
        self._late: set[int] = set()  # runs whose delay was reported
        self._waiting: set[int] = set()  # runs that the last look could not start
        self._paused = False
        self._seen_marked: set[int] = set()
        self._queue = fork_queue(settings.engine.workers, self._plan)
        get_job_manager().queue = self._queue
        setbacks.install()
        self._leave_engines_alone()

    def pauses(self) -> bool:
        """Tell whether no block may start, as files of the library have changed under it."""
        changed = bool(changed_sources())
        if changed != self._paused:
            logger.warning(
                "files have changed: restart `mlops up` to start further blocks"
                if changed
                else "the files are unchanged again: blocks start again"
            )
        self._paused = changed
        self._queue.workers = 0 if changed else self._settings.engine.workers
        return changed

    def look(self) -> None:
        """Let Mage fire triggers, start runs and queue the blocks that have become possible."""
        try:
            self._settle_all()
            runs.forget()
            schedule_all()
            check_sla()
            self._note_delays()
            for orphan in runs.orphans():
                if not marks.is_marked(orphan):
                    runs.cancel(orphan, self._pipeline(orphan.pipeline_uuid))
            self._note_ends(self._driven)
            self._return_abandoned_runs()
            self._waiting = self._initial_runs()
        except Exception as error:
            # One bad trigger must not stop all the others, nor a database that is away for a while.
            _report(error, "a scheduling pass failed")

    def work(self, seconds: float) -> None:
        """Run queued blocks and what follows them for ``seconds``, or until there is a new run."""
        now = time.monotonic()
        deadline, next_news = now + seconds, now + NEWS_SECONDS
        while now < deadline:
            ended, _ = self._queue.tick()
            self._ended += [end for end in ended if end.job_id in self._jobs]
            if now >= next_news or ended:
                next_news = now + NEWS_SECONDS
                try:
                    for run_id in self._settle_all():
                        if not self._paused:
                            self._advance(run_id)
                    if not self._paused and self._initial_runs() - self._waiting:
                        return
                except Exception as error:  # the next round tries again
                    _report(error, "the runs cannot be checked")
                    next_news = now + AWAY_SECONDS
            if not ended:
                time.sleep(TICK_SECONDS)
            now = time.monotonic()

    def _plan(self, job_id: str, arguments: tuple[Any, ...]) -> JobPlan:
        tags = next((a for a in arguments if isinstance(a, dict) and "pipeline_uuid" in a), {})
        if "block_run_id" not in tags:
            log = self._settings.logs / "server" / "jobs.log"
            return JobPlan(log, waits=job_id.startswith((EXIT, LATE)))
        pipeline, run_id, block = (
            tags[name] for name in ("pipeline_uuid", "pipeline_run_id", "block_uuid")
        )
        self._jobs[job_id] = run_id, tags["block_run_id"]
        self._driven.add(run_id)
        log = block_log(run_logs(self._settings.logs, pipeline, run_id), block)
        definition = self._pipeline(pipeline).get_block(block)
        plan = plan_block(definition, log, {}, self._settings.engine.block_timeout_seconds)
        return dataclasses.replace(plan, goes_on=self._advancing)

    def _settle_all(self) -> set[int]:
        """Fail blocks whose processes died: Mage would start them again and again.

        Returns:
            The runs of all blocks that have ended; what cannot be noted now stays to be noted.
        """
        settled = set()
        while self._ended:
            end = self._ended[0]
            run_id, block_run_id = self._jobs[end.job_id]
            runs.forget()
            runs.fail_if_unfinished(block_run_id, why(end))
            del self._ended[0], self._jobs[end.job_id]
            settled.add(run_id)
        return settled

    def _advance(self, run_id: int) -> None:
        """Let Mage queue what has become possible in one run: nothing else has changed."""
        try:
            runs.forget()
            run = runs.get_run(run_id)
            self._advancing = True
            if run.status == runs.RunStatus.RUNNING:
                PipelineScheduler(run).schedule()
            self._note_ends({run_id})
        except Exception as error:
            _report(error, f"run {run_id}: scheduling failed")  # the next look tries again
        finally:
            self._advancing = False

    def _note_ends(self, run_ids: set[int]) -> None:
        """See to the runs that have ended, here or by somebody else's hand.

        Their hooks run in processes of their own: an alert that takes its time delays no block. A
        run that was tried again and has ended again meanwhile is seen to afterwards.
        """
        runs.forget()
        ended = PipelineRun.query.filter(
            PipelineRun.id.in_(run_ids & self._driven), PipelineRun.status.not_in(runs.IN_PROGRESS)
        )
        for run in ended.all():
            job = f"{EXIT}{run.id}"
            if self._queue.has_job(job):
                continue
            self._driven.discard(run.id)
            self._looked_at.pop(run.id, None)
            self._queue.enqueue(job, self._run_hooks, run.id)

    def _note_delays(self) -> None:
        """Tell of the runs in progress that have passed their SLA, in processes of their own."""
        passed = PipelineRun.query.filter(
            PipelineRun.status.in_(runs.IN_PROGRESS), PipelineRun.passed_sla.is_(True)
        )
        found = {run.id: run for run in passed.all()}
        for run_id in found.keys() - self._late:
            run = found[run_id]
            arguments = run.pipeline_uuid, run_id, run.pipeline_schedule.sla or 0
            self._queue.enqueue(f"{LATE}{run_id}", events.run_late, self._settings, *arguments)
        self._late = set(found)

    def _run_hooks(self, run_id: int) -> None:
        result = outcomes.describe(runs.get_run(run_id), self._project, self._settings.logs)
        exits.run_ended(self._settings, result)

    def _initial_runs(self) -> set[int]:
        """Return the runs that have not been started yet."""
        runs.forget()
        initial = PipelineRun.select(PipelineRun.id).filter(
            PipelineRun.status == runs.RunStatus.INITIAL
        )
        return {row[0] for row in initial.all()}

    def _pipeline(self, name: str) -> Pipeline:
        return runs.load_pipeline(name, self._project)

    def _leave_engines_alone(self) -> None:
        find_all = PipelineRun.active_runs_for_pipelines

        @functools.wraps(find_all)
        def find_ours(*args: Any, **kwargs: Any) -> list[Any]:
            found = find_all(*args, **kwargs)
            self._seen_marked.update(run.id for run in found if marks.is_marked(run))
            ours = [run for run in found if not marks.is_marked(run)]
            self._driven.update(run.id for run in ours)
            # Mage asks for blocks only where it goes on to schedule each of these runs.
            return self._worth_a_look(ours) if kwargs.get("include_block_runs") else ours

        PipelineRun.active_runs_for_pipelines = find_ours

    def _worth_a_look(self, found: list[Any]) -> list[Any]:
        """Leave out most of the runs whose blocks are queued: the end of one advances them."""
        queued = {run_id for run_id, _ in self._jobs.values()}
        waiting = [run for run in found if run.id in queued]
        waiting.sort(key=lambda run: self._looked_at.get(run.id, 0.0))
        chosen = waiting[:LOOK_AT_RUNS]
        self._looked_at.update(dict.fromkeys((run.id for run in chosen), time.monotonic()))
        return [run for run in found if run.id not in queued] + chosen

    def _return_abandoned_runs(self) -> None:
        """Unmark runs of a killed engine that were ended by hand, so that a retry starts them."""
        if self._seen_marked and not is_held(self._settings.home / ENGINE_LOCK):
            running = {run.id for run in runs.marked_runs()}
            for run_id in self._seen_marked - running:
                runs.unmark(run_id)
            self._seen_marked &= running


def _report(error: Exception, what: str) -> None:
    """Log what failed, in one line if the database is away, and let go of its connection."""
    if isinstance(error, DBAPIError):
        logger.error("%s: the database: %s", what, str(error).splitlines()[0])
    else:
        logger.error("%s", what, exc_info=error)
    db_connection.session.rollback()
