"""`mlops up`: Mage's web server, our scheduler, the MLflow UI and the observer, as one group."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from mlops.errors import BusyError, ConfigurationError
from mlops.orchestration.engine.changed_code import CodeWatch
from mlops.orchestration.engine.queue import ForkQueue
from mlops.orchestration.runs.lock import HomeLock, is_held
from mlops.orchestration.runs.naming import SCHEDULER_LOCK
from mlops.orchestration.servers import processes
from mlops.orchestration.servers.parts import TICK_SECONDS, Parts, ServerProcess
from mlops.orchestration.triggers import access
from mlops.orchestration.triggers import lint as trigger_lint
from mlops.privacy import keep_private
from mlops.registry.receipts import note_code
from mlops.settings import PROJECT_ROOT, Settings


def serve(
    settings: Settings,
    project: Path = PROJECT_ROOT,
    say: Callable[[str], None] = print,
    *,
    reset_password: bool = False,
) -> None:
    """Run the servers until Ctrl-C or SIGTERM, then stop them all.

    A part that dies after the start is started again (see `parts`).

    Args:
        settings: The configuration; addresses are in ``settings.server`` and
            ``settings.observability``.
        project: The Mage project's root.
        say: Given each line meant for the person at the terminal.
        reset_password: Give the owner a new password, and show it.

    Raises:
        BusyError: If servers of this home are up already.
        ConfigurationError: If a port is taken, naming its setting; a trigger is wrong; or a
            password was chosen that is to be replaced.
        ServerError: If one of the processes does not start; the others are stopped first.
    """
    note_code()  # for all parts
    keep_private(settings.home)
    _check_nothing_is_in_the_way(settings)
    trigger_lint.check(project)
    trigger_lint.make_tokens(settings, project)
    chosen = access.chosen_password()
    if chosen and reset_password:
        raise ConfigurationError(
            f"--reset-password: {access.PASSWORD_VARIABLE} sets the owner's password already",
            f"start without the option, or unset {access.PASSWORD_VARIABLE}",
        )
    password = chosen or secrets.token_urlsafe(15)
    renew = reset_password or chosen is not None
    owner_marker = settings.home / "server" / "owner-created"
    owner_marker.parent.mkdir(parents=True, exist_ok=True)
    owner_marker.unlink(missing_ok=True)

    server = settings.server
    observability = settings.observability
    mage_url = _local_url(server.host, server.mage_port)
    metrics_url = _local_url(observability.metrics_host, observability.metrics_port) + "/metrics"
    parts = [
        ServerProcess(
            "scheduler",
            lambda again: processes.run_scheduler(settings, project),
            lambda: is_held(settings.home / SCHEDULER_LOCK),
        ),
        ServerProcess(
            "web",
            # What the owner has changed since the start stays.
            lambda again: processes.run_web(
                settings, project, password, owner_marker, renew=renew and not again
            ),
            lambda: _answers(f"{mage_url}/api/status"),
        ),
        ServerProcess(
            "observer",
            lambda again: processes.run_observer(settings),
            lambda: _answers(metrics_url),
        ),
    ]
    mlflow_url = settings.tracking_uri
    if not settings.tracking_uri.startswith("http"):
        mlflow_url = _local_url(server.mlflow_host, server.mlflow_port)
        parts.append(
            ServerProcess(
                "mlflow",
                lambda again: processes.run_mlflow(settings),
                lambda: _answers(f"{mlflow_url}/health"),
            )
        )

    logs = settings.logs / "server"
    group = Parts(tuple(parts), logs, say)
    with _stopping(group.queue) as stop_wanted:
        say("starting Mage, its scheduler and the MLflow UI …")
        group.start(stop_wanted)
        if not stop_wanted():
            say(f"Mage    {mage_url}  sign in as {server.owner_email}")
            if owner_marker.exists() and chosen is None:
                say(f"        password {password}  (shown only this once: keep it)")
            elif reset_password:
                say(f"        no password was reset: there is no user {server.owner_email}")
            elif chosen is None:
                say("        to reset the password, stop and run: mlops up --reset-password")
            owner_marker.unlink(missing_ok=True)
            say(f"MLflow  {mlflow_url}")
            say(f"metrics {metrics_url}")
            say(f"logs    {logs}")
            say("Ctrl-C stops everything")
        watch = CodeWatch(settings, say)
        while not stop_wanted():
            group.keep_up()
            watch.look()
            time.sleep(TICK_SECONDS)
        say("stopping …")


def _local_url(host: str, port: int) -> str:
    """Return the address by which this machine reaches a server that listens on a host."""
    return f"http://{'127.0.0.1' if host in ('', '0.0.0.0') else host}:{port}"


def _check_nothing_is_in_the_way(settings: Settings) -> None:
    lock = HomeLock(settings.home / SCHEDULER_LOCK, "mlops up")
    if is_held(lock.path):
        raise BusyError(
            f"{settings.home}: `mlops up` runs already, as process {lock.holder().get('pid')}",
            "use it, stop it with Ctrl-C in its terminal, or set MLOPS_HOME to another folder",
        )
    server, observability = settings.server, settings.observability
    for setting, host, port in (
        ("server.mage_port", server.host, server.mage_port),
        ("server.mlflow_port", server.mlflow_host, server.mlflow_port),
        ("observability.metrics_port", observability.metrics_host, observability.metrics_port),
    ):
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((host, port))
            except OSError as error:
                raise ConfigurationError(
                    f"{setting}: cannot listen on {host}:{port} ({error.strerror})",
                    f"stop what uses port {port}, or choose another: --set {setting}={port + 1}",
                ) from error


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):
        return False


@contextlib.contextmanager
def _stopping(queue: ForkQueue) -> Iterator[Callable[[], bool]]:
    """Yield whether a signal asked to stop; at the end no process of ours is left."""
    signals: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        signals.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former: dict[int, Any] = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(signals)
    finally:
        below = _descendants()
        queue.stop()
        # Kernels and shells that the editor started have sessions of their own.
        for process in below:
            with contextlib.suppress(Exception):
                process.kill()
        for number, handler in former.items():
            signal.signal(number, handler)


def _descendants() -> list[Any]:
    import psutil

    return list(psutil.Process(os.getpid()).children(recursive=True))
