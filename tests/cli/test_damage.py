"""Damaged state: each kind of file under a home, truncated, emptied, garbled and removed.

`kinds` is the table of outcomes. No command ends in a traceback, what is damaged is named, and
after the file is removed, as the messages advise, nothing is wrong any more. What can be made again
is made again, and is what it was.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.backtest.results import BacktestResult
from mlops.backtest.summary import write_result
from mlops.cli import main
from mlops.data.store.manifests import current_training_set, load_manifest
from mlops.data.store.publications import reason_to_build
from mlops.data.store.snapshots import verify
from mlops.datasets.opening import dataset_of
from mlops.datasets.taxi.features.products import publish_route_statistics
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.deployment.claim import Claim, Claims
from mlops.deployment.endpoint import deployment_token
from mlops.deployment.records import Records, RunKey
from mlops.errors import EXIT_CODES
from mlops.evaluation.verdict import Verdict
from mlops.inference.batch import score
from mlops.monitoring.windows.serving_snapshots import Counts, Snapshot
from mlops.notifications.alerts import Alert
from mlops.notifications.incidents import is_reported, notify
from mlops.observability.tables import refresh
from mlops.orchestration.jobs.journal import Journal
from mlops.orchestration.triggers.access import private_secret
from mlops.orchestration.triggers.tokens import api_token
from mlops.records.files import write_record
from mlops.registry.rollout import Rollout
from mlops.registry.trail import Trail
from mlops.registry.versions import Registry
from mlops.retraining.decision import RetrainingDecision
from mlops.retraining.records import (
    PendingApproval,
    RetrainingRecord,
    ask_for_approval,
)
from mlops.retraining.records import (
    write_record as write_retraining,
)
from mlops.serving.answers.state import Served, ServingState, write_state
from mlops.serving.http.keys import add_key, hash_of, read_keys
from mlops.serving.model.compilation import compile_model
from mlops.serving.processes.follower import bundle_name, bundles_folder
from mlops.settings import Settings, load_settings
from mlops.steps.data_preparation import build, extract, publish, validate

sys.path.insert(0, str(Path(__file__).parent))
from kinds import DOCTOR, ELSEWHERE, KINDS, MADE_AGAIN, Kind, Work, unknown

AT = datetime(2024, 3, 9, 12, tzinfo=timezone.utc)


# What an empty database cannot be told from: one that a killed first start has left behind.
FILLED_ANEW = ("mage/mage.db",)


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def garble(content: bytes) -> bytes:
    return bytes((byte * 7 + place) % 251 for place, byte in enumerate(content[:4096]))


@pytest.fixture(scope="module")
def home(
    lived_in: Settings,
    make_champion: Callable[[Path], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return a home that holds every kind."""
    home = tmp_path_factory.mktemp("damage") / "home"
    # Not what names its files by where they lie: a champion of this home's own is made. Nor what
    # others who looked at the home before have left: a server's database and logs.
    left_out = shutil.ignore_patterns(
        "mlflow", "registry", "staging", "cache", "store", "mage", "server", "logs"
    )
    shutil.copytree(lived_in.home, home, ignore=left_out)
    settings = load_settings({"home": home})
    make_champion(home)
    _run_something(settings)
    _deploy_something(settings)
    _serve_something(settings)
    _watch_something(settings)
    for work in WORKS.values():
        work(settings)
    refresh(settings)
    return home


def _run_something(settings: Settings) -> None:
    (settings.home / "mage").mkdir(exist_ok=True)
    with sqlite3.connect(settings.home / "mage" / "mage.db") as database:
        database.executescript(
            "create table pipeline_run (id integer primary key, pipeline_uuid text, status text, "
            "pipeline_schedule_id integer, created_at text, started_at text, completed_at text, "
            "updated_at text, variables text, metrics text);"
            "create table block_run (id integer primary key, pipeline_run_id integer, status text,"
            "block_uuid text, started_at text, completed_at text, updated_at text, metrics text);"
            "create table pipeline_schedule (id integer primary key, pipeline_uuid text, name text,"
            "status text, created_at text, updated_at text);"
        )
        database.executemany(
            "insert into pipeline_run (pipeline_uuid, status, variables) values (?, ?, ?)",
            [("data_preparation", "COMPLETED", json.dumps({"why": "x" * 500}))] * 200,
        )
    journal = Journal.of(settings, {"months": "2024-01..2024-02"})
    journal.write()
    write_record(
        settings.last_verdict,
        Verdict(passed=True, rules=(), summary="passed"),
    )
    decision = RetrainingDecision(
        needed=True, months=("2024-02",), new_months=("2024-02",), reason="new"
    )
    write_retraining(
        settings,
        RetrainingRecord(
            **{"run_id": 7, "trigger": "ana", "status": "completed", "summary": "done"},
            decision=decision,
            started_at=AT,
        ),
    )
    ask_for_approval(
        settings,
        PendingApproval(
            **{"version": 1, "reason": "better", "verdict": "passed", "run_id": 7},
            requested_at=AT,
        ),
    )


