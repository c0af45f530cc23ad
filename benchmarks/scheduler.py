"""From POST to done: our scheduler and Mage's own on the same pipeline, both under CPU load."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.measuring import REPOSITORY, MeasurementError, free_port
from benchmarks.report import Section, Table, judged, usable_cores
from benchmarks.trips import Bench

RUNS = 500
STOCK_RUNS = 60
POST_SECONDS = 1.0  # from one POST to the next
INTERVAL_SECONDS = 1  # how often a scheduler looks, in both
STEPS = ("one", "two", "three")
START_SECONDS = 120.0
QUIET_SECONDS = 20.0  # without any run coming to its end: those left are stuck
IDLE_SECONDS = 20.0
IDLE_AIM = 2.0  # per cent of a core
MEDIAN_AIM = 5.0  # times faster than the stock scheduler

_BLOCK = '''"""Notes that it ran."""

from pathlib import Path

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def step(*args, **kwargs):
    with Path(kwargs["ledger"]).open("a") as ledger:
        ledger.write(f"{{kwargs['pipeline_run_id']}}:{name}\\n")
    return {{}}
'''
_TRIGGERS = """triggers:
- name: api
  schedule_type: api
  schedule_interval: null
  start_time: 2024-01-01 00:00:00
  last_enabled_at: 2024-01-01 00:00:00
  status: active
