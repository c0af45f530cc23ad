"""Fixtures every test may use."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from demo.servers import free_ports
from mlops import extensions, fingerprints
from mlops.cores import usable_cores
from mlops.data.months import month_bounds
from mlops.data.references import (
    Extraction,
    QualityReport,
    SourceFile,
    TrainingSetManifest,
    Window,
)
from mlops.data.store.snapshots import read_window
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS, moments
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TARGET, TRIP_COLUMNS
from mlops.datasets.taxi.watched.watching import FEATURES
from mlops.deployment.records import DeploymentRecord, Records, RunKey
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.explanation import gain_insight
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.monitoring.findings.policy import Champion as PolicyChampion
from mlops.monitoring.findings.policy import WindowOutcome, decide
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    write_decision,
    write_window,
)
from mlops.monitoring.findings.report import Finding, WindowReport, worst_first
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.reference.tables import FeatureCounts
from mlops.registry.receipts import collect_receipt
from mlops.registry.selections import Compared, Selection, write_selection
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.settings import FeatureSettings, Settings, TrainingSettings, load_settings
from mlops.training.artifact import TabularModel
from mlops.training.tuning import tune

pytest_plugins = ["tests.warm_processes"]

# The one reason to skip that holds in CI too: whoever runs it may not have the real months.
NO_REAL_MONTHS = "no real TLC months"


class FileProgress:
    """One line per finished file while tests run on several cores, instead of a dot per test."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.left: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.tests = self.done = 0

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.left = Counter(name.split("::")[0] for name in ids)
        self.tests = len(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.split("::")[0]
        self.seconds[file] += report.duration
        if report.failed:
            self.failed[file] += 1
            self._say(f"FAILED {report.nodeid} ({report.when})")
        if report.when == "teardown":
            self.left[file] -= 1
            self.done += 1
            if not self.left[file]:
                failures = f", {self.failed[file]} failed" if self.failed[file] else ""
                share = f"[{self.done:5,} of {self.tests:,}]"
                self._say(f"{share} {file}: {self.seconds[file]:.0f} s{failures}")

    def _say(self, line: str) -> None:
        self.config.pluginmanager.getplugin("terminalreporter").write_line(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        quiet = isinstance(report, pytest.TestReport) and report.when == "call" and report.passed
        return ("passed", "", "") if quiet else None


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FileProgress(config))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker a whole file, or all files that look at one server in the browser."""
    from xdist.scheduler import LoadFileScheduling

    class ByWhatIsShared(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            folder = file.rpartition("/")[0]
            alone = not file.startswith("tests/browser/") or file.endswith("/test_editor.py")
            return file if alone else folder

    return ByWhatIsShared(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """One file more at a time than there are cores: those that run servers mostly wait."""
    return usable_cores() + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that run servers, which take longest, each followed by another one.

    Side by side, several that start at once would only be in each other's way.
    """
    files: dict[Path, bool] = {}
    for item in items:
        servers = any(item.iter_markers("mage")) or any(item.iter_markers("browser"))
        files[item.path] = files.get(item.path, False) or servers
    places = {True: 0, False: 1}  # of the next file with servers, and without
    order = {}
    for path, servers in files.items():
        order[path], places[servers] = places[servers], places[servers] + 2
    items.sort(key=lambda item: order[item.path])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI everything is installed that tests need: one that is skipped there has failed."""
    terminal = session.config.pluginmanager.getplugin("terminalreporter")
    if os.environ.get("CI") != "true" or terminal is None:
        return
    skipped = [
        r for r in terminal.stats.get("skipped", ()) if NO_REAL_MONTHS not in str(r.longrepr)
    ]
    if skipped:
        terminal.write_line(f"{len(skipped)} tests were skipped that must run in CI", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# Machines are shared: how long an example takes says nothing about the code.
hypothesis.settings.register_profile(
    "shared machines", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machines")

PROJECT_ROOT = Path(__file__).resolve().parents[1]
_TESTED_UNTIL = datetime(2024, 2, 1)


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return what puts a definition, as text, into the working directory, and names its folder."""
    monkeypatch.chdir(tmp_path)

    def put(definition: str) -> Path:
        folder = tmp_path / "datasets" / str(yaml.safe_load(definition)["name"])
        folder.mkdir(parents=True)
        (folder / "dataset.yaml").write_text(definition)
        return folder

    return put


@pytest.fixture(scope="session")
def open_to_others() -> Callable[[Path], list[str]]:
    """Return what lists the files and folders of a home that other users could look into."""

    def look(home: Path) -> list[str]:
        paths = [home, *home.rglob("*")]
        return [str(p) for p in paths if not p.is_symlink() and p.stat().st_mode & 0o077]

    return look


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder holding the real TLC months (``green/*.parquet``), or a skip with the reason."""
    folder = Path(os.environ.get("MLOPS_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not any(folder.glob("green/*.parquet")):
        pytest.skip(f"{NO_REAL_MONTHS} in {folder}: set MLOPS_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def make_trips() -> Callable[..., pd.DataFrame]:
    """Return a maker of canonical trips that obey every rule of the data contract."""

    def make(rows: int = 200, month: str = "2024-01", seed: int = 0) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        start, end = month_bounds(month)
        # Whole seconds, all different, on every day: no row repeats and no day is missing.
        step = int((end - start).total_seconds()) // max(rows, 1)
        seconds = np.arange(rows) * step + random.integers(0, max(step, 1), rows)
        minutes = random.uniform(5, 40, rows).round(1)
        trips = pd.DataFrame(
            {
                "pickup_at": pd.Timestamp(start) + pd.to_timedelta(seconds, unit="s"),
                "pickup_zone": random.integers(1, 264, rows),
                "dropoff_zone": random.integers(1, 264, rows),
                "trip_distance": (minutes * random.uniform(0.1, 0.4, rows)).round(2),
                "passenger_count": random.integers(1, 6, rows),
                "rate_code": 1,
                "trip_type": 1,
                "vendor_id": random.integers(1, 3, rows),
                "fare_amount": (3 + minutes).round(2),
            }
        )
        trips["dropoff_at"] = trips["pickup_at"] + pd.to_timedelta(minutes * 60, unit="s")
        return trips[list(TRIP_COLUMNS)].astype(TRIP_COLUMNS)

    return make


@pytest.fixture(scope="session")
def write_source() -> Callable[..., SourceFile]:
    """Return a writer of trips as a source file."""

    def write(
        trips: pd.DataFrame, path: Path, month: str = "2024-01", **options: Any
    ) -> SourceFile:
        trips.to_parquet(path, index=False, **options)
        content = path.read_bytes()
        return SourceFile(
            month=month,
            uri=str(path),
            name=path.name,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            rows=len(trips),
        )

    return write


@pytest.fixture(scope="session")
def extraction_of() -> Callable[..., Extraction]:
    """Return a maker of an extraction of green files."""

    def of(*files: SourceFile) -> Extraction:
        return Extraction(kind="path", taxi="green", synthetic=False, files=files)

    return of


@pytest.fixture(scope="session")
def sample_history(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., pd.DataFrame]:
    """Return a maker of finished synthetic trips of one or more months, sorted by pickup."""
    folder = tmp_path_factory.mktemp("sample_history")

    def make(*months: str, rows: int = 3_000, seed: int = 7) -> pd.DataFrame:
        frames = []
        for month in months:
            path = folder / f"{month}-{rows}-{seed}.parquet"
            pq.write_table(generate_month(month, rows, seed), path)
            trips = read_trips(path, "green")
            start, end = month_bounds(month)
            frames.append(trips[(trips[PICKUP_AT] >= start) & (trips[PICKUP_AT] < end)])
        history = pd.concat(frames)
        history[TARGET] = (history[DROPOFF_AT] - history[PICKUP_AT]) / pd.Timedelta(minutes=1)
        finished = history[history[TARGET].between(1, 60)]
        return finished.sort_values(PICKUP_AT, kind="stable").reset_index(drop=True)

    return make


@pytest.fixture(scope="session")
def make_window() -> Callable[..., WindowRecord]:
    """Return a maker of windows on record, of which one kind of finding or another has an alarm."""

    def finding(kind: Any, outcome: Any) -> Finding:
        performance = kind == "performance"
        return Finding(
            kind=kind,
            subject="all trips" if performance else f"{kind} subject",
            statistic="rmse" if performance else "psi",
            value=5.0 if outcome == "alarm" else 4.0,
            reference=4.0,
            unit="min",
            limit=4.5,
            score=3.0,
            interval=(3.5, 4.5),
            rows=5_000,
            outcome=outcome,
            why=f"{kind} is {'odd' if outcome == 'alarm' else 'as usual'}: 5 min (limit 4.5)",
        )

    def make(
        hour: int,
        *alarms: str,
        quiet: tuple[str, ...] = ("drift", "quality"),
        version: int = 3,
        origin: Any = "served",
    ) -> WindowRecord:
        start = datetime(2024, 3, 1, tzinfo=timezone.utc) + timedelta(hours=hour)
        name = f"v{version}-{origin}-{start:%Y%m%dT%H%M%S}"
        others = [kind for kind in quiet if kind not in alarms]
        found = [*(finding(f, "alarm") for f in alarms), *(finding(f, "ok") for f in others)]
        labelled = 4_900 if {"performance", "labels"} & {*alarms, *quiet} else 0
        return WindowRecord(
            window=name,
            origin=origin,
            version=version,
            start=start,
            end=start + timedelta(hours=1),
            trips=5_000,
            labelled=labelled,
            report=WindowReport(
                window=name,
                version=str(version),
                start=start.replace(tzinfo=None),
                end=start.replace(tzinfo=None) + timedelta(hours=1),
                created_at=start + timedelta(hours=2),
                rows=5_000,
                refused=0,
                labelled=labelled,
                findings=tuple(found),
            ),
        )

    return make


@pytest.fixture(scope="session")
def make_champion(sample_history: Callable[..., pd.DataFrame]) -> Callable[[Path], None]:
    """Return what registers a small model in a home and promotes it, without a pipeline run."""

    def make(home: Path) -> None:
        settings = load_settings({"home": home})
        trips = sample_history("2024-01", rows=1_500)
        trips = pd.concat([trips, RouteHistory(FeatureSettings()).annotate(trips)], axis=1)
        statistics = RouteStatistics.of(trips, _TESTED_UNTIL, FeatureSettings())
        mean = TabularModel.fit(
            "global_mean", {}, trips, FeatureEncoder(statistics), TARGET, seed=1, threads=1
        )
        model = TabularModel.fit(
            "squared_error",
            {"rounds": 20},
            trips,
            FeatureEncoder(statistics),
            TARGET,
            seed=1,
            threads=1,
        ).with_residual_interval(mean, trips)
        manifest = _manifest_of(len(trips))
        metrics = regression_metrics(trips["duration_minutes"], model.predict_point(trips))
        receipt = collect_receipt(manifest, model.family, {}, settings)
        run = log_candidate(
            settings,
            manifest=manifest,
            model=model,
            metrics=metrics,
            receipt=receipt,
            insight=gain_insight(model, trips, TaxiTrips(), model.predict_point(trips), "test"),
            stage="refit",
        )
        evaluation = Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1)
        verdict = Verdict(passed=True, rules=(), summary="passed")
        registry = Registry(settings)
        version = registry.register(run, receipt, evaluation, verdict)
        registry.promote(version, "for the playground", "a test")

    return make


def extension_examples() -> dict[str, str]:
    """Return the examples in the README of `extensions/` by the name of their file there."""
    text = (PROJECT_ROOT / "extensions" / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"```python\n# extensions/(\S+)\n(.*?)```", text, re.DOTALL))


@pytest.fixture
def add_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Return what writes an example of the README, or any text, into a project of its own."""
    monkeypatch.setattr(extensions, "FOLDER", tmp_path / "extensions")

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "extensions"]:
            del sys.modules[name]
        extensions._added.cache_clear()
        fingerprints.sources.cache_clear()

    def add(name: str, text: str = "") -> Path:
        file = tmp_path / "extensions" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text or extension_examples()[name])
        forget()
        return file

    forget()
    yield add
    forget()


@pytest.fixture(scope="session")
def make_manifest() -> Callable[[int], TrainingSetManifest]:
    """Return a maker of the manifest of a training set of so many trips."""
    return _manifest_of


def _manifest_of(rows: int) -> TrainingSetManifest:
    window = Window(start=datetime(2024, 1, 1), end=_TESTED_UNTIL, rows=rows)
    return TrainingSetManifest(
        sha256="ab" * 32,
        uri="/store/training_sets/abab",
        rows=rows,
        columns={},
        parts=(),
        train=window,
        validation=window,
        test=window,
        extraction=Extraction(kind="sample", taxi="green", synthetic=True, files=()),
        quality=QualityReport(
            rows_read=rows,
            rows_kept=rows,
            rows_quarantined=0,
            bad_share=0,
            rules=(),
            quarantine_uri=None,
        ),
        feature_version="1",
        code_commit="c0ffee",
        created_at=_TESTED_UNTIL,
    )


@pytest.fixture(scope="session")
def lived_in(
    tmp_path_factory: pytest.TempPathFactory,
    make_champion: Callable[[Path], None],
    make_window: Callable[..., WindowRecord],
) -> Settings:
    """Return a home with a past: data, trainings, a champion, a selection, windows, decisions.

    What learns or runs for minutes is written down as if it had; the rest is real. It is for those
    who look; they leave it as it is.
    """
    from mlops.steps.data_preparation import build, extract, publish, validate  # it loads much

    home = tmp_path_factory.mktemp("lived-in")
    make_champion(home)
    source = {"months": "2024-01..2024-02", "source.sample_rows": 1_500}
    settings = load_settings({"home": home, "validation.min_rows": 1_000, **source})
    variables = {"home": str(home), "validation.min_rows": 1_000, **source}
    built = build(validate(extract(variables), variables), variables)
    manifest = TrainingSetManifest.model_validate(publish(built, variables))
    champion = Registry(settings).champion()
    assert champion is not None and champion.receipt and champion.evaluation
    _compare_with_reference(settings, manifest, champion.run_id)
    rule = RuleResult(
        **{"rule": "champion", "value": 0.031, "sense": ">", "limit": 0.0, "unit": "%"},
        passed=True,
        why="3.1% better than version 1 (+1.9% to +4.2%)",
    )
    metrics = champion.evaluation.metrics
    compared = {"baseline": False, "trials": 8, "seconds": 2.5, "run_id": champion.run_id}
    write_selection(
        settings,
        Selection(
            run="1",
            at=datetime.now(timezone.utc),
            candidates=(
                Compared(
                    family="squared_error", validation_rmse=4.641, metrics=metrics, **compared
                ),
                Compared(family="lasso", validation_rmse=4.9, metrics=metrics, **compared),
                Compared(
                    **{**compared, "family": "quantiles", "validation_rmse": 5.0},
                    metrics=None,
                    error="it broke",
                ),
            ),
            winner="squared_error",
            champion=1,
            verdict=Verdict(passed=True, rules=(rule,), summary="passed"),
            receipt=champion.receipt,
            evaluation=champion.evaluation,
        ),
    )
    windows = [_window(make_window(24 * day), late=day >= 6) for day in range(8)]
    for number, window in enumerate(windows):
        write_window(settings, window)
        outcomes = [WindowOutcome.of(w.report, w.end) for w in windows[: number + 1]]
        in_charge = PolicyChampion(version="1", promoted_at=windows[0].start)
        decision = decide(outcomes, in_charge, (), window.end, settings.monitoring)
        retrained = decision.step == "retrain"
        write_decision(
            settings,
            DecisionRecord(
                decision=decision,
                started="retraining" if retrained else "",
                started_run=12 if retrained else None,
                command="mlops retrain" if decision.step == "warn" else "",
            ),
        )
    _deploy(settings)
    _search(settings, manifest)
    return settings


def _search(settings: Settings, manifest: TrainingSetManifest) -> None:
    """Search small candidates and record them, as three runs of training pipelines would have."""
    train, validation = read_window(manifest, "train"), read_window(manifest, "validation")
    statistics = RouteStatistics.of(train, manifest.validation.start, FeatureSettings())
    few = TrainingSettings(
        max_evals=5,
        overrides={"squared_error": {"max_depth": 3}, "random_forest": {"n_estimators": 4}},
    )
    for pipeline, number, family in (
        ("sklearn_training", 3, "lasso"),
        ("sklearn_training", 4, "lasso"),
        ("sklearn_training", 4, "random_forest"),
        ("sklearn_training", 4, "global_mean"),
        ("xgboost_training", 5, "squared_error"),
    ):
        search = tune(family, train, validation, FeatureEncoder(statistics), TARGET, few, threads=1)
        predicted = search.model.predict_point(validation)
        run = {"pipeline_uuid": pipeline, "pipeline_run_id": number}
        log_candidate(
            settings,
            manifest=manifest,
            model=search.model,
            metrics=regression_metrics(validation[TARGET], predicted),
            receipt=collect_receipt(manifest, family, search.best_params, settings, run),
            search=search,
            insight=gain_insight(
                search.model, validation, TaxiTrips(), predicted, "validation", search
            ),
        )


def _compare_with_reference(settings: Settings, manifest: TrainingSetManifest, run: str) -> None:
    """Give the champion a reference, as if it had been learned; nothing can be judged by it."""
    trips = pd.concat([pd.read_parquet(part.uri) for part in manifest.parts], ignore_index=True)
    parts_of_day = moments(trips[PICKUP_AT]).band
    features = []
    for feature in FEATURES:
        if feature.name in trips:
            values = trips[feature.name].to_numpy(dtype="float64", na_value=np.nan)
            table = FeatureCounts.of(feature, values)
            codes = table.codes(values)
            features.append(table.counting(codes, parts_of_day, NUMBER_OF_BANDS))
    ReferenceProfile(
        version="1",
        created_at=manifest.created_at,
        start=manifest.train.start,
        end=manifest.test.end,
        tested_from=manifest.test.start,
        rows=len(trips),
        shortest=1,
        longest=60,
        features=tuple(features),
        shares=(),
        errors=(),
    ).save(settings.monitored / "profiles" / f"{run}.json")


def _window(made: WindowRecord, late: bool) -> WindowRecord:
    """Let a window show every feature and an error; both are odd in the late ones."""

    def finding(kind: Any, subject: str, statistic: str, value: float, limit: float) -> Finding:
        return Finding(
            **{"kind": kind, "subject": subject, "statistic": statistic, "value": value},
            **{"limit": limit, "outcome": "alarm" if value > limit else "ok", "rows": 4_900},
            **{"reference": 0.0, "unit": "min" if statistic == "rmse" else "", "score": value},
            interval=(value - 0.2, value + 0.2) if statistic == "rmse" else None,
            why=f"{statistic} of {subject} is {value} (limit {limit})",
        )

    found = [
        finding("labels" if f.label else "drift", f.name, "psi", 0.35 if late else 0.02, 0.1)
        for f in FEATURES
    ]
    found.append(finding("performance", "all trips", "rmse", 6.1 if late else 4.9, 5.4))
    report = made.report.model_copy(update={"findings": worst_first(found), "version": "1"})
    return made.model_copy(update={"version": 1, "report": report, "labelled": 4_900})


def _deploy(settings: Settings) -> None:
    record = DeploymentRecord(
        id="20240309T120000-v1",
        kind="deployment",
        version=1,
        from_version=None,
        asked="challenger",
        by="ana",
        reason="it is better",
        run=RunKey(),
        started_at=datetime(2024, 3, 9, 12, tzinfo=timezone.utc),
    )
    record = record.after("artifact_passed", "it answers the golden requests")
    Records(settings.deployments).save(
        record.after("canary_failed", "the canary's 95th percentile is 9.4 ms, the champion's 2.9")
    )


@dataclass(frozen=True)
class PostgresqlServer:
    """A PostgreSQL server of our own, reached over the loopback."""

    url: str
    command: tuple[str, ...]
    start_options: tuple[str, ...]
    folder: Path

    def start(self) -> None:
        self._run(*self.start_options, "start")

    def stop(self) -> None:
        self._run("-m", "immediate", "stop")

    def _run(self, *arguments: str) -> None:
        said = self.folder / "pg_ctl.log"
        with said.open("ab") as output:  # not a pipe: the server would hold it open
            done = subprocess.run(
                [*self.command, *arguments], cwd=self.folder, stdout=output, stderr=output
            )
        assert done.returncode == 0, said.read_text() + (self.folder / "log").read_text()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """Return a running PostgreSQL server, or skip where there are no server programs."""
    search = os.pathsep.join(
        [os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    )
    initdb, pg_ctl = shutil.which("initdb", path=search), shutil.which("pg_ctl", path=search)
    if not initdb or not pg_ctl:
        pytest.skip("no PostgreSQL server programs on this machine")
    # Not below pytest's own folder: every session that starts closes that one to other users.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    user: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = ("runuser", "-u", "nobody", "--")
        shutil.chown(folder, "nobody")
    data = str(folder / "data")
    subprocess.run(
        [*user, initdb, "-D", data, "-U", "mage", "--auth=trust"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (port,) = free_ports(1)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    server = PostgresqlServer(
        f"postgresql+psycopg2://mage@127.0.0.1:{port}/postgres",
        (*user, pg_ctl, "-D", data, "-w"),
        ("-o", options, "-l", str(folder / "log")),
        folder,
    )
    try:
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class WebReceiver:
    """Takes what is posted, and answers as told: a status, ``wait``, ``hang`` or ``drip``."""

    port: int = 0
    answers: dict[str, list[Any]] = field(default_factory=dict)  # by path; the last one stays
    received: list[tuple[str, Any]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, path: str) -> list[Any]:
        return [body for where, body in self.received if where == path]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebReceiver]:
    """Return a running receiver of webhooks on the loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    receiver = WebReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            receiver.received.append((self.path, json.loads(self.rfile.read(length))))
            answers = receiver.answers.get(self.path, [200])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer == "hang":
                receiver.release.wait(120)
                return
            if answer == "drip":  # a byte now and then keeps any socket time-out from firing
                while not receiver.release.wait(0.05):
                    self.wfile.write(b"H")
                return
            if answer == "wait":
                receiver.release.wait(120)
                answer = 200
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # who posted has given up
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield receiver
        receiver.release.set()
        server.shutdown()
        thread.join()
