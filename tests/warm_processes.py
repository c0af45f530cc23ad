"""Processes of the project that start with the libraries of others imported.

Importing what Mage and MLflow need costs each new process five seconds of a core, and the tests
start hundreds. Here one process per session imports those libraries and MLflow, and none of this
project nor Mage itself, whose modules read their environment when they are imported. It forks for
each command of the project and for each script of the tests that a test starts; from then on the
process is like any other, with its own arguments, environment, folder, streams and session.
Programs given with ``-c`` start cold: they are about what is imported.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if __name__ != "__main__":  # the process that forks imports nothing of this project
    from mlops.registry.connection import ENVIRONMENT

LIBRARIES = (
    *("aiohttp", "alembic.command", "databricks.sdk", "docker", "flask", "graphene", "hyperopt"),
    *("IPython", "jupyter_client.manager", "memory_profiler", "newrelic.agent"),
    *("mlflow.store.db.utils", "mlflow.store.tracking.sqlalchemy_store"),
    *("opentelemetry.sdk.trace", "pandas", "polars", "psutil", "pyarrow.parquet"),
    *("pydantic_settings", "redis", "requests", "rich.console", "ruamel.yaml", "scipy.stats"),
    *("sentry_sdk", "sklearn.ensemble", "sklearn.linear_model", "sklearn.svm"),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.orm", "tornado.web", "typer", "uvicorn", "xgboost"),
)
TESTS = Path(__file__).parent
COLD = subprocess.Popen
_LONGEST = 1 << 20  # bytes of a request: arguments and environment
# What an interpreter and its libraries read of the environment when they start.
_READ_AT_START = ("PYTHON", "LANG", "LC_", "OMP_", "OPENBLAS_")


class Forks:
    """The process that forks, and the way to ask it."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            # MLflow reads some of this when it is imported.
            self.popen = COLD(
                command, pass_fds=(theirs.fileno(),), env={**os.environ, **ENVIRONMENT}
            )

    def fork(self, request: dict[str, Any], streams: list[int]) -> tuple[int, int]:
        """Return the number of a new process, and a pipe from which its end can be read."""
        ended, end = os.pipe()
        socket.send_fds(self.socket, [json.dumps(request).encode()], [*streams, end])
        os.close(end)
        return int(self.socket.recv(64)), ended

    def end(self) -> None:
        self.socket.close()
        self.popen.wait(30)


class WarmPopen(COLD):  # type: ignore[type-arg]
    """`subprocess.Popen`, warm wherever that makes no difference."""

    forks: Forks | None = None
    _ended: int | None = None

    def _execute_child(self, *given: Any) -> None:
        cold = super()._execute_child  # type: ignore[misc]
        asked = inspect.signature(cold).bind(*given).arguments
        environment = os.environ if asked["env"] is None else asked["env"]
        if not _can_be_warm(asked["args"], environment, asked):
            cold(*given)
            return
        WarmPopen.forks = WarmPopen.forks or Forks()
        request = {
            "arguments": [os.fsdecode(part) for part in asked["args"][1:]],
            "environment": {os.fsdecode(k): os.fsdecode(v) for k, v in environment.items()},
            "folder": str(Path(os.fsdecode(asked["cwd"] or "")).resolve()),
            "umask": asked["umask"],
            "session": bool(asked["start_new_session"]),
        }
        streams = [asked["p2cread"], asked["c2pwrite"], asked["errwrite"]]
        streams = [own if stream == -1 else stream for own, stream in enumerate(streams)]
        self.pid, self._ended = WarmPopen.forks.fork(request, streams)
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in ends))  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if self._ended is None:
            return super()._try_wait(flags)  # type: ignore[misc, no-any-return]
        if not select.select([self._ended], [], [], 0 if flags else None)[0]:
            return 0, 0
        status = int(os.read(self._ended, 64) or signal.SIGKILL)
        os.close(self._ended)
        return self.pid, status

    def _internal_poll(self, *given: Any, **more: Any) -> int | None:
        if self._ended is None:
            return super()._internal_poll(*given, **more)  # type: ignore[misc, no-any-return]
        lock = self._waitpid_lock  # type: ignore[attr-defined]
        if self.returncode is None and lock.acquire(blocking=False):
            try:
                pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                lock.release()
        return self.returncode


def _can_be_warm(command: Any, environment: Any, asked: dict[str, Any]) -> bool:
    if isinstance(command, (str, bytes, os.PathLike)) or len(command) < 2:
        return False
    if os.fsdecode(command[0]) != sys.executable:
        return False
    of_the_project = list(command[1:3]) == ["-m", "mlops.cli"]
    of_the_tests = TESTS in Path(os.fsdecode(command[1])).parents
    own, theirs = (
        {name: value for name, value in some.items() if str(name).startswith(_READ_AT_START)}
        for some in (os.environ, environment)
    )
    as_imported = all(environment.get(name, value) == value for name, value in ENVIRONMENT.items())
    special = asked["preexec_fn"] or asked["pass_fds"] or asked["shell"]
    return (of_the_project or of_the_tests) and own == theirs and as_imported and not special


@pytest.fixture(scope="session", autouse=True)
def warm_processes() -> Iterator[None]:
    """Start what tests start of this project with libraries imported, where that is possible."""
    if sys.platform == "linux":
        subprocess.Popen = WarmPopen  # type: ignore[misc]
    yield
    subprocess.Popen = COLD  # type: ignore[misc]
    if WarmPopen.forks is not None:
        WarmPopen.forks.end()
        WarmPopen.forks = None


def _serve(asked: socket.socket) -> dict[str, Any]:
    """Fork for each request until nobody asks any more; return what a fork is asked to be."""
    living: dict[Any, tuple[int, int]] = {}  # a process's number, and where its end is told
    while True:
        for ready in select.select([asked, *living], [], [])[0]:
            if ready in living:
                pid, end = living.pop(ready)
                with contextlib.suppress(BrokenPipeError):
                    os.write(end, str(os.waitpid(pid, 0)[1]).encode())
                os.close(end)
                os.close(ready)
                continue
            content, handles, _, _ = socket.recv_fds(asked, _LONGEST, 4)
            if not content:
                os._exit(0)
            *streams, end = handles
            pid = os.fork()
            if not pid:
                asked.close()
                for handle in (*living, *(end for _, end in living.values()), end):
                    os.close(handle)
                return _become(json.loads(content), streams)
            living[os.pidfd_open(pid)] = pid, end
            asked.send(str(pid).encode())
            for stream in streams:
                os.close(stream)


def _become(request: dict[str, Any], streams: list[int]) -> dict[str, Any]:
    for own, stream in enumerate(streams):
        os.dup2(stream, own)
    for stream in streams:
        os.close(stream)
    _open_streams(line_by_line="PYTHONUNBUFFERED" in request["environment"])
    if request["session"]:
        os.setsid()
    if request["umask"] != -1:
        os.umask(request["umask"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    return request


def _open_streams(*, line_by_line: bool) -> None:
    """Let Python look anew at its three streams: they were other files when it started."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        stream = open(  # noqa: SIM115
            number,
            "w" if number else "r",
            buffering=1 if line_by_line or name == "stderr" else -1,
            encoding=before.encoding,
            errors=before.errors,
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(request: dict[str, Any]) -> None:
    first, *others = request["arguments"]
    if first == "-m":
        sys.argv = others
        sys.path[0] = request["folder"]
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = request["arguments"]
        sys.path[0] = str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    _run(_serve(socket.socket(fileno=int(sys.argv[1]))))