"""
_SERVE = """
import sys
from pathlib import Path
from mlops.orchestration.servers.up import serve
from mlops.settings import load_settings
serve(load_settings(), Path(sys.argv[1]))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of the runs that were asked for.

    Attributes:
        name: Of the scheduler.
        seconds: From each POST's answer to the end of its run; of the runs that ended well.
        stuck: Runs that never ended.
        failed: Runs that ended otherwise.
        repeated: Blocks that ran more than once.
        missing: Blocks of completed runs that never ran.
        idle: Per cent of a core that the scheduler takes with nothing to do, if measured.
    """

    name: str
    seconds: list[float]
    stuck: int
    failed: int
    repeated: int
    missing: int
    idle: float | None


@dataclass(frozen=True)
class _Place:
    """A project, its home, and the server on it."""

    folder: Path
    port: int
    stock: bool

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def database(self) -> Path:
        return self.folder / ("mage.db" if self.stock else "home/mage/mage.db")

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return connection.execute(query).fetchall()


def run(bench: Bench) -> Section:
    """Ask both schedulers for runs, one after the other, and compare."""
    ours = _measured(bench.scratch / "scheduler-ours", RUNS, stock=False)
    stock = _measured(bench.scratch / "scheduler-stock", STOCK_RUNS, stock=True)
    return section(ours, stock)


def section(ours: Outcome, stock: Outcome) -> Section:
    """Lay both out side by side."""
    rows = [
        (
            o.name,
            len(o.seconds) + o.stuck + o.failed,
            statistics.median(o.seconds),
            _percentile(o.seconds, 0.95),
            o.stuck,
            o.failed,
            o.repeated,
            o.missing,
            o.idle,
        )
        for o in (ours, stock)
    ]
    faster = statistics.median(stock.seconds) / statistics.median(ours.seconds)
    header = ("scheduler", "runs", "median, s", "p95, s", "stuck", "failed")
    return Section(
        title="Triggered runs: from POST to done",
        method="A pipeline of three blocks that do nothing is started by a POST every"
        f" {POST_SECONDS:g} s, while {usable_cores()} endless loops keep every core busy. Both"
        f" schedulers look for work every {INTERVAL_SECONDS} s. The runs that are left when"
        f" {QUIET_SECONDS:g} s pass without the end of any run count as stuck.",
        tables=(
            Table((*header, "blocks run twice", "blocks not run", "idle, % of a core"), list(rows)),
        ),
        notes=(
            f"In the median, our scheduler is {faster:.1f} times as fast: "
            + judged(faster, MEDIAN_AIM, at_most=False)
            + f". Its CPU use when idle: {judged(ours.idle or 0.0, IDLE_AIM, at_most=True)}.",
        ),
    )


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _measured(folder: Path, runs: int, *, stock: bool) -> Outcome:
    place = _Place(folder, free_port(), stock)
    _make_project(place)
    with _server(place):
        schedule, token = _trigger(place)
        idle = None if place.stock else _idle_share(place)
        with _cores_busy():
            posted: dict[int, float] = {}
            for _ in range(runs):
                started = time.monotonic()
                posted[_post(place, schedule, token)] = time.time()
                time.sleep(max(POST_SECONDS - (time.monotonic() - started), 0))
            _wait_until_quiet(place)
        return _outcome(place, posted, idle)


def _outcome(place: _Place, posted: dict[int, float], idle: float | None) -> Outcome:
    found = place.rows("select id, status, completed_at from pipeline_run")
    ended = {number: _timestamp(at) for number, status, at in found if status == "COMPLETED"}
    failed = sum(status in ("FAILED", "CANCELLED") for _, status, _ in found)
    ran = Counter(place.ledger.read_text().split())
    return Outcome(
        name="Mage's own" if place.stock else "ours",
        seconds=[ended[number] - posted[number] for number in posted if number in ended],
        stuck=len(posted) - len(ended) - failed,
        failed=failed,
        repeated=sum(count > 1 for count in ran.values()),
        missing=sum(f"{number}:{step}" not in ran for number in ended for step in STEPS),
        idle=idle,
    )


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def _make_project(place: _Place) -> None:
    shutil.rmtree(place.folder, ignore_errors=True)
    pipeline = place.project / "pipelines" / "chain"
    pipeline.mkdir(parents=True)
    (place.project / "custom").mkdir()
    place.ledger.touch()
    (place.project / "metadata.yaml").write_text(
        "project_type: standalone\nproject_uuid: 00000000000040008000000000000001\n"
        "help_improve_mage: false\n"
    )
    blocks = []
    for number, name in enumerate(STEPS):
        (place.project / "custom" / f"{name}.py").write_text(_BLOCK.format(name=name))
        blocks.append(
            {
                "uuid": name,
                "name": name,
                "type": "custom",
                "language": "python",
                "upstream_blocks": list(STEPS[number - 1 : number]) if number else [],
                "downstream_blocks": list(STEPS[number + 1 : number + 2]),
            }
        )
    # JSON is YAML.
    content = {"name": "chain", "uuid": "chain", "type": "python", "blocks": blocks}
    content["variables"] = {"ledger": str(place.ledger)}
    (pipeline / "metadata.yaml").write_text(json.dumps(content))
    (pipeline / "triggers.yaml").write_text(_TRIGGERS)


@contextlib.contextmanager
def _server(place: _Place) -> Iterator[None]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLOPS_", "MAGE_"))}
    common = {**inherited, "TZ": "UTC", "DISABLE_AUTO_BROWSER_OPEN": "1"}
    if place.stock:
        program = Path(sys.executable).with_name("mage")
        command = [str(program), "start", str(place.project), "--host", "127.0.0.1"]
        command += ["--port", str(place.port)]
        environment = {
            **common,
            "MAGE_DATA_DIR": str(place.folder / "data"),
            "MAGE_DATABASE_CONNECTION_URL": f"sqlite:///{place.database}",
            "SCHEDULER_TRIGGER_INTERVAL": str(INTERVAL_SECONDS),
            "REQUIRE_USER_AUTHENTICATION": "0",
            "DISABLE_AUTORELOAD": "1",
        }
    else:
        command = [sys.executable, "-c", _SERVE, str(place.project)]
        environment = {
            **common,
            "MLOPS_HOME": str(place.folder / "home"),
            "MLOPS_SERVER__MAGE_PORT": str(place.port),
            "MLOPS_SERVER__MLFLOW_PORT": str(free_port()),
            "MLOPS_OBSERVABILITY__METRICS_PORT": str(free_port()),
            "MLOPS_SERVER__SCHEDULER_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
        }
    with (place.folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=place.folder if place.stock else REPOSITORY,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            # All of them: the stock server would leave its scheduler behind.
            below = _descendants(process.pid) if process.poll() is None else []
            for pid in [process.pid, *below]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _trigger(place: _Place) -> tuple[int, str]:
    """Return the id and the token of the trigger, once it is there and the server answers."""

    def found() -> tuple[int, str] | None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{place.port}/api/status", timeout=5).close()
            rows = place.rows("select id, token from pipeline_schedule where name = 'api'")
        except (sqlite3.OperationalError, OSError):
            return None
        return rows[0] if rows else None

    return _wait_for(found, START_SECONDS)


def _post(place: _Place, schedule: int, token: str) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{place.port}/api/pipeline_schedules/{schedule}/api_trigger",
        data=b'{"pipeline_run": {}}',
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.loads(response.read())
    if "pipeline_run" not in answer:
        raise MeasurementError(f"the trigger answered {answer}")
    number: int = answer["pipeline_run"]["id"]
    return number


def _wait_until_quiet(place: _Place) -> None:
    def in_progress() -> int:
        query = "select count(*) from pipeline_run where status in ('INITIAL', 'RUNNING')"
        count: int = place.rows(query)[0][0]
        return count

    left, since = in_progress(), time.monotonic()
    while left and time.monotonic() - since < QUIET_SECONDS:
        time.sleep(0.5)
        now = in_progress()
        if now != left:
            left, since = now, time.monotonic()


def _idle_share(place: _Place) -> float:
    """Return the per cent of a core that our scheduler's process takes with nothing to do."""
    import psutil

    lock = json.loads((place.folder / "home" / "scheduler.lock").read_text())
    scheduler = psutil.Process(lock["pid"])
    time.sleep(5)  # what it does at its start is not idling
    before = sum(scheduler.cpu_times()[:2])
    time.sleep(IDLE_SECONDS)
    return 100 * float(sum(scheduler.cpu_times()[:2]) - before) / IDLE_SECONDS


@contextlib.contextmanager
def _cores_busy() -> Iterator[None]:
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(usable_cores())
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _descendants(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def _wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise MeasurementError(f"the server is not up after {seconds:g} s")
        time.sleep(0.2)
    return value
