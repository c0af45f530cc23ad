"""The processes of the demonstration, in a home and on ports of their own; and waiting for them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from mlops.errors import MlopsError, ServerError
from mlops.settings import Settings, load_settings

T = TypeVar("T")

RUN_SECONDS: Final = 300.0  # for a pipeline, or for a command
PATIENCE_SECONDS: Final = 180.0  # for everything else, on a busy machine
_POLL_SECONDS: Final = 0.25
_STOP_SECONDS: Final = 30.0
_LAST_LINES: Final = 12
# Below the ports that systems give to outgoing connections: none is lost before a server listens.
_PORTS: Final = range(20_000, 32_000)
# What says where and how the user's own project works.
_FOREIGN: Final = ("MLOPS_", "MAGE_")


class Servers:
    """Processes of the command line, each in a group of its own, all ended on leaving.

    Args:
        home: Of the demonstration; ``logs`` in it holds what the processes say.
        given: Dotted names of settings to values; the same for every process and this one.
        variables: Further environment variables of the processes.

    Attributes:
        settings: What the processes work by.
    """

    def __init__(self, home: Path, given: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        self.settings: Settings = load_settings({"home": str(home), **given})
        self._logs = home / "logs" / "demo"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        named = {f"MLOPS_{k.upper().replace('.', '__')}": str(v) for k, v in given.items()}
        self._environment = {**os.environ, **named, **variables, "MLOPS_HOME": str(home)}

    def run(self, *arguments: str) -> Any:
        """Run a command to its end; return the JSON it printed.

        Raises:
            MlopsError: If it fails, or takes longer.
        """
        name = arguments[0]
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            try:
                done = subprocess.run(
                    _command(*arguments, "--json"),
                    env=self._environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    timeout=RUN_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise MlopsError(
                    f"mlops {name}: not done within {RUN_SECONDS:g} s", self._tails(name)
                ) from None
        if done.returncode:
            output = done.stdout.decode(errors="replace").strip()
            raise MlopsError(f"mlops {name} failed: {output}", self._tails(name))
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> None:
        """Start a server; it runs until the end."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log(arguments[0]).open("wb") as log:
            self._running[arguments[0]] = subprocess.Popen(
                _command(*arguments),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C at the terminal is for us, who end them in order.
                start_new_session=True,
            )

    def wait_for(
        self, what: str, look: Callable[[], T | None], seconds: float = PATIENCE_SECONDS
    ) -> T:
        """Wait until a look finds something; return what.

        Args:
            what: Is waited for; in words, for the error.
            look: Returns None while there is nothing.
            seconds: At most.

        Raises:
            ServerError: If a server ends by itself, or nothing comes in time; with the last lines
                of every log.
        """
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise ServerError(
                        f"waiting for {what}: mlops {name} ended with code {process.returncode}",
                        self._tails(name),
                    )
            if time.monotonic() > deadline:
                raise ServerError(f"{what}: not within {seconds:g} s", self._tails(*self._running))
            time.sleep(_POLL_SECONDS)
        return found

    def __enter__(self) -> Servers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._running.values():
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what is left of its group
            process.wait()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _tails(self, *names: str) -> str:
        servers = sorted((self.settings.logs / "server").glob("*.log"))
        return "".join(_tail(log) for log in (*map(self._log, names), *servers))


@contextlib.contextmanager
def own_environment() -> Iterator[None]:
    """Keep the user's own settings from this process and those it starts."""
    foreign = {k: v for k, v in os.environ.items() if k.startswith(_FOREIGN)}
    for name in foreign:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(foreign)


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports of the loopback that are free, and that no outgoing connection will take.

    Raises:
        ServerError: If fewer are free.
    """
    free: list[int] = []
    # Not by the seeded generator: processes that run side by side must not agree on a port.
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as attempt, contextlib.suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            return tuple(free)
    span = f"{_PORTS.start}..{_PORTS.stop - 1}"
    raise ServerError(f"fewer than {count} ports are free in {span}", "stop other servers")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mlops.cli", *arguments]


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ""
    return f"\n  {log}:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""
