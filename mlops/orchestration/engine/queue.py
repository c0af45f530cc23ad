"""Runs Mage's jobs as forked processes: no pool, no manager, nothing that can lose a job.

Mage's own process queue drops jobs when its pool exits around an enqueue, and starts a Python
per pool. A fork inherits every import of the parent, so a block starts within milliseconds.
The queue knows nothing of Mage; it offers the methods Mage's job manager calls.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KILL_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class JobPlan:
    """Where one job writes, how long it may take, and when it may start."""

    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = None
    waits: bool = False  # it only waits for other jobs: were it counted, they might never start
    goes_on: bool = False  # with work that has begun: it goes before what has not


@dataclass(frozen=True)
class JobEnd:
    """How one job's process ended."""

    job_id: str
    exit_code: int  # negative: the signal that ended it
    seconds: float
    timed_out: bool


@dataclass
class _QueuedJob:
    job_id: str
    call: Callable[[], object]
    plan: JobPlan
    pid: int = 0
    started: float = 0.0
    timed_out: bool = False
    kill_at: float | None = None


class ForkQueue:
    """At most ``workers`` forked jobs at a time, first come first served (see `JobPlan`).

    A job counts as present (`has_job`) until `tick` has reported its end, so that nobody
    takes a job that has just ended for one that has crashed.

    Args:
        workers: Jobs running at the same time.
        plan: Given the job's identifier and its arguments, where it writes.
        run: How a job's function is called in the child.
        before_fork: Called in the parent before each fork, to let go of connections.
        in_child: Called in the child once its output goes to its log.
    """

    def __init__(
        self,
        workers: int,
        plan: Callable[[str, tuple[Any, ...]], JobPlan],
        run: Callable[..., object] = lambda target, *args, **kwargs: target(*args, **kwargs),
        before_fork: Callable[[], None] = lambda: None,
        in_child: Callable[[], None] = lambda: None,
    ) -> None:
        self.workers = workers
        self._plan = plan
        self._run = run
        self._before_fork = before_fork
        self._in_child = in_child
        self._waiting: deque[_QueuedJob] = deque()
        self._running: dict[str, _QueuedJob] = {}
        self._accepting = True
        # Only this process holds the writing end: children see its end as a closed pipe.
        self._life_line, self._life = os.pipe()

    def start(self) -> None:
        """Accept jobs."""
        self._accepting = True

    def enqueue(
        self, job_id: str, target: Callable[..., object], *args: Any, **kwargs: Any
    ) -> None:
        """Accept a job unless it is already here; it starts at the next `tick`."""
        if not self._accepting or self.has_job(job_id):
            return
        call = lambda: self._run(target, *args, **kwargs)  # noqa: E731
        self._waiting.append(_QueuedJob(job_id, call, self._plan(job_id, args)))

    def has_job(self, job_id: str, logger: object = None, logging_tags: object = None) -> bool:
        """Tell whether a job waits, runs, or has ended without being reported yet."""
        return job_id in self._running or any(job.job_id == job_id for job in self._waiting)

    def kill_job(self, job_id: str) -> None:
        """Drop a waiting job; ask a running one to end, and end it after a grace period."""
        self._waiting = deque(job for job in self._waiting if job.job_id != job_id)
        if job_id in self._running:
            self._terminate(self._running[job_id])

    def clean_up_jobs(self) -> None:
        """Do nothing: `tick` reaps, and tells its caller what it reaped."""

    def stop(self) -> None:
        """Refuse new jobs, drop the waiting ones and end the running ones."""
        self._accepting = False
        self._waiting.clear()
        for job in self._running.values():
            self._terminate(job)
        while self._running:
            self.tick()
            time.sleep(0.01)

    @property
    def running(self) -> tuple[str, ...]:
        """Identifiers of the jobs whose process is alive or not yet reaped."""
        return tuple(self._running)

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self._waiting and not self._running

    def tick(self) -> tuple[list[JobEnd], list[str]]:
        """Reap what ended, end what overran, start what waits; never blocks.

        Returns:
            The jobs that ended and the identifiers of those that started.
        """
        ended = [end for job in list(self._running.values()) if (end := self._reap(job))]
        now = time.monotonic()
        for job in self._running.values():
            limit = job.plan.timeout_seconds
            if limit is not None and not job.timed_out and now - job.started > limit:
                job.timed_out = True
                self._terminate(job)
            if job.kill_at is not None and now > job.kill_at:
                _signal_group(job.pid, signal.SIGKILL)
        free = self.workers - sum(not job.plan.waits for job in self._running.values())
        started: list[_QueuedJob] = []
        for job in sorted(self._waiting, key=lambda job: not job.plan.goes_on):
            if job.plan.waits or free > 0:
                free -= not job.plan.waits
                started.append(job)
        for job in started:
            self._waiting.remove(job)
            self._start(job)
        return ended, [job.job_id for job in started]

    def _start(self, job: _QueuedJob) -> None:
        self._before_fork()
        job.plan.log.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        job.started = time.monotonic()
        job.pid = os.fork()
        if job.pid == 0:
            self._be_the_child(job)
        with contextlib.suppress(OSError):
            # Both sides do it, so that the group exists whichever comes first.
            os.setpgid(job.pid, job.pid)
        self._running[job.job_id] = job

    def _be_the_child(self, job: _QueuedJob) -> None:
        code = 1
        try:
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            os.close(self._life)
            threading.Thread(target=_die_with_parent, args=(self._life_line,), daemon=True).start()
            _redirect_output(job.plan.log)
            os.environ.update(job.plan.environment)
            self._in_child()
            job.call()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            # No exit handlers: they belong to the parent.
            os._exit(code)

    def _reap(self, job: _QueuedJob) -> JobEnd | None:
        try:
            pid, status = os.waitpid(job.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = job.pid, 1 << 8  # someone else reaped it: how it ended is lost
        if pid == 0:
            return None
        # Whatever the job left behind in its group goes with it.
        _signal_group(job.pid, signal.SIGKILL)
        del self._running[job.job_id]
        return JobEnd(
            job.job_id,
            os.waitstatus_to_exitcode(status),
            time.monotonic() - job.started,
            job.timed_out,
        )

    def _terminate(self, job: _QueuedJob) -> None:
        if job.kill_at is None:
            job.kill_at = time.monotonic() + KILL_GRACE_SECONDS
            _signal_group(job.pid, signal.SIGTERM)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _redirect_output(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, number in ((nothing, 0), (target, 1), (target, 2)):
        os.dup2(source, number)
    # New objects: the parent's may be captured, redirected, or locked by one of its threads.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        open(number, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
        for number in (1, 2)
    )


def _die_with_parent(life_line: int) -> None:
    """Wait until the parent is gone, however it went, then end the whole group."""
    os.read(life_line, 1)
    os.killpg(0, signal.SIGKILL)
