"""A toy Mage project in a folder of its own, and processes that drive it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.servers import free_ports

HERE = Path(__file__).parent
PATIENCE_SECONDS = 90
# Mage's constant, in its package and in its pages; not a secret.
API_KEY = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2"
API_TOKEN = "toy-token-of-tests"


@dataclass
class Process:
    """An engine's process, whose lines are read as they come."""

    popen: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def read(self, until: str = "", **wanted: Any) -> dict[str, Any]:
        """Read up to the event named, or to the end; return the last line read."""
        line: dict[str, Any] = {}
        for text in self.popen.stdout or ():
            try:
                line = json.loads(text)
            except ValueError:
                self.other.append(text)
                continue
            if "result" in line:
                self.results.append(line["result"])
            else:
                self.events.append(line)
            if until and line.get("event") == until and wanted.items() <= line.items():
                break
        return line

    def end(self) -> int:
        """Read to the end; return the exit code."""
        self.read()
        return self.popen.wait(PATIENCE_SECONDS)

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.events if line.get("event") == event]


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Return what a condition returns, once that is something."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)
    return value


@dataclass
class Toy:
    """A project, its home, and the ledger in which each block writes that it ran."""

    folder: Path
    processes: list[Process] = field(default_factory=list)
    wait_for = staticmethod(wait_for)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def ran(self) -> list[str]:
        """The blocks that ran since the last look, in order."""
        names = self.ledger.read_text().split()
        self.ledger.write_text("")
        return names

    def request(self, pipeline: str, **variables: Any) -> tuple[str, dict[str, Any]]:
        return pipeline, {"ledger": str(self.ledger), **variables}

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLOPS_", "MAGE_"))}
        return {**kept, "MLOPS_HOME": str(self.home), **settings}

    def drive(self, *steps: Any, cwd: Path | None = None, **settings: str) -> Process:
        """Start a process that drives the project through ``steps``."""
        popen = subprocess.Popen(
            [sys.executable, HERE / "drive_toy.py", self.project, json.dumps(steps)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd or self.folder,
            env=self.environment(**settings),
        )
        process = Process(popen)
        self.processes.append(process)
        return process

    def done(self, *steps: Any, **options: Any) -> Process:
        """Drive the project through ``steps`` and wait for the end."""
        process = self.drive(*steps, **options)
        assert process.end() == 0, process.other
        return process

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask Mage's database."""
        with sqlite3.connect(self.home / "mage" / "mage.db") as connection:
            return connection.execute(query).fetchall()

    def status(self, run: int) -> str:
        """The status of a run in Mage's database."""
        return str(self.rows(f"select status from pipeline_run where id = {run}")[0][0])

    def trigger(self, pipeline: str, name: str) -> int:
        """The number of a trigger, once the scheduler has put it in place."""
        query = f"select id from pipeline_schedule where pipeline_uuid = '{pipeline}'"
        return int(wait_for(lambda: self.rows(f"{query} and name = '{name}'"))[0][0])


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: set[int], within_seconds: float = 10) -> bool:
    """Whether all processes end in time."""
    deadline = time.monotonic() + within_seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def descendants(pid: int) -> set[int]:
    """All living processes below ``pid``."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    layer = {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer} - found
        found |= layer
    return found


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database is at Mage's newest revision: migrating takes seconds."""
    toy = new_toy(tmp_path_factory.mktemp("migrated"))
    toy.done()
    return toy.home


def new_toy(folder: Path, home: Path | None = None) -> Toy:
    toy = Toy(folder)
    shutil.copytree(HERE / "toy", toy.project)
    subprocess.run(["git", "init", "-q"], cwd=toy.project, check=True)
    subprocess.run(["git", "add", "-A"], cwd=toy.project, check=True)
    toy.ledger.write_text("")
    if home is not None:
        shutil.copytree(home / "mage", toy.home / "mage")
    return toy