def _deploy_something(settings: Settings) -> None:
    record = Records(settings.deployments).all()[0]
    claims = Claims(settings.deployments, lambda claim: False)
    claims.take(Claim.of(record.model_copy(update={"run": RunKey(id="7")})))
    result = BacktestResult(
        **{"months": (), "learned_before": (), "source": "the sample", "synthetic": True},
        **{"steps": (), "totals": (), "staleness": (), "aging": ()},
    )
    write_result(result, settings.backtests / "20240309", {})


def _serve_something(settings: Settings) -> None:
    registry = Registry(settings)
    champion = registry.champion()
    assert champion is not None
    model, _ = registry.load(champion.version)
    compile_model(model, 1).save(bundles_folder(settings) / bundle_name(champion))
    served = Served(version=1, bundle=bundle_name(champion), since=AT)
    write_state(settings.served, ServingState(champion=served, updated_at=AT))
    add_key(settings.served, "ana")
    folder = settings.prediction_log_folder / "date=2024-03-01"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"at": [1, 2, 3]}), folder / "part-1.parquet")


def _watch_something(settings: Settings) -> None:
    now = datetime.now(timezone.utc)
    Trail(settings).start_rollout(
        Rollout(
            **{"deployment": "d", "version": 1, "mode": "canary", "percent": 10, "by": "ana"},
            **{"reason": "better", "started_at": now, "expires_at": now + timedelta(days=1)},
        )
    )
    snapshot = Snapshot(
        **{"version": 1, "at": AT, "since": None, "period": Counts(), "total": Counts()},
        **{"resident_bytes": 1.0, "bundle_bytes": 1},
    )
    write_record(settings.monitored / "serving" / "v1-20240309T120000.000000.json", snapshot)


def prepare(settings: Settings) -> object:
    """Prepare the training set as the pipeline does, and say why it would be prepared again."""
    source = {"months": "2024-01..2024-02", "source.sample_rows": 1_500}
    variables = {"home": str(settings.home), "validation.min_rows": 1_000, **source}
    published = publish(build(validate(extract(variables), variables), variables), variables)
    manifest = load_manifest(published["sha256"], settings)
    verify(manifest)
    return manifest.sha256, reason_to_build(load_settings(variables, strict=False))


def routes(settings: Settings) -> object:
    """Publish route statistics as the pipeline does."""
    manifest = current_training_set(settings)
    assert manifest is not None
    found = publish_route_statistics(manifest, settings)
    names = (found.at_validation, found.at_test, found.latest)
    return [RouteStatistics.load(Path(name)).sha256 for name in names]


def score_trips(settings: Settings) -> object:
    """Predict a month as `mlops predict` does; some of its trips are set aside."""
    model, champion = Registry(settings).load("champion")
    trips = sorted(settings.cache.rglob("*2024-02.parquet"))[:1]
    settings = load_settings({"home": settings.home, "validation.max_distance_miles": 5})
    same = {"model_version": 1, "model_id": champion.model_id, "run_id": "1"}
    found = score(model, trips, dataset_of(settings), settings, **same)
    assert found.rejected_uri is not None
    minutes = pq.read_table(found.predictions_uri)["prediction_minutes"]
    return minutes.to_pylist(), pq.read_table(found.rejected_uri).num_rows


def probe(settings: Settings) -> object:
    """Ask the server with a key that opens."""
    token = deployment_token(settings.served)
    assert any(key.sha256 == hash_of(token).hex() for key in read_keys(settings.served))
    return len(token)


def sign_in(settings: Settings) -> object:
    """Read the secrets of sign-ins and triggers, which are long enough."""
    secret = private_secret(settings.home / "server" / "jwt_secret")
    return min(len(secret), len(api_token(settings, "monitoring", environment={}))) >= 32


def tell(settings: Settings) -> object:
    """Tell of an incident; at worst people are told once more."""
    alert = Alert(kind="failure", incident="a:b", title="it broke", text="It broke.", at=AT)
    return notify(settings, alert).reached_somebody, is_reported(settings, "a:b")


WORKS: dict[Work, Callable[[Settings], object]] = {
    "prepare": prepare,
    "routes": routes,
    "score": score_trips,
    "probe": probe,
    "sign_in": sign_in,
    "notify": tell,
}


