"""`monitoring` in real Mage: quiet, then drift; without a server, and with one; started once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from demo.servers import free_ports
from mlops.data.references import Extraction, QualityReport, TrainingSetManifest, Window
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TARGET
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import Verdict
from mlops.monitoring.findings.records import (
    DecisionRecord,
    read_decisions,
    read_windows,
    write_decision,
    write_window,
)
from mlops.monitoring.measures.learning import build_profile
from mlops.monitoring.windows.features import RowWindow
from mlops.orchestration.runs.history import runs_since, runs_with_variables
from mlops.orchestration.triggers import acting
from mlops.orchestration.triggers.client import start_pipeline
from mlops.registry.profiles import store_profile
from mlops.registry.receipts import collect_receipt
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.settings import FeatureSettings, Settings, load_settings
from mlops.steps import monitoring
from mlops.training.artifact import TabularModel

pytestmark = pytest.mark.mage

ROWS = 6_000
TESTED_FROM, TESTED_UNTIL = datetime(2024, 1, 1), datetime(2024, 2, 1)
PATIENCE_SECONDS = 150
YESTERDAY = datetime.now(timezone.utc) - timedelta(days=1)


@dataclass(frozen=True)
class Project:
    """A home with a champion, a source that months arrive in, and processes that work on it."""

    settings: Settings
    environment: dict[str, str]
    source: Path

    def arrive(self, month: str, drift: float = 0.0) -> None:
        table = generate_month(month, ROWS, seed=7, drift=drift)
        pq.write_table(table, self.source / f"green_tripdata_{month}.parquet")

    def look(self) -> DecisionRecord:
        """Do what the blocks do, one after the other."""
        measured = monitoring.measure_windows(monitoring.collect_windows({}), {})
        return DecisionRecord.model_validate(monitoring.decide(measured, {})["record"])

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mlops.cli", *arguments],
            env=self.environment,
            cwd=self.source,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    @contextmanager
    def server(self) -> Any:
        """Run `mlops up`, and whatever it starts, for a while."""
        popen = subprocess.Popen(
            [sys.executable, "-m", "mlops.cli", "up"],
            env=self.environment,
            cwd=self.source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said: list[str] = []
        try:
            for line in popen.stdout or ():
                said.append(line)
                if "Ctrl-C" in line:
                    break
            assert popen.poll() is None, "".join(said)
            reader = threading.Thread(target=lambda: said.extend(popen.stdout or ()))
            reader.start()
            yield
        finally:
            popen.send_signal(signal.SIGINT)
            try:
                popen.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(popen.pid, signal.SIGKILL)


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


@pytest.fixture
def project(
    tmp_path: Path,
    web: Any,
    sample_history: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    source = tmp_path / "source"
    source.mkdir()
    mage, mlflow, metrics = free_ports(3)
    given = {
        "HOME": tmp_path / "home",
        "SOURCE__KIND": "path",
        "SOURCE__LOCATION": source,
        "MONITORING__WINDOW_TRIPS": 2_000,
        "SERVER__MAGE_PORT": mage,
        "SERVER__MLFLOW_PORT": mlflow,
        "OBSERVABILITY__METRICS_PORT": metrics,
        "SERVER__SCHEDULER_INTERVAL_SECONDS": 1,
        "NOTIFICATIONS__WEBHOOKS": web.url("/hook"),
        "NOTIFICATIONS__TIMEOUT_SECONDS": 30,
    }
    variables = {f"MLOPS_{name}": str(value) for name, value in given.items()}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLOPS_", "MAGE_"))}
    for name in set(os.environ) - set(kept):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    project = Project(settings, {**kept, **variables}, source)
    months = ("2023-12", "2024-01")
    for month in months:
        project.arrive(month)
    crown(settings, sample_history(*months, rows=ROWS), source)
    return project


def crown(settings: Settings, past: pd.DataFrame, source: Path) -> None:
    """Register a small model with its profile, and promote it."""
    features = FeatureSettings()
    learned = past[past[PICKUP_AT] < TESTED_FROM].reset_index(drop=True)
    known = pd.concat([learned, RouteHistory(features).annotate(learned)], axis=1)
    routes = RouteStatistics.of(learned, TESTED_FROM, features)
    model = TabularModel.fit(
        "squared_error", {"rounds": 30}, known, FeatureEncoder(routes), TARGET, seed=1, threads=1
    )
    model = model.with_residual_interval(model, known)
    window = Window(start=TESTED_FROM, end=TESTED_UNTIL, rows=len(past))
    manifest = TrainingSetManifest(
        sha256="ab" * 32,
        uri="/store/training_sets/abab",
        rows=len(past),
        columns={},
        parts=(),
        train=window,
        validation=window,
        test=window,
        extraction=Extraction(kind="path", taxi="green", synthetic=True, files=()),
        quality=QualityReport(
            rows_read=9, rows_kept=9, rows_quarantined=0, bad_share=0, rules=(), quarantine_uri=None
        ),
        feature_version="1",
        code_commit="c0ffee",
        created_at=TESTED_UNTIL,
    )
    metrics = regression_metrics(past[TARGET], model.predict_point(past))
    receipt = collect_receipt(manifest, model.family, {}, settings)
    run = log_candidate(
        settings, manifest=manifest, model=model, metrics=metrics, receipt=receipt, stage="refit"
    )
    raw = pd.concat([read_trips(path, "green") for path in sorted(source.glob("*.parquet"))])
    raw = raw.sort_values(PICKUP_AT, kind="stable", ignore_index=True)
    raw = raw.assign(**{TARGET: (raw[DROPOFF_AT] - raw[PICKUP_AT]) / pd.Timedelta(minutes=1)})
    watching = TripWatching(settings.validation)
    history = RowWindow.of(raw, model.predict(raw), watching, model.encoder)
    bounds = model.shortest, model.longest
    store_profile(
        settings, run, build_profile(history, "1", TESTED_FROM, bounds, settings.monitoring)
    )
    registry = Registry(settings)
    evaluation = Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1)
    verdict = Verdict(passed=True, rules=(), summary="passed")
    registry.promote(registry.register(run, receipt, evaluation, verdict), "the first", "a test")


def told_of_the_model(web: Any) -> list[Any]:
    return [body for body in web.bodies("/hook") if body["incident"] == "monitoring:model"]


def test_from_a_quiet_month_to_a_retraining_that_is_started_once(
    project: Project, web: Any
) -> None:
    settings = project.settings
    # Given a month like those before, then nothing is the matter
    project.arrive("2024-02")
    quiet = project.look()
    assert quiet.decision.step == "ok", quiet.decision.reasons
    assert len(read_windows(settings)) >= 2
    assert web.received == []

    # When a month arrives that is otherwise, and no server is there
    project.arrive("2024-03", drift=1.0)
    done = project.call("monitor", "--json")
    # Then it says what is due, what a person would type, and tells people
    assert done.returncode == 12, done.stdout + done.stderr
    told = json.loads(done.stdout)
    [decision] = told["decisions"]
    assert decision["decision"]["step"] == "retrain"
    assert decision["started"] == "" and "mlops up" in decision["problem"]
    assert decision["command"].startswith("mlops retrain --force --reason")
    assert {window["origin"] for window in told["windows"]} == {"source"}
    [alert] = told_of_the_model(web)
    assert (alert["kind"], alert["severity"]) == ("monitoring", "error")
    assert alert["command"] == decision["command"]

    with project.server():
        # When monitoring is started in a server, as its schedule does
        start_pipeline(settings, "monitoring", {})
        # Then that decision is followed, by the trigger that a person would use
        record = until(
            lambda: next((r for r in read_decisions(settings) if r.started), None),
            "the retraining to be started",
        )
        assert (record.started, record.problem) == ("retraining", "")
        assert record.decision.at.isoformat() == decision["decision"]["at"].replace("Z", "+00:00")
        [(run, variables)] = runs_with_variables(settings, "retraining", YESTERDAY)
        assert run == record.started_run
        assert variables["force"] is True and variables["reason"].startswith("monitoring: ")
        # When the note of it is lost, as by a kill, then the same run is found again
        write_decision(settings, record.model_copy(update={"started": "", "started_run": None}))
        assert acting.act(settings, record).started_run == run
        assert len(runs_with_variables(settings, "retraining", YESTERDAY)) == 1
        _, second = until(lambda: told_of_the_model(web)[1:] and told_of_the_model(web), "news")

    assert f"retraining started as run {run}" in second["text"]
    assert "due, not started" in second["facts"]["so far"]
    # When it goes on, then the cool-down holds the next one back
    last = read_windows(settings)[-1]
    later = last.end + timedelta(days=1)
    write_window(settings, last.model_copy(update={"window": "v1-source-later", "end": later}))
    held = project.look()
    assert (held.decision.step, held.decision.held_back) == ("warn", "retrain")
    retrainings = [r for r in runs_since(settings, YESTERDAY) if r["pipeline"] == "retraining"]
    assert len(retrainings) == 1
