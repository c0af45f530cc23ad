"""`mlops serve` for real: processes, sockets, a registry, promotions under load, and what dies."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.servers import free_ports
from mlops.data.references import Extraction, QualityReport, TrainingSetManifest, Window
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import Verdict
from mlops.gateway.connections import raise_file_limit
from mlops.registry.receipts import collect_receipt
from mlops.registry.rollout import Rollout
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.serving.http.keys import add_key
from mlops.serving.log.reading import read_log
from mlops.serving.model.compiled import CompiledModel
from mlops.settings import Settings, load_settings
from mlops.training.artifact import TabularModel

PATIENCE = 60.0  # seconds, on a machine that others use
BROKEN = 3


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"in vain waited for {what}")


@dataclass
class Running:
    """A server in its own process group."""

    settings: Settings
    token: str
    environment: dict[str, str]
    log: Path
    process: Any = None
    sent: int = field(default=0)

    def start(self) -> Running:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlops.cli", "serve"],
            env={**os.environ, **self.environment},
            stdout=self.log.open("a"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0,  # hides nothing, as some services have it
        )
        wait_for(self.is_alive, f"the server to answer; it said {self.said()}")
        return self

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code: int = self.process.wait(PATIENCE)
        return code

    def said(self) -> str:
        return self.log.read_text()[-2_000:]

    def is_alive(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.settings.serving.port, timeout=PATIENCE)

    def ask(
        self,
        method: str,
        path: str,
        content: Any = None,
        connection: http.client.HTTPConnection | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        own = connection or self.connection()
        sent = {"X-API-Key": self.token, "Content-Type": "application/json", **headers}
        own.request(method, path, json.dumps(content) if content is not None else None, sent)
        response = own.getresponse()
        answer = json.loads(response.read())
        if connection is None:
            own.close()
        return response.status, answer

    def version(self) -> int | None:
        status, answer = self.ask("GET", "/model")
        return int(answer["champion"]["version"]) if status == 200 else None

    def metrics(self) -> dict[str, float]:
        port = self.settings.serving.metrics_port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, small_models: tuple[TabularModel, ...]
) -> Iterator[Running]:
    """Two workers on a registry of three versions, the last one broken; none is champion."""
    home = tmp_path_factory.mktemp("home")
    port, metrics_port = free_ports(2)
    environment = {
        "MLOPS_HOME": str(home),
        "MLOPS_SERVING__PORT": str(port),
        "MLOPS_SERVING__METRICS_PORT": str(metrics_port),
        "MLOPS_SERVING__WORKERS": "2",
        "MLOPS_SERVING__POLL_SECONDS": "0.2",
        "MLOPS_SERVING__REQUESTS_PER_SECOND": "1000000",
        "MLOPS_SERVING__BURST": "1000000",
        "MLOPS_PREDICTION_LOG__FLUSH_SECONDS": "0.2",
    }
    settings = load_settings(
        {
            "home": str(home),
            "serving.port": port,
            "serving.metrics_port": metrics_port,
        }
    )
    register(settings, small_models)
    _, token = add_key(settings.served, "tester")
    server = Running(settings, token, environment, home / "serve.log")
    server.log.touch()
    yield server.start()
    if server.process.poll() is None:
        server.stop()


def register(settings: Settings, models: tuple[TabularModel, ...]) -> None:
    """Register models as versions 1 to 3 and damage the artifact of the last."""
    window = Window(start=datetime(2024, 1, 1), end=datetime(2024, 2, 1), rows=3)
    manifest = TrainingSetManifest(
        sha256="ab" * 32,
        uri="/store/training_sets/abab",
        rows=9,
        columns={},
        parts=(),
        train=window,
        validation=window,
        test=window,
        extraction=Extraction(kind="sample", taxi="green", synthetic=True, files=()),
        quality=QualityReport(
            rows_read=9, rows_kept=9, rows_quarantined=0, bad_share=0, rules=(), quarantine_uri=None
        ),
        feature_version="1",
        code_commit="c0ffee",
        created_at=datetime(2024, 3, 1),
    )
    metrics = regression_metrics([10, 20], [11, 19])
    evaluation = Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1)
    registry = Registry(settings)
    for model in models:
        receipt = collect_receipt(manifest, model.family, {}, settings)
        run = log_candidate(
            settings,
            manifest=manifest,
            model=model,
            metrics=metrics,
            receipt=receipt,
            stage="refit",
        )
        registry.register(
            run, receipt, evaluation, Verdict(passed=True, rules=(), summary="passed")
        )
    broken = registry.get(BROKEN)
    assert broken is not None
    folder = Path(broken.source.removeprefix("file://"))
    (folder / "data" / "trip_duration_model").write_bytes(b"damaged")


@pytest.fixture
def promote(running: Running) -> Callable[[int], None]:
    registry = Registry(running.settings)

    def call(version: int) -> None:
        registry.promote(version, "a test", "tester")

    return call


def test_before_the_first_champion_it_says_what_is_missing(running: Running) -> None:
    status, answer = wait_for(
        lambda: (
            (got := running.ask("GET", "/readyz")) and "no version is champion" in str(got) and got
        ),
        "the reason",
    )
    assert status == 503
    assert answer["error"]["field"] == "model"


def test_a_promotion_under_load_loses_and_mixes_nothing(
    running: Running,
    promote: Callable[[int], None],
    small_compiled: tuple[CompiledModel, ...],
    trip: dict[str, Any],
) -> None:
    at = datetime.fromisoformat(trip["pickup_at"])
    expected = {
        model.version: model.predict_one(at, *[trip[name] for name in list(trip)[1:7]])[0]
        for model in small_compiled[:2]
    }
    promote(1)
    # Each worker loads it for itself: all of 30 connections must meet one that has.
    ready = lambda: {running.ask("GET", "/readyz")[0] for _ in range(30)} == {200}  # noqa: E731
    wait_for(ready, "the first champion")
    stop = threading.Event()
    answers: list[tuple[int, float]] = []
    problems: list[Any] = []

    def hammer(many: bool) -> None:
        connection = running.connection()
        while not stop.is_set():
            try:
                content = {"trips": [trip] * 200} if many else trip
                status, answer = running.ask("POST", "/predict", content, connection)
            except Exception as error:
                problems.append(error)
                return
            if status != 200:
                problems.append(answer)
                continue
            predictions = answer["predictions"] if many else [answer]
            answers.extend((answer["model_version"], p["prediction_minutes"]) for p in predictions)

    threads = [threading.Thread(target=hammer, args=(many,)) for many in (False, False, True)]
    for thread in threads:
        thread.start()
    try:
        for version in (2, 1, 2):
            promote(version)
            wait_for(lambda v=version: answers and answers[-1][0] == v, f"version {version}")
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert not problems
    assert {version for version, _ in answers} == {1, 2}
    for version, minutes in set(answers):
        assert minutes == pytest.approx(expected[version], abs=1e-4)


def test_a_broken_artifact_replaces_nothing(
    running: Running, promote: Callable[[int], None], trip: dict[str, Any]
) -> None:
    before = 1
    promote(before)
    # Each worker follows by itself: all of 30 connections must meet one that has.
    served = lambda: {running.version() for _ in range(30)}  # noqa: E731
    wait_for(lambda: served() == {before}, "a champion that works")
    promote(BROKEN)
    wait_for(lambda: running.ask("GET", "/model")[1]["problem"], "the problem to be said")
    told = running.ask("GET", "/model")[1]
    assert f"version {BROKEN} cannot be served" in told["problem"]
    assert told["champion"]["version"] == before
    assert running.ask("POST", "/predict", trip)[1]["model_version"] == before
    assert running.metrics()["mlops_serving_follower_problem"] == 1

    promote(1)
    wait_for(lambda: running.version() == 1, "the next promotion")
    wait_for(lambda: not running.ask("GET", "/model")[1]["problem"], "the end of the problem")


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_a_rollout_is_followed_until_its_end(
    running: Running, promote: Callable[[int], None], trip: dict[str, Any], mode: Any
) -> None:
    promote(1)
    registry = Registry(running.settings)
    now = datetime.now(timezone.utc)
    rollout = Rollout(
        deployment="d-1",
        version=2,
        mode=mode,
        percent=100,
        started_at=now,
        expires_at=now + timedelta(minutes=5),
        by="tester",
        reason="a test",
    )
    registry.start_rollout(rollout)
    answered = f'mlops_serving_answers_total{{role="{mode}",version="2"}}'

    def roles() -> set[str]:
        return {running.ask("POST", "/predict", trip)[1]["role"] for _ in range(4)}

    wait_for(lambda: roles() and running.metrics().get(answered, 0) > 3, f"the {mode}")
    if mode == "canary":
        wait_for(lambda: roles() == {"canary"}, "all workers to follow")
    else:
        assert roles() == {"champion"}
    registry.end_rollout()
    wait_for(lambda: running.ask("GET", "/model")[1]["beside"] is None, "the end of the rollout")
    wait_for(lambda: roles() == {"champion"}, "all workers to follow")


def test_a_worker_that_dies_is_replaced(
    running: Running, promote: Callable[[int], None], trip: dict[str, Any]
) -> None:
    import psutil

    promote(1)
    wait_for(lambda: {running.version() for _ in range(30)} == {1}, "the champion")

    def workers() -> set[int]:
        """Return the processes that listen on the port, but for the supervisor."""
        found = set()
        for child in psutil.Process(running.process.pid).children():
            try:
                listening = {c.laddr.port for c in child.connections() if c.status == "LISTEN"}
            except psutil.Error:
                continue
            if running.settings.serving.port in listening:
                found.add(child.pid)
        return found

    counted = 'mlops_serving_requests_total{endpoint="/predict",status="200"}'
    assert running.ask("POST", "/predict", trip)[0] == 200
    wait_for(lambda: running.metrics().get(counted), "the first count")
    before, living = running.metrics()[counted], wait_for(workers, "workers")
    spent = running.metrics()["mlops_serving_cpu_seconds_total"]
    assert spent > 0 and running.metrics()["mlops_serving_resident_bytes"] > 1_000_000
    for pid in living:
        os.kill(pid, signal.SIGKILL)

    # Connections wait for the next worker instead of being refused.
    wait_for(lambda: running.ask("GET", "/readyz")[0] == 200, "a new worker")
    for _ in range(5):
        assert running.ask("POST", "/predict", trip)[0] == 200
    # What the dead ones counted is not lost.
    wait_for(lambda: running.metrics()[counted] >= before + 5, "the counts")
    assert running.metrics()["mlops_serving_cpu_seconds_total"] >= spent
    assert not workers() & living


def test_a_second_server_is_refused(running: Running, tmp_path: Path) -> None:
    def run_with(**changed: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "mlops.cli", "serve"],
            env={**os.environ, **running.environment, **changed},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    same = run_with()
    assert same.returncode == 7
    assert str(running.process.pid) in same.stderr
    elsewhere = run_with(MLOPS_HOME=str(tmp_path))
    assert elsewhere.returncode == 2
    assert "serving.port" in elsewhere.stderr


def test_what_is_no_http_is_refused(running: Running) -> None:
    for said in (b"nonsense\r\n\r\n", b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", running.settings.serving.port)) as raw:
            raw.settimeout(PATIENCE)
            raw.sendall(said)
            assert raw.recv(1_000).startswith(b"HTTP/1.1 400")


@contextlib.contextmanager
def open_connections(running: Running, number: int, begin: bytes) -> Iterator[list[socket.socket]]:
    """Hold connections on which only a beginning is sent."""
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", running.settings.serving.port)
        clients = []
        for _ in range(number):
            client = stack.enter_context(socket.create_connection(address, timeout=PATIENCE))
            client.sendall(begin)
            clients.append(client)
        yield clients


@pytest.mark.skipif(raise_file_limit() < 1_500, reason="too few open files are allowed here")
def test_strangers_with_half_sent_requests_keep_nobody_waiting(
    running: Running, trip: dict[str, Any]
) -> None:
    # Given more half-sent requests than the usual limit on open files allows
    with open_connections(running, 1_100, b"POST /predict HTTP/1.1\r\nHost: x\r\nX-A"):
        # Then callers are answered, on new connections and on old ones
        connection = running.connection()
        for _ in range(5):
            assert running.ask("POST", "/predict", trip)[0] == 200
            assert running.ask("POST", "/predict", trip, connection)[0] == 200
        connection.close()


def test_strangers_with_endless_headers_cost_no_memory(
    running: Running, trip: dict[str, Any]
) -> None:
    def memory() -> int:
        children = psutil.Process(running.process.pid).children()
        return int(sum(child.memory_info().rss for child in children))

    running.ask("POST", "/predict", trip)
    before = memory()
    with open_connections(running, 4, b"GET /predict HTTP/1.1\r\nX-A: ") as clients:
        for client in clients:
            with contextlib.suppress(ConnectionError):  # refused meanwhile
                for _ in range(50):
                    client.sendall(b"x" * 1_000_000)
        assert running.ask("POST", "/predict", trip)[0] == 200
        assert memory() - before < 50_000_000


def test_too_large_a_body_is_refused_before_it_is_sent(running: Running) -> None:
    head = (
        "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {running.token}\r\nContent-Length: 99999999999\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.settings.serving.port)) as raw:
        raw.settimeout(PATIENCE)
        raw.sendall(head.encode())
        assert raw.recv(1_000).startswith(b"HTTP/1.1 413")


def test_other_users_cannot_look_into_what_the_server_writes(
    running: Running, open_to_others: Callable[[Path], list[str]]
) -> None:
    assert open_to_others(running.settings.served) == []
    assert open_to_others(running.settings.prediction_log_folder) == []
    assert running.settings.home.stat().st_mode & 0o077 == 0


def test_stopping_finishes_the_request_and_the_log(
    running: Running, promote: Callable[[int], None], trip: dict[str, Any]
) -> None:
    promote(1)
    wait_for(lambda: {running.version() for _ in range(30)} == {1}, "the champion")
    start = datetime.now(timezone.utc)
    replies: list[tuple[int, Any]] = []

    def ask() -> None:
        replies.append(
            running.ask("POST", "/predict", {"trips": [trip] * 9_999}, **{"X-Request-Id": "last"})
        )

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.02)  # wherever it is then: it must be answered
    assert running.stop() == 0, running.said()
    asking.join(PATIENCE)

    assert [status for status, _ in replies] == [200]
    assert len(replies[0][1]["predictions"]) == 9_999
    logged = read_log(running.settings, start, start + timedelta(hours=1), ["request_id", "caller"])
    assert (logged["request_id"] == "last").sum() == 9_999
    assert set(logged["caller"]) == {"tester"}


def test_without_the_registry_it_starts_with_what_served_last(
    running: Running, trip: dict[str, Any]
) -> None:
    running.environment["MLOPS_TRACKING__URI"] = "http://127.0.0.1:9"
    running.start()
    wait_for(lambda: running.ask("GET", "/readyz")[0] == 200, "the last champion")
    assert running.ask("POST", "/predict", trip)[1]["model_version"] == 1
    wait_for(lambda: "127.0.0.1:9" in running.ask("GET", "/model")[1]["problem"], "the problem")
    assert running.stop() == 0