@dataclass
class Terminal:
    """Runs commands in this process."""

    capsys: pytest.CaptureFixture[str]
    caplog: pytest.LogCaptureFixture

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code, and all that was said; a traceback would be an error here."""
        self.caplog.clear()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        said = self.capsys.readouterr()
        return int(end.value.code or 0), said.out + said.err + self.caplog.text

    def faults(self) -> list[str]:
        """Return what the doctor calls damaged."""
        with pytest.raises(SystemExit):
            main(DOCTOR)
        checks = json.loads(self.capsys.readouterr().out)
        return [f"{c['found']} {c['what_to_do']}" for c in checks if c["result"] == "fail"]


@pytest.fixture
def terminal(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Terminal:
    monkeypatch.setenv("MLOPS_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "1000")  # no path is broken into two lines
    return Terminal(capsys, caplog)


@pytest.fixture
def damaged(home: Path) -> Iterator[Callable[[Kind, Callable[[bytes], bytes] | None], Path]]:
    """Return what damages the last file of a kind, and restores it after the test."""
    restore: list[tuple[Path, bytes]] = []

    def damage(kind: Kind, change: Callable[[bytes], bytes] | None) -> Path:
        path = sorted(home.glob(kind.pattern))[-1]
        content = path.read_bytes()
        restore.append((path, content))
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(content))
        return path

    yield damage
    for path, content in restore:
        path.write_bytes(content)


@pytest.fixture(scope="module")
def outcomes(home: Path) -> dict[Work, object]:
    """Return what each work comes to in a sound home."""
    return {name: work(load_settings({"home": home})) for name, work in WORKS.items()}


def test_a_sound_home_has_no_faults(terminal: Terminal) -> None:
    assert terminal.faults() == []


def test_every_file_of_a_home_is_in_the_table(home: Path) -> None:
    assert unknown(home) == []


@pytest.mark.parametrize("file", sorted({*ELSEWHERE.values()}))
def test_what_is_damaged_elsewhere_is(file: str) -> None:
    text = (Path(__file__).parents[1] / file).read_text()
    assert re.search(r"damage|truncate|garble", text)


@pytest.mark.parametrize("change", [truncate, empty, garble])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_damage_is_named_and_removing_the_file_is_a_way_out(
    kind: Kind,
    change: Callable[[bytes], bytes],
    terminal: Terminal,
    damaged: Callable[[Kind, Callable[[bytes], bytes] | None], Path],
) -> None:
    path = damaged(kind, change)

    code, said = terminal.run(*kind.command)

    together = ("bundles", "part-", "quarantine")  # a folder that is made as one
    named = path.parent if any(word in kind.pattern for word in together) else path
    assert str(named.parents[1] if kind.code == 15 else named) in said
    assert "Traceback" not in said
    if change is not empty or kind.pattern not in FILLED_ANEW:
        assert code == kind.code
        assert ("not the one that was logged" if code == 15 else "damaged") in said
    # When the file is removed, as the message says, then the doctor has no fault to find with it.
    if "bundles" in kind.pattern or "training_sets" in kind.pattern or "backtests" in kind.pattern:
        return  # a folder that belongs together: it is made again by the command that is named
    path.unlink()
    assert [fault for fault in terminal.faults() if str(path) in fault] == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_file_that_is_gone_makes_no_command_break(
    kind: Kind,
    terminal: Terminal,
    damaged: Callable[[Kind, Callable[[bytes], bytes] | None], Path],
) -> None:
    damaged(kind, None)

    code, said = terminal.run(*kind.command)

    assert code in EXIT_CODES and "Traceback" not in said


@pytest.mark.parametrize("change", [truncate, garble])
@pytest.mark.parametrize(("pattern", "work"), MADE_AGAIN)
def test_what_can_be_made_again_is_made_again_and_is_what_it_was(
    pattern: str,
    work: Work,
    change: Callable[[bytes], bytes],
    home: Path,
    outcomes: dict[Work, object],
    damaged: Callable[[Kind, Callable[[bytes], bytes] | None], Path],
) -> None:
    damaged(Kind(pattern, (), 0), change)

    assert WORKS[work](load_settings({"home": home})) == outcomes[work]


@pytest.mark.parametrize("change", [empty, None])
@pytest.mark.parametrize("work", WORKS)
def test_all_that_a_work_needs_may_be_empty_or_gone_at_once(
    work: Work,
    change: Callable[[bytes], bytes] | None,
    home: Path,
    outcomes: dict[Work, object],
    damaged: Callable[[Kind, Callable[[bytes], bytes] | None], Path],
) -> None:
    for pattern in (pattern for pattern, each in MADE_AGAIN if each == work):
        damaged(Kind(pattern, (), 0), change)

    assert WORKS[work](load_settings({"home": home})) == outcomes[work]


@pytest.mark.parametrize("change", [truncate, garble])
def test_no_pipeline_starts_on_a_damaged_database(
    change: Callable[[bytes], bytes],
    home: Path,
    damaged: Callable[[Kind, Callable[[bytes], bytes] | None], Path],
) -> None:
    path = damaged(Kind("mage/mage.db", (), 14), change)
    before = path.read_bytes()

    done = subprocess.run(
        [sys.executable, "-m", "mlops.cli", "pipeline", "run", "data_preparation"],
        env={**os.environ, "MLOPS_HOME": str(home)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 14, done.stderr
    assert str(path) in done.stderr and "Traceback" not in done.stderr
    assert path.read_bytes() == before
