"""The headless engine: drives Mage's own runs to their end, and shows what happens meanwhile.

Importing this module is cheap; constructing an `Engine` imports Mage.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mlops.orchestration.engine import environment
from mlops.orchestration.runs.contract import Event, PipelineRequest, PipelineResult, StaleRun
from mlops.orchestration.runs.lock import HomeLock, is_held
from mlops.orchestration.runs.naming import ENGINE_LOCK, SCHEDULER_LOCK
from mlops.settings import PROJECT_ROOT, Settings

__all__ = ["Engine", "PipelineRequest", "PipelineResult", "engine_lock", "require_free"]


@contextlib.contextmanager
def engine_lock(settings: Settings) -> Iterator[HomeLock]:
    """Hold the lock of the home's engine before Mage is loaded.

    Raises:
        BusyError: If another engine works in this home.
    """
    lock = HomeLock(settings.home / ENGINE_LOCK, "mlops run")
    lock.acquire(settings.engine.lock_wait_seconds)
    try:
        yield lock
    finally:
        lock.release()


def require_free(settings: Settings) -> None:
    """Make sure that no engine works in this home, unless one may wait for it.

    Raises:
        BusyError: Naming the engine's process.
    """
    if not settings.engine.lock_wait_seconds:
        with engine_lock(settings):
            pass


class Engine:
    """Runs pipelines of a project through Mage, one engine per home at a time.

    Use it as a context manager to hold the home's lock over several calls; otherwise each call
    takes it. Construction imports Mage (seconds), so it is done once per process.

    Args:
        settings: The configuration; ``settings.home`` gets all state.
        project: The Mage project's root.
        on_event: Called with each event, in the caller's thread, between Mage's own steps.
        preload: Modules to import before blocks are forked, e.g. ``("xgboost", "mlflow")``.
        lock: The home's, from `engine_lock`, where the caller holds it already.

    Raises:
        ConfigurationError: If ``project`` is no Mage project.
    """

    def __init__(
        self,
        settings: Settings,
        project: Path = PROJECT_ROOT,
        on_event: Callable[[Event], None] = lambda event: None,
        preload: Sequence[str] = (),
        lock: HomeLock | None = None,
    ) -> None:
        self.settings = settings
        self.project = project.resolve()
        self.on_event = on_event
        self._lock = lock or HomeLock(settings.home / ENGINE_LOCK, "mlops run")
        self._terminal = sys.stdout, sys.stderr
        environment.prepare(settings, self.project)
        self._mage_log = settings.logs / "engine.log"
        environment.boot(self._mage_log, preload)

        from mlops.orchestration.engine.conductor import Conductor  # imports Mage: only now

        self._conductor = Conductor(settings, self.project, self._emit)

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
            SystemExit: On SIGTERM, too.
        """
        with self._at_work():
            return self._conductor.run(requests)

    def resume(
        self, pipeline_run_id: int, variables: Mapping[str, Any] | None = None
    ) -> PipelineResult:
        """Finish a killed, cancelled or failed run: only unfinished blocks run again.

        Args:
            pipeline_run_id: The run.
            variables: Change those that it was given.

        Raises:
            BusyError: If another engine or the server is driving it.
            ConfigurationError: If there is no such run.
        """
        with self._at_work():
            server_is_up = is_held(self.settings.home / SCHEDULER_LOCK)
            return self._conductor.resume(pipeline_run_id, server_is_up, variables or {})

    def cancel(self, pipeline_run_id: int | None) -> None:
        """Cancel a run that nobody drives any more; one that has ended, or none, stays as it is."""
        if pipeline_run_id is not None:
            self._conductor.cancel(pipeline_run_id)

    def stale_runs(self) -> tuple[StaleRun, ...]:
        """Return the runs whose engine was killed, oldest first; none while an engine lives."""
        if not self._lock.held and is_held(self._lock.path):
            return ()
        return self._conductor.stale_runs()

    def product_is_fresh(self, name: str) -> bool:
        """Tell whether a global data product has a completed build that is not outdated.

        Raises:
            ConfigurationError: If there is no such product.
        """
        return self._conductor.product_is_fresh(name)

    def build_in_progress(self, name: str) -> int | None:
        """Return the run by which somebody else is building a global data product, if any.

        Raises:
            ConfigurationError: If there is no such product.
        """
        return self._conductor.build_in_progress(name)

    def wait_for(self, pipeline_run_id: int) -> None:
        """Return once a build that somebody else drives has ended, well or not."""
        self._conductor.wait_for(pipeline_run_id)

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Hold the lock, and send what Mage prints to the log instead of the terminal."""
        self._terminal = sys.stdout, sys.stderr
        with contextlib.ExitStack() as stack:
            if not self._lock.held:
                stack.enter_context(self)
            stack.enter_context(environment.quiet(self._mage_log))
            yield

    def _emit(self, event: Event) -> None:
        """Tell the caller, with the terminal given back for the moment."""
        output, errors = self._terminal
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            self.on_event(event)
