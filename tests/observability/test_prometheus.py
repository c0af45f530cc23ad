"""A real Prometheus with the real rules, at a real observer and a real online server.

How long an alert must last is the rules' own affair and is tested with promtool, in tests/deploy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.servers import free_ports
from mlops.data.references import TrainingSetManifest
from mlops.data.store.manifests import CURRENT, MANIFEST, TRAINING_SETS
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.deployment.records import DeploymentRecord, Records, RunKey
from mlops.monitoring.findings.policy import Champion, Decision
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    write_decision,
    write_window,
)
from mlops.records.files import write_record
from mlops.retraining.records import PendingApproval, ask_for_approval
from mlops.serving.answers.metrics import ServingMetrics
from mlops.settings import Settings, load_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMETHEUS = shutil.which("prometheus")
PATIENCE = 90.0  # seconds, on a machine that others use
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


@dataclass
class Place:
    """A watched home, and the processes that watch it."""

    settings: Settings
    mage: Any
    folder: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        environment = {
            "MLOPS_HOME": str(self.settings.home),
            "MLOPS_SERVING__PORT": str(self.settings.serving.port),
            "MLOPS_SERVING__METRICS_PORT": str(self.settings.serving.metrics_port),
            "MLOPS_SERVING__REQUIRE_KEY": "false",
            "MLOPS_OBSERVABILITY__METRICS_PORT": str(self.settings.observability.metrics_port),
            "MLOPS_OBSERVABILITY__REFRESH_SECONDS": "1",
        }
        self.processes[name] = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=(self.folder / f"{name}.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def mlops(self, command: str) -> None:
        self.start(command, sys.executable, "-m", "mlops.cli", command)

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)

    def ask(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}", timeout=30
        ) as response:
            return json.load(response)["data"]

    def alerts(self) -> dict[str, Any]:
        """Return the alerts that are pending or firing, by name."""
        return {alert["labels"]["alertname"]: alert for alert in self.ask("alerts")["alerts"]}

    def is_firing(self, name: str) -> bool:
        return self.alerts().get(name, {}).get("state") == "firing"

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if found := condition():
                    return found
            except OSError:
                pass  # not up yet
            if time.monotonic() > deadline:
                said = {path.name: path.read_text()[-1_500:] for path in self.folder.glob("*.log")}
                raise AssertionError(f"in vain waited for {what}: {said}")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    make_champion: Callable[[Path], None],
    make_mage: Callable[[Path], Any],
    make_window: Callable[..., WindowRecord],
    make_manifest: Callable[[int], TrainingSetManifest],
) -> Iterator[Place]:
    if PROMETHEUS is None:
        pytest.skip("no prometheus: install Debian's package prometheus")
    folder = tmp_path_factory.mktemp("watched")
    ports = free_ports(4)
    settings = load_settings(
        {
            "home": folder / "home",
            "serving.port": ports[0],
            "serving.metrics_port": ports[1],
            "observability.metrics_port": ports[2],
        }
    )
    make_champion(settings.home)
    place = Place(settings, make_mage(settings.home), folder, ports[3])
    furnish(place, make_window, make_manifest(90))
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(configured(settings)), encoding="utf-8")
    place.mlops("observe")
    place.mlops("serve")
    place.start(
        "prometheus",
        str(PROMETHEUS),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{place.port}",
    )
    try:
        yield place
    finally:
        for name in list(place.processes):
            place.end(name)


def furnish(
    place: Place, make_window: Callable[..., WindowRecord], manifest: TrainingSetManifest
) -> None:
    """Give the home one of everything that is told, all of it well."""
    settings, now = place.settings, datetime.now(timezone.utc)
    place.mage.trigger("batch_inference", "daily", days_ago=1)
    place.mage.run("batch_inference", minutes_ago=30)
    place.mage.run("retraining", "FAILED", minutes_ago=50)
    place.mage.run("retraining", minutes_ago=40)
    place.mage.run("deployment", "RUNNING", minutes_ago=1, seconds=None)
    write_window(settings, make_window(1, quiet=("drift", "performance"), version=1))
    decision = Decision(
        step="ok",
        at=now,
        reasons=("nothing unusual",),
        champion=Champion(version="1", promoted_at=now),
        windows=(),
    )
    write_decision(settings, DecisionRecord(decision=decision))
    record = DeploymentRecord(
        id="20240301T000000-v1",
        kind="deployment",
        version=1,
        from_version=None,
        asked="1",
        by="ann",
        reason="first",
        run=RunKey(),
        started_at=now,
    )
    Records(settings.deployments).save(record.after("already_champion", "it is"))
    Records(settings.deployments).save(record.model_copy(update={"id": "20240302T000000-v1"}))
    approval = PendingApproval(version=1, reason="", verdict="", run_id=1, requested_at=now)
    ask_for_approval(settings, approval)
    for product in (TRAINING_SETS, "route_statistics"):
        (settings.store / product).mkdir(parents=True)
        (settings.store / product / CURRENT).write_text(manifest.sha256)
    folder = settings.store / TRAINING_SETS / manifest.sha256
    write_record(folder / MANIFEST, manifest)


def configured(settings: Settings) -> dict[str, Any]:
    """Return the real configuration, in a hurry, looking at this machine."""
    content = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    content["global"].update(
        scrape_interval="1s",
        evaluation_interval="1s",
        external_labels={"grafana": "https://grafana.example"},
    )
    content["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in content["rule_files"]]
    ports = {
        "observer": settings.observability.metrics_port,
        "serving": settings.serving.metrics_port,
    }
    for job in content["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
    return content  # type: ignore[no-any-return]


def predict(place: Place) -> bool:
    """Ask the online server once; False until it has a champion."""
    trip = {"pickup_at": "2024-02-05T08:30:00", "pickup_zone": 74, "dropoff_zone": 138}
    request = urllib.request.Request(
        f"http://127.0.0.1:{place.settings.serving.port}/predict",
        json.dumps(trip).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return bool(response.status == 200)


def test_all_targets_are_up_all_rules_are_healthy_and_nothing_is_wrong(place: Place) -> None:
    place.wait(lambda: predict(place), "an answer")
    healths = place.wait(
        lambda: (
            (targets := place.ask("targets")["activeTargets"])
            and {t["labels"]["job"]: t["health"] for t in targets}
            == {"observer": "up", "serving": "up"}
            and targets
        ),
        "both targets",
    )
    assert all(target["lastError"] == "" for target in healths)

    def rules() -> list[dict[str, Any]]:
        return [rule for group in place.ask("rules")["groups"] for rule in group["rules"]]

    place.wait(
        lambda: all(rule["health"] != "unknown" for rule in rules()), "all rules to be looked at"
    )
    assert len(rules()) > 20
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules()} == {("ok", "")}
    place.wait(
        lambda: place.ask("query", query="mlops_model_champion_version == 1")["result"],
        "the observer's numbers",
    )
    assert [name for name in place.alerts() if place.is_firing(name)] == []


def test_dashboards_and_rules_ask_only_for_what_is_told(place: Place) -> None:
    place.wait(
        lambda: place.ask("query", query="mlops_serving_answers_total")["result"],
        "an answer counted",
    )
    known = told(place.settings.observability.metrics_port) | told_by_servers()
    asked = {
        (path.stem, panel["title"], target["expr"].replace("$pipeline", ".*"))
        for path in DASHBOARDS
        for panel in json.loads(path.read_text("utf-8"))["panels"]
        for target in panel["targets"]
    }
    asked |= {
        ("rules", rule["name"], rule["query"])
        for group in place.ask("rules")["groups"]
        for rule in group["rules"]
    }
    assert len(asked) > 80
    for *where, expression in sorted(asked):
        names = set(re.findall(r"\bmlops_\w+", expression))
        assert names <= known, (where, names - known)
        place.ask("query", query=expression)  # raises where it does not parse


def told(port: int) -> set[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        return set(re.findall(r"^# TYPE (\w+)", response.read().decode(), re.MULTILINE))


def told_by_servers() -> set[str]:
    """Return what the online server can tell; much of it only once it has happened."""
    names = {"mlops_serving_follower_problem"}
    for metric in ServingMetrics(TaxiTrips.answer_bounds).registry.collect():
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        names |= {metric.name + ending for ending in endings.get(metric.type, ("",))}
    return names


def test_alerts_fire_on_faults_and_resolve_after(
    place: Place, make_window: Callable[..., WindowRecord]
) -> None:
    place.wait(lambda: predict(place), "an answer")
    # When the world moves, a run fails, and the online server dies
    write_window(place.settings, make_window(2, "drift", version=1, quiet=()))
    failed = place.mage.run("batch_inference", "FAILED", minutes_ago=2, error="OSError: disk full")
    place.end("serve")
    # Then each is told, with what a person needs
    alerts = place.wait(
        lambda: (
            place.is_firing("InputDrift")
            and place.is_firing("PipelineFailed")
            and "ServingDown" in (found := place.alerts())
            and found
        ),
        "all alerts",
    )
    drift = alerts["InputDrift"]["annotations"]
    assert drift["description"].startswith(
        "Statistics beyond their limits: 1. PSI of drift subject"
    )
    assert "2024-03-01 02:00:00" in drift["description"]
    assert drift["dashboard"] == "https://grafana.example/d/mlops-models"
    assert alerts["PipelineFailed"]["labels"]["pipeline"] == "batch_inference"
    assert alerts["PipelineFailed"]["annotations"]["command"].startswith("mlops ")
    assert alerts["ServingDown"]["labels"]["severity"] == "error"
    # And when all is well again, nothing is left.
    write_window(place.settings, make_window(3, version=1))
    place.mage.run("batch_inference", minutes_ago=0.5, seconds=20)
    place.mlops("serve")
    place.wait(
        lambda: not place.alerts().keys() & {"InputDrift", "PipelineFailed", "ServingDown"},
        "the end of the alerts",
    )
    assert failed


def test_the_observer_is_quick_and_light(place: Place) -> None:
    """A scrape is far below its limit of 100 ms even on a busy machine: the best of several."""
    port = place.settings.observability.metrics_port
    place.wait(lambda: told(port), "the observer")
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        told(port)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.1
