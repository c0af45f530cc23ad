"""How everything is measured: a command, or one function in a fresh process, timed from outside."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
_TAIL_LINES = 30


class MeasurementError(Exception):
    """A measured process failed; the message holds the end of what it said."""


@dataclass(frozen=True)
class Cost:
    """What a process cost, seen from outside."""

    seconds: float  # from before its start to after its end
    cpu_seconds: float  # of itself and of every process it waited for
    output: str


@dataclass(frozen=True)
class Measured:
    """What one call cost in a process of its own."""

    result: Any  # what the function returned
    seconds: float  # the call alone
    cpu_seconds: float  # of all its threads
    process: Cost  # interpreter and imports included
    idle_mb: float  # resident before the call: interpreter and imports
    peak_mb: float  # most that was ever resident


def run_command(
    command: Sequence[str],
    home: Path,
    *,
    given: str = "",
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """Run a command to its end in the repository's root.

    Args:
        command: The program and its arguments.
        home: ``MLOPS_HOME`` of the process; its standard error goes to a file beside it.
        given: Standard input.
        environment: Variables to add. Configuration in the caller's environment (``MLOPS_…``) is
            dropped, so that what is measured does not depend on it.

    Raises:
        MeasurementError: If it does not exit with 0.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLOPS_")}
    home.mkdir(parents=True, exist_ok=True)
    log = home.with_name(f"{home.name}.log")
    cpu_before = _cpu_of_children()
    started = time.perf_counter()
    with log.open("w") as stream:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**inherited, "MLOPS_HOME": str(home), **(environment or {})},
            input=given,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
    seconds = time.perf_counter() - started
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-_TAIL_LINES:])
        raise MeasurementError(f"{' '.join(command)} ended with {done.returncode}\n{tail}")
    return Cost(seconds, _cpu_of_children() - cpu_before, done.stdout)


def measure(
    function: Callable[..., Any],
    home: Path,
    *,
    environment: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Measured:
    """Call a module-level function in a fresh process.

    Args:
        function: Takes and returns what JSON can carry.
        home: ``MLOPS_HOME`` of the process.
        environment: Variables to add.
        **arguments: Passed to the function.
    """
    target = f"{function.__module__}:{function.__qualname__}"
    cost = run_command(
        [sys.executable, "-m", "benchmarks.child", target],
        home,
        given=json.dumps(arguments),
        environment=environment,
    )
    return Measured(process=cost, **json.loads(cost.output))


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def free_port() -> int:
    """Return a port of this machine that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port