@pytest.fixture
def toy(tmp_path: Path, migrated: Path) -> Iterator[Toy]:
    """A fresh toy project; whatever it started is ended with the test."""
    toy = new_toy(tmp_path, migrated)
    yield toy
    for process in toy.processes:
        for pid in descendants(process.popen.pid) | {process.popen.pid}:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.popen.wait()


@pytest.fixture(scope="module")
def shared_toy(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Toy:
    """A toy project for several tests that only look."""
    return new_toy(tmp_path_factory.mktemp("shared"), migrated)


@dataclass
class Server:
    """A real `mlops up` in a process of its own."""

    popen: subprocess.Popen[str]
    port: int
    mlflow_port: int
    metrics_port: int
    said: str = ""
    cookie: str = ""

    def wait_until_up(self) -> Server:
        for line in self.popen.stdout or ():
            self.said += line
            if "Ctrl-C" in line:
                return self
        raise AssertionError(self.said)

    @property
    def password(self) -> str:
        return self.said.partition("password ")[2].split()[0]

    def call(
        self,
        path: str,
        body: Any = None,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        port: int | None = None,
    ) -> tuple[int, Any]:
        """Return the status and the body's JSON, or its text."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def sign_in(self, email: str, password: str) -> Any:
        session = {"api_key": API_KEY, "session": {"email": email, "password": password}}
        return self.call("/api/sessions", session)[1]

    def enter(self) -> Server:
        """Sign in as the owner, with the password that was told."""
        answer = self.sign_in("owner@mlops.local", self.password)
        self.cookie = f"oauth_token={answer['session']['token']}"
        return self

    def ask(self, path: str, **options: Any) -> tuple[int, Any]:
        """Call as the owner."""
        return self.call(path, headers={"Cookie": self.cookie, "X-API-KEY": API_KEY}, **options)

    def post(self, trigger: int, token: str = API_TOKEN, **variables: Any) -> dict[str, Any]:
        """Start a run as anybody with a trigger's token can; return the answer."""
        path = f"/api/pipeline_schedules/{trigger}/api_trigger"
        body = {"pipeline_run": {"variables": variables}}
        answer: dict[str, Any] = self.call(path, body, headers=bearer(token))[1]
        return answer

    def stop(self, number: int = signal.SIGINT) -> int:
        self.popen.send_signal(number)
        self.said += self.popen.stdout.read() if self.popen.stdout else ""
        return self.popen.wait(60)

    def kill(self) -> None:
        """End it with all its processes, if it still lives."""
        if self.popen.poll() is None:
            pids = descendants(self.popen.pid)
            self.popen.kill()
            self.popen.wait()
            gone(pids)


def bearer(token: str = API_TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def start_server(toy: Toy, arguments: Sequence[str] = (), **settings: Any) -> Server:
    """Start `mlops up` on a toy project."""
    ports = {
        name: settings.pop(name, None) or free_ports(1)[0]
        for name in (
            "MLOPS_SERVER__MAGE_PORT",
            "MLOPS_SERVER__MLFLOW_PORT",
            "MLOPS_OBSERVABILITY__METRICS_PORT",
        )
    }
    environment = toy.environment(
        MLOPS_SERVER__SCHEDULER_INTERVAL_SECONDS="1",
        **{k: str(v) for k, v in {"MLOPS_API_TOKEN": API_TOKEN, **settings, **ports}.items()},
    )
    popen = subprocess.Popen(
        [sys.executable, HERE / "serve_toy.py", toy.project, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=toy.folder,
        env=environment,
        umask=0,  # hides nothing, as some services have it
    )
    return Server(popen, *ports.values())


@pytest.fixture(scope="session")
def helpers() -> SimpleNamespace:
    """What tests ask about processes, ports and servers."""
    return SimpleNamespace(
        alive=alive,
        gone=gone,
        descendants=descendants,
        start_server=start_server,
        bearer=bearer,
        api_key=API_KEY,
    )
