"""One process that answers requests: it follows a small file, never the registry."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn
import uvloop

from mlops.datasets.opening import dataset_of
from mlops.errors import MlopsError
from mlops.gateway.connections import BoundedServer, ConnectionLimits, raise_file_limit
from mlops.serving.answers.metrics import ServingMetrics
from mlops.serving.answers.routing import Lineup, Version
from mlops.serving.answers.state import Served, ServingState, mark_of, read_state, state_file
from mlops.serving.forms.form import form_of
from mlops.serving.http.access import Door, RateLimiter
from mlops.serving.http.app import Application
from mlops.serving.http.complaints import Complaints
from mlops.serving.log.prediction_log import PredictionLog
from mlops.serving.model.compiled import CompiledModel
from mlops.settings import Settings

logger = logging.getLogger(__name__)

GRACE_SECONDS: Final = 20  # for requests in progress when the worker is asked to stop
_POLL_SECONDS: Final = 0.2
_RETRY_POLLS: Final = 25  # a bundle that could not be loaded is tried again after as many
# A thread that parses a list lets the event loop go on this often, instead of every 5 ms.
_SWITCH_SECONDS: Final = 0.0005
_OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000


class Follower:
    """Keeps an application at the state on disk.

    Args:
        application: Whose versions are replaced.
        settings: Name the folder of the state and of the bundles.
        metrics: Where failures to load are counted.
    """

    def __init__(
        self, application: Application, settings: Settings, metrics: ServingMetrics
    ) -> None:
        self._application = application
        self._folder = settings.served
        self._metrics = metrics
        self._seen: object = None
        self._polls_to_retry = 0

    async def follow(self) -> None:
        """Take over a new state, if there is one, in the background."""
        found = mark_of(state_file(self._folder))
        if found == self._seen:
            if not self._polls_to_retry:
                return
            self._polls_to_retry -= 1
            if self._polls_to_retry:
                return
        self._seen, self._polls_to_retry = found, 0
        try:
            lineup = await asyncio.to_thread(self._load)
        except Exception as error:
            # Also of a bundle that was removed meanwhile: there will be a newer state.
            self._polls_to_retry = _RETRY_POLLS
            if self._application.lineup is None:
                self._application.reason = f"the champion cannot be loaded: {error}"
            logger.exception("the state cannot be followed; the versions in memory stay")
            return
        if lineup is not None:
            self._application.swap(lineup)
            logger.info(
                "serving %s",
                ", ".join(f"{v.title} as {role}" for v, role in lineup.versions),
            )

    def _load(self) -> Lineup | None:
        state = read_state(self._folder)
        if state is None or state.champion is None:
            problem = state.problem if state else "the registry has not been read yet"
            self._application.reason = problem or "no version is champion yet"
            return None
        champion = self._version(state.champion, "champion")
        beside = self._beside(state)
        return Lineup(champion, state.rollout if beside else None, beside)

    def _beside(self, state: ServingState) -> Version | None:
        """Load the version of the rollout; if that fails there is none, and no harm done."""
        if state.rollout is None or state.beside is None:
            return None
        try:
            return self._version(state.beside, state.rollout.mode)
        except Exception:
            logger.exception("version %d of the rollout cannot be loaded", state.beside.version)
            self._polls_to_retry = _RETRY_POLLS
            return None

    def _version(self, served: Served, role: str) -> Version:
        # What a shadow's thread may still be asking must not answer requests: only champions and
        # canaries are taken over, everything else is read anew.
        current = self._application.lineup
        for version, had in current.versions if current else ():
            if version.bundle == served.bundle and "shadow" not in (role, had):
                return Version(version.number, version.bundle, version.model, served.since)
        try:
            model = CompiledModel.load(self._folder / "bundles" / served.bundle)
            self._application.form.require(model)
        except Exception:
            self._metrics.of(served.version, role).failed("load")
            raise
        return Version(served.version, served.bundle, model, served.since)


def run_worker(
    settings: Settings, listener: socket.socket, limiter: RateLimiter, number: int
) -> None:
    """Answer requests until asked to stop, then finish those in progress.

    Args:
        settings: The configuration.
        listener: Bound and listening; shared by all workers.
        limiter: Shared by all workers.
        number: Of the worker, from 0.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what was imported before the fork stays shared, and is never walked again
    # Answers wait for the log by the thousand: looking through them for cycles every 700 objects
    # would cost a request 40 microseconds. Reference counts free what is done with.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_serve(settings, listener, limiter, number))


async def _serve(
    settings: Settings, listener: socket.socket, limiter: RateLimiter, number: int
) -> None:
    metrics = ServingMetrics(dataset_of(settings).answer_bounds)
    form = form_of(settings)
    log = PredictionLog(settings, f"{number}-{os.getpid()}", form.log)
    door = Door(settings, limiter)
    application = Application(settings, door, metrics, log, form)
    limits = ConnectionLimits.of(settings.serving.max_connections, raise_file_limit())
    server = _Server(_config(application), limits)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.stop)
    complaints = Complaints()
    logging.getLogger("uvicorn.error").addFilter(complaints)
    follower = Follower(application, settings, metrics)
    upkeep = _Upkeep(follower, door, log, metrics, server, complaints)
    await upkeep.round()  # before the first request
    task = asyncio.create_task(upkeep.go_on())
    try:
        await server.serve(sockets=[listener])
    finally:
        task.cancel()
        application.close()
        log.close()
        upkeep.count()
        complaints.report(at_once=True)


@dataclass
class _Upkeep:
    """What a worker does beside answering."""

    follower: Follower
    door: Door
    log: PredictionLog
    metrics: ServingMetrics
    server: _Server
    complaints: Complaints
    supervisor: int = field(default_factory=os.getppid)
    dropped: int = 0

    async def go_on(self) -> None:
        """Repeat `round` until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self.round()
            except Exception:  # whatever it is, the next round may do better
                logger.exception("the worker's upkeep failed")

    async def round(self) -> None:
        """Follow the state, the keys and the supervisor, and count."""
        await self.follower.follow()
        try:
            self.door.reload()
        except MlopsError as error:
            logger.error("the API keys in force stay: %s", error.message)
        self.count()
        self.complaints.report()
        if os.getppid() != self.supervisor:
            logger.error("the supervisor died: stopping")
            self.server.stop()

    def count(self) -> None:
        """Hand what was noted to Prometheus."""
        dropped = self.log.dropped
        self.metrics.log_dropped.inc(dropped - self.dropped)
        self.dropped = dropped
        self.metrics.flush()


def _config(application: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,  # what was answered is in the prediction log and the metrics
        server_header=False,
        proxy_headers=False,  # nothing depends on the caller's address
        backlog=2048,
        timeout_keep_alive=75,  # longer than the reverse proxy keeps idle connections
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class _Server(BoundedServer):
    """uvicorn's server, stopped by this process's own handler of signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `_serve`; uvicorn's own handler raises them again at the end."""
        yield

    def stop(self) -> None:
        """Take no more connections, finish what runs, then return from `serve`."""
        self.should_exit = True
