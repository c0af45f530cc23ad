"""`mlops serve`: one process that only starts others, watches them, and ends them in order.

It has no threads, so that it can fork at any time; it imports everything once before it does, so
that a worker starts in milliseconds and shares its memory. Sockets are bound here: while a worker
is replaced, connections wait instead of being refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from mlops.errors import BusyError, ConfigurationError
from mlops.privacy import keep_private
from mlops.serving.answers import metrics
from mlops.serving.http.access import RateLimiter, configured_keys
from mlops.serving.http.keys import first_key, read_keys
from mlops.serving.processes.follower import run_follower
from mlops.settings import Settings

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.1
_FIRST_PAUSE: Final = 0.2  # before a process that died is started again; doubles
_LONGEST_PAUSE: Final = 15.0
_STABLE_SECONDS: Final = 30.0  # having lived that long, its deaths are forgotten
_STOP_SECONDS: Final = 30.0  # longer than a worker's own patience with its requests
_BACKLOG: Final = 2_048
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _Child:
    name: str
    run: Callable[[], None]
    pid: int = 0
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = 0.0  # not before


def serve(settings: Settings, say: Callable[[str], None] = print) -> None:
    """Answer requests until Ctrl-C or SIGTERM, then finish those in progress.

    Args:
        settings: `settings.serving` names addresses and the number of workers.
        say: Given each line meant for the person at the terminal.

    Raises:
        BusyError: If this home is served at this port already.
        ConfigurationError: If a port is taken, naming its setting, or the file of keys is damaged.
    """
    serving = settings.serving
    keep_private(settings.home)
    with _only_one(settings) as lock, _counting() as counts:
        listeners = _listeners("serving.port", serving.host, serving.port, serving.workers)
        exporter = _exporter(settings, counts)
        limiter = RateLimiter(serving.requests_per_second, serving.burst)
        configured = configured_keys(settings)
        read_keys(settings.served)
        token = None if configured or not serving.require_key else first_key(settings.served)

        # Everything that the children need, once, before they are forked.
        import pyarrow.parquet  # noqa: F401
        import xgboost  # noqa: F401

        from mlops.serving.forms.form import form_of
        from mlops.serving.processes import worker

        form_of(settings)  # whose mistakes are said here, once

        def answer(number: int) -> None:
            exporter.socket.close()
            mine = listeners[number % len(listeners)]
            _close([listener for listener in listeners if listener is not mine])
            worker.run_worker(settings, mine, limiter, number)

        def follow() -> None:
            exporter.socket.close()
            _close(listeners)
            run_follower(settings)

        def export() -> None:
            _close(listeners)
            exporter.serve_forever()

        children = [
            _Child("follower", follow),
            _Child("metrics", export),
            *(_Child(f"worker-{n}", partial(answer, n)) for n in range(serving.workers)),
        ]
        with _stop_wanted() as stop_wanted:
            _greet(settings, token, say)
            try:
                while not stop_wanted():
                    _watch(children, counts, lock)
                    time.sleep(_TICK_SECONDS)
                say("stopping …")
            finally:
                _close(listeners)  # no new connections; workers finish those they have
                _stop(children)


def _watch(children: list[_Child], counts: Path, lock: int) -> None:
    """Start what is not running, and notice what died."""
    for child in children:
        if child.pid and _has_ended(child):
            metrics.forget_worker(counts, child.pid)
            lived = time.monotonic() - child.started_at
            child.deaths = 1 if lived > _STABLE_SECONDS else child.deaths + 1
            pause = min(_FIRST_PAUSE * 2 ** (child.deaths - 1), _LONGEST_PAUSE)
            child.start_at = time.monotonic() + pause
            logger.error("%s (process %d) died; again in %.1f s", child.name, child.pid, pause)
            child.pid = 0
        if not child.pid and time.monotonic() >= child.start_at:
            _start(child, lock)


def _start(child: _Child, lock: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    child.started_at = time.monotonic()
    child.pid = os.fork()
    if child.pid:
        return
    code = 1
    try:
        # Ctrl-C reaches the whole group: only the supervisor decides who ends, and when.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _leave)
        os.close(lock)
        child.run()
        code = 0
    except SystemExit:
        code = 0
    except BaseException:
        logger.exception("%s failed", child.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _leave(number: int, frame: Any) -> None:
    sys.exit(0)


def _has_ended(child: _Child) -> bool:
    try:
        return os.waitpid(child.pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _stop(children: list[_Child]) -> None:
    """Ask all to end; end those that do not."""
    for number, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5.0)):
        living = [child for child in children if child.pid]
        for child in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)
        deadline = time.monotonic() + patience
        while living and time.monotonic() < deadline:
            for child in living:
                if _has_ended(child):
                    child.pid = 0
            living = [child for child in living if child.pid]
            time.sleep(0.02)


def _greet(settings: Settings, token: str | None, say: Callable[[str], None]) -> None:
    serving = settings.serving
    shown = "127.0.0.1" if serving.host in ("", "0.0.0.0", "::") else serving.host
    say(f"answers  http://{shown}:{serving.port}  (POST /predict; GET /model, /openapi.json)")
    say(f"metrics  http://{serving.metrics_host}:{serving.metrics_port}/metrics")
    if token:
        say(f"API key  {token}  (shown only this once: keep it; more with: mlops keys add NAME)")
    if not serving.require_key:
        say("no API key is needed: anyone who reaches the port can send requests")
    say("Ctrl-C stops everything")


def _listeners(setting: str, host: str, port: int, workers: int) -> list[socket.socket]:
    """Bind one socket per worker where the system spreads connections over them, else one for all.

    Who shares a socket may take all connections that arrive together, and leave the others idle.
    Linux, unlike macOS, spreads them over sockets of one port (socket(7), ``SO_REUSEPORT``).
    """
    # Also the proof that the port is free: sockets that share a port would not complain.
    alone = _listener(setting, host, port)
    if workers == 1 or sys.platform != "linux":
        return [alone]
    alone.close()
    return [_listener(setting, host, port, shared=True) for _ in range(workers)]


def _close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _listener(setting: str, host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, reuse_port=shared
        )
    except OSError as error:
        raise _cannot_listen(setting, host, port, error) from error


def _exporter(settings: Settings, counts: Path) -> Any:
    serving = settings.serving
    try:
        return metrics.exporter(settings, counts)
    except OSError as error:
        raise _cannot_listen(
            "serving.metrics_port", serving.metrics_host, serving.metrics_port, error
        ) from error


def _cannot_listen(setting: str, host: str, port: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{setting}: cannot listen on {host}:{port} ({error.strerror or error})",
        f"stop what uses port {port}, or choose another: --set {setting}=PORT",
    )


@contextlib.contextmanager
def _only_one(settings: Settings) -> Iterator[int]:
    """Hold the lock of this home and port; the operating system frees it with the process."""
    settings.served.mkdir(parents=True, exist_ok=True)
    path = settings.served / f"serve-{settings.serving.port}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace") or "unknown"
            raise BusyError(
                f"{settings.home}: `mlops serve` runs already at port {settings.serving.port},"
                f" as process {holder}",
                "use it, stop it, or choose another port: --set serving.port=PORT",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield lock
    finally:
        os.close(lock)


@contextlib.contextmanager
def _counting() -> Iterator[Path]:
    folder = metrics.prepare_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _stop_wanted() -> Iterator[Callable[[], bool]]:
    """Yield whether a signal asked to stop."""
    seen: list[int] = []
    former = {number: signal.signal(number, lambda n, _: seen.append(n)) for number in _SIGNALS}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
