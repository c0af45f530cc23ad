"""The headless engine: drives Mage's own runs to their end, and shows what happens meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from mlops.errors import BusyError
from mlops.orchestration import environment
from mlops.orchestration.contract import Event, PipelineRequest, PipelineResult, StaleRun
from mlops.orchestration.lock import HomeLock, is_held
from mlops.orchestration.naming import ENGINE_LOCK, SCHEDULER_LOCK
from mlops.settings import PROJECT_ROOT, Settings


class Engine:
    """Runs pipelines of a project through Mage, one engine per home at a time.

    Use it as a context manager to hold the home's lock over several calls; otherwise each call
    takes it. Construction imports Mage (seconds), so it is done once per process.

    Args:
        settings: The configuration; ``settings.home`` gets all state.
        project: The Mage project's root.
        on_event: Told what happens, in the caller's thread, between Mage's own steps.
        preload: Modules to import before blocks are forked, e.g. ``("xgboost", "mlflow")``.

    Raises:
        ConfigurationError: If ``project`` is no Mage project.
    """

    def __init__(
        self,
        settings: Settings,
        project: Path = PROJECT_ROOT,
        on_event: Callable[[Event], None] = lambda event: None,
        preload: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.project = project.resolve()
        self.on_event = on_event
        started = datetime.now().strftime("%Y%m%d-%H%M%S")
        self.logs = settings.logs / f"{started}-{os.getpid()}"
        self._lock = HomeLock(settings.home / ENGINE_LOCK, "mlops run")
        environment.prepare(settings, self.project)
        self.logs.mkdir(parents=True, exist_ok=True)
        self._mage_log = self.logs / "engine.log"
        environment.boot(self._mage_log, preload)

    def __enter__(self) -> Engine:
        """Hold the home's lock until the end of the block."""
        self._lock.acquire(self.settings.engine.lock_wait_seconds)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        self._lock.release()

    def run(self, *requests: PipelineRequest) -> tuple[PipelineResult, ...]:
        """Run pipelines side by side, sharing ``settings.engine.workers``.

        Args:
            *requests: What to run. They must not depend on each other.

        Returns:
            One result per request, in order. A failed pipeline is a result, not an exception.

        Raises:
            BusyError: If another engine works in this home.
            ConfigurationError: If a pipeline cannot run as asked; then none is started.
            KeyboardInterrupt: On Ctrl-C, after blocks were stopped and runs marked cancelled.
            SystemExit: On SIGTERM, likewise.
        """
        from mlops.orchestration import runs

        with self._holding_lock(), self._quiet():
            for request in requests:
                runs.check(request, self.project)
            created = [runs.create_run(request, self.project).id for request in requests]
            return self._drive(created)

    def resume(self, pipeline_run_id: int) -> PipelineResult:
        """Finish a killed, cancelled or failed run: only unfinished blocks run again.

        Raises:
            BusyError: If another engine or the server is driving it.
            ConfigurationError: If there is no such run.
        """
        from mlops.orchestration import runs

        with self._holding_lock(), self._quiet():
            runs.forget()
            run = runs.get_run(pipeline_run_id)
            if run.status == runs.RunStatus.COMPLETED:
                return self._result(run)
            server_is_up = is_held(self.settings.home / SCHEDULER_LOCK)
            driven_by_server = (
                run.status == runs.RunStatus.RUNNING and not runs.is_marked(run) and server_is_up
            )
            if driven_by_server or not runs.take(run):
                raise BusyError(
                    f"pipeline run {pipeline_run_id}: the server's scheduler is driving it",
                    "watch it in the user interface, or stop `mlops up` first",
                )
            runs.reopen(run)
            return self._drive([run.id])[0]

    def stale_runs(self) -> tuple[StaleRun, ...]:
        """Return the runs whose engine was killed, oldest first; none while an engine lives."""
        from mlops.orchestration import runs

        if not self._lock.held and is_held(self._lock.path):
            return ()
        runs.forget()
        return tuple(
            StaleRun(run.id, run.pipeline_uuid, run.started_at.isoformat(timespec="seconds"))
            for run in runs.marked_runs()
        )

    def product_is_fresh(self, name: str) -> bool:
        """Tell whether a global data product has a completed build that is not outdated.

        Raises:
            ConfigurationError: If there is no such product.
        """
        from mlops.orchestration import runs

        runs.forget()
        return runs.product_is_fresh(runs.load_product(name))

    def latest_build(self, name: str) -> PipelineResult | None:
        """Return the newest completed build of a global data product, fresh or not.

        Raises:
            ConfigurationError: If there is no such product.
        """
        from mlops.orchestration import runs

        runs.forget()
        run = runs.product_run(name)
        return None if run is None else self._result(run)

    def _drive(self, run_ids: Sequence[int]) -> tuple[PipelineResult, ...]:
        from mlops.orchestration.drive import Drive

        drive = Drive(self.settings, self.logs, self._emit)
        drive.until_done(run_ids)
        from mlops.orchestration import runs

        runs.forget()
        return tuple(self._result(runs.get_run(run_id)) for run_id in run_ids)

    def _result(self, run: Any) -> PipelineResult:
        from mlops.orchestration import runs

        run_id = run.id

        def read_output(block: str) -> Any:
            return runs.read_output(runs.get_run(run_id), self.project, block)

        end = run.completed_at or run.updated_at
        return PipelineResult(
            pipeline=run.pipeline_uuid,
            run_id=run_id,
            status=run.status.value,
            seconds=max((end - run.started_at).total_seconds(), 0.0) if run.started_at else 0.0,
            blocks=runs.block_results(run, self.project, self.logs / run.pipeline_uuid),
            read_output=read_output,
        )

    def _emit(self, event: Event) -> None:
        """Tell the caller, with the terminal given back for the moment."""
        with self._loud():
            self.on_event(event)

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        import sys

        self._terminal = sys.stdout, sys.stderr
        with environment.quiet(self._mage_log):
            yield

    @contextlib.contextmanager
    def _loud(self) -> Iterator[None]:
        with (
            contextlib.redirect_stdout(self._terminal[0]),
            contextlib.redirect_stderr(self._terminal[1]),
        ):
            yield

    @contextlib.contextmanager
    def _holding_lock(self) -> Iterator[None]:
        if self._lock.held:
            yield
            return
        with self:
            yield
