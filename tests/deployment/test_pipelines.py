"""The pipelines in real Mage, beside a real server: killed at every block, and still answering."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.deployment.endpoint import Endpoint
from mlops.deployment.records import Records
from mlops.registry.versions import Registry
from mlops.settings import PROJECT_ROOT, ServingSettings, Settings

pytestmark = pytest.mark.mage

HERE = Path(__file__).parent
PATIENCE_SECONDS = 120
BLOCKS = [
    block["uuid"]
    for block in yaml.safe_load(
        (PROJECT_ROOT / "pipelines" / "deployment" / "metadata.yaml").read_text("utf-8")
    )["blocks"]
    if block["type"] != "markdown"
]
QUICK = {"canary_minutes": 0, "by": "ann", "reason": "to see"}
CANARY = {
    **QUICK,
    "canary_minutes": 0.03,
    "canary_percent": 50,
    "deployment.canary_min_requests": 5,
    # two processes on a busy machine: what is compared here is not how fast they are
    "deployment.max_latency_ratio": 1_000,
}


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
    return found


@dataclass
class Client:
    """Asks for predictions without a pause and keeps what went wrong."""

    endpoint: Endpoint
    trip: dict[Any, Any]
    problems: list[str] = field(default_factory=list)
    versions: set[int | None] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.wait(0.1):
            answer = self.endpoint.ask(self.trip)
            self.versions.add(answer.version)
            if answer.problem:
                self.problems.append(answer.problem)


@dataclass
class Mage:
    """The process that runs pipelines, the server, and a client that never stops asking."""

    settings: Settings
    driver: subprocess.Popen[str]
    client: Client

    def start(self, *command: Any) -> int:
        assert self.driver.stdin is not None
        self.driver.stdin.write(json.dumps(command) + "\n")
        self.driver.stdin.flush()
        pid: int = self.read("pid")["pid"]
        return pid

    def read(self, key: str, **wanted: Any) -> dict[str, Any]:
        """Read up to the line that has a key, and the values wanted."""
        assert self.driver.stdout is not None
        for text in self.driver.stdout:
            if text.startswith("{"):
                line: dict[str, Any] = json.loads(text)
                if key in line and wanted.items() <= line.items():
                    return line
        raise AssertionError(f"the driver ended before it said {key} {wanted}")

    def end(self) -> dict[str, Any]:
        result = self.read("result")
        assert self.read("ended")["ended"] == 0
        return result

    def run(self, pipeline: str, **variables: Any) -> dict[str, Any]:
        self.start("run", pipeline, variables)
        return self.end()

    def resume(self, run: int) -> dict[str, Any]:
        self.start("resume", run)
        return self.end()

    def kill(self, pid: int) -> None:
        os.killpg(pid, signal.SIGKILL)
        assert self.read("ended")["ended"] == -signal.SIGKILL

    @property
    def registry(self) -> Registry:
        return Registry(self.settings)

    def serves(self, version: int) -> None:
        """Wait until the endpoint answers with a version."""
        endpoint, trip = self.client.endpoint, self.client.trip
        until(lambda: endpoint.ask(trip).version == version, f"version {version} to answer")


@pytest.fixture(scope="module")
def mage(
    with_champion: Settings,
    makers: Any,
    free_ports: Callable[[int], list[int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mage]:
    folder = tmp_path_factory.mktemp("mage")
    port, metrics_port = free_ports(2)
    copied = makers.copy_of(with_champion, folder)
    serving = ServingSettings(port=port, metrics_port=metrics_port)
    settings = copied.model_copy(update={"serving": serving})
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MLOPS_", "MAGE_"))},
        "MLOPS_HOME": str(settings.home),
        "MLOPS_SERVING__PORT": str(port),
        "MLOPS_SERVING__METRICS_PORT": str(metrics_port),
        "MLOPS_SERVING__POLL_SECONDS": "0.2",
        "MLOPS_DEPLOYMENT__REQUIRE_SERVER": "true",
        "MLOPS_DEPLOYMENT__SWAP_SECONDS": str(PATIENCE_SECONDS),
        "MLOPS_DEPLOYMENT__SMOKE_REQUESTS": "5",
    }
    options: dict[str, Any] = {"env": environment, "cwd": folder, "start_new_session": True}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlops.cli", "serve"], stdout=log, stderr=log, **options
        )
    driver = subprocess.Popen(
        [sys.executable, HERE / "drive_pipelines.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    model, _ = Registry(settings).load("champion")
    trip = TaxiTrips().golden_requests(model.encoder).bodies[0]
    mage = Mage(settings, driver, Client(Endpoint(settings), trip))
    try:
        mage.read("ready")
        mage.serves(1)
        thread = threading.Thread(target=mage.client.run)
        thread.start()
        yield mage
        mage.client.over.set()
        thread.join()
    finally:
        for process in (driver, server):
            os.killpg(process.pid, signal.SIGKILL if process is driver else signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block != "canary"])
def test_killed_at_a_block_the_old_or_the_new_champion_answers(mage: Mage, block: str) -> None:
    # Given a champion that answers, and a deployment of the next version
    before = mage.registry.champion_version()
    version = before % 3 + 1  # type: ignore[operator]
    pid = mage.start("run", "deployment", {"version": str(version), **QUICK})
    run = mage.read("event", event="RunStarted")["run_id"]
    # When everything is killed as soon as a block has started
    mage.read("event", event="BlockStarted", block=block)
    mage.kill(pid)
    # Then there is a champion, it loads, and no rollout is left
    _, champion = mage.registry.load("champion")
    assert champion.version in (before, version)
    assert mage.registry.rollout() is None
    # And resuming finishes what was begun, once
    assert mage.resume(run)["result"] == "completed"
    assert mage.registry.champion_version() == version
    record = Records(mage.settings.deployments).all()[0]
    assert (record.state, record.run.id, record.version) == ("kept", str(run), version)
    assert len({step.event for step in record.steps}) == len(record.steps) == 5
    mage.serves(version)


def test_killed_during_the_canary_the_rollout_ends_by_itself_and_can_be_resumed(
    mage: Mage,
) -> None:
    before = mage.registry.champion_version()
    version = before % 3 + 1  # type: ignore[operator]
    pid = mage.start("run", "deployment", {"version": str(version), **CANARY})
    run = mage.read("event", event="RunStarted")["run_id"]
    until(lambda: mage.registry.rollout(), "the canary")
    mage.kill(pid)

    rollout = mage.registry.rollout()
    assert rollout is not None
    assert rollout.is_over(datetime.fromtimestamp(time.time() + 600, timezone.utc))
    assert mage.registry.champion_version() == before

    assert mage.resume(run)["result"] == "completed"
    assert mage.registry.rollout() is None
    record = Records(mage.settings.deployments).all()[0]
    assert [step.event for step in record.steps] == [
        "artifact_passed",
        "canary_passed",
        "promoted",
        "smoke_passed",
        "kept",
    ]
    mage.serves(version)


def test_a_rollback_ends_a_deployment_that_was_killed_half_way(mage: Mage) -> None:
    # Given a new champion that nobody has asked yet, because its deployment was killed
    before = mage.registry.champion_version()
    version = before % 3 + 1  # type: ignore[operator]
    pid = mage.start("run", "deployment", {"version": str(version), **QUICK})
    run = mage.read("event", event="RunStarted")["run_id"]
    mage.read("event", event="BlockStarted", block="smoke_test")
    mage.kill(pid)
    assert mage.registry.champion_version() == version

    # When it is rolled back
    done = mage.run("rollback", reason="half-way", by="bob")

    # Then the previous champion answers, and the killed run can only end
    assert done["result"] == "completed"
    assert mage.registry.champion_version() == before
    mage.serves(before)  # type: ignore[arg-type]
    ended = mage.resume(run)
    assert ended["result"] == "failed"
    assert "stopped by a rollback: half-way" in ended["errors"]["smoke_test"]
    assert mage.registry.champion_version() == before


def test_a_version_that_may_not_be_deployed_fails_the_first_block_by_name(mage: Mage) -> None:
    for variables, named in (
        ({}, "version: not given"),
        ({"version": 99}, "version: there is no version '99'"),
        ({"version": "4"}, "did not pass the gate"),
    ):
        failed = mage.run("deployment", **variables)
        assert named in failed["errors"]["resolve_version"]


def test_nobody_who_asked_went_without_an_answer(mage: Mage) -> None:
    """Last, because the client has been asking while all of the above happened."""
    assert mage.client.problems == []
    assert mage.client.versions == {1, 2, 3}
    reply = requests.get(
        f"{mage.settings.serving_url}/model",
        headers=mage.client.endpoint._headers(),
        timeout=10,
    )
    assert reply.json()["champion"]["version"] == mage.registry.champion_version()
