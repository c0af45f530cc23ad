"""Damaged state: each kind of file under a home, truncated, emptied, garbled and removed.

`KINDS` is the table of outcomes. No command ends in a traceback, what is damaged is named, and
after the file is removed, as the messages advise, nothing is wrong any more.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.backtest.summary import BacktestResult, write_result
from mlops.cli import main
from mlops.deployment.claim import Claim, Claims
from mlops.deployment.records import Records, RunKey
from mlops.errors import EXIT_CODES
from mlops.evaluation.verdict import Verdict
from mlops.observability.tables import refresh
from mlops.orchestration.journal import Journal
from mlops.records.files import write_record
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
from mlops.serving.compilation import compile_model
from mlops.serving.follower import bundle_name, bundles_folder
from mlops.serving.keys import add_key
from mlops.serving.state import Served, ServingState, write_state
from mlops.settings import Settings, load_settings

AT = datetime(2024, 3, 9, 12, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Kind:
    """A kind of file: where it lies, who reads it, and what comes of it.

    Attributes:
        pattern: Under the home; the last match, by name, is damaged.
        command: Of those that read it, the one that people use most.
        code: With which that ends if the file is damaged.
    """

    pattern: str
    command: tuple[str, ...]
    code: int

    def __str__(self) -> str:
        return self.pattern.replace("/", "-").replace("*", "x")


DOCTOR = ("doctor", "--json")
KINDS = (
    # Refused by name: to go on would be to take something else for it.
    Kind("runs/main_job.json", ("run", "--resume"), 14),
    Kind("runs/pending_approval.json", ("approve", "--show"), 14),
    Kind("runs/last_verdict.json", ("models", "--verdict"), 14),
    Kind("deployments/2*.json", ("deployments", "20240309T120000-v1"), 14),
    Kind("store/training_sets/current", ("status",), 14),
    Kind("store/training_sets/*/manifest.json", ("status",), 14),
    Kind("serving/keys.json", ("keys", "list"), 14),
    Kind("mage/mage.db", ("status",), 14),
    Kind("mage/mage.db", ("triggers",), 14),
    Kind("mlflow/mlflow.db", ("models",), 14),
    # Left out with a warning: the others can be shown all the same.
    Kind("deployments/2*.json", ("deployments",), 0),
    Kind("monitoring/windows/*.json", ("monitor", "--list"), 0),
    Kind("monitoring/decisions/*.json", ("monitor", "--list"), 0),
    # Told by the doctor; made again, or read off something else, by whoever needs it.
    Kind("deployments/claim.json", DOCTOR, 1),
    Kind("store/training_sets/*/part-*.parquet", DOCTOR, 1),
    Kind("runs/selections/*.json", DOCTOR, 1),
    Kind("runs/retraining/*.json", DOCTOR, 1),
    Kind("backtests/*/backtest.json", DOCTOR, 1),
    Kind("backtests/current", DOCTOR, 1),
    Kind("monitoring/profiles/*.json", DOCTOR, 1),
    Kind("serving/state.json", DOCTOR, 1),
    Kind("serving/bundles/*/bundle.json", DOCTOR, 1),
    Kind("serving/bundles/*/*.npz", DOCTOR, 1),
    Kind("prediction_log/*/*.parquet", DOCTOR, 1),
    Kind("observability/champion.parquet", DOCTOR, 1),
)
# What an empty database cannot be told from: one that a killed first start has left behind.
FILLED_ANEW = ("mage/mage.db",)


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def garble(content: bytes) -> bytes:
    return bytes((byte * 7 + place) % 251 for place, byte in enumerate(content[:4096]))


@pytest.fixture(scope="module")
def home(lived_in: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home that holds every kind."""
    home = tmp_path_factory.mktemp("damage") / "home"
    shutil.copytree(lived_in.home, home)
    settings = load_settings({"home": home})
    _run_something(settings)
    _deploy_something(settings)
    _serve_something(settings)
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
        settings.home / "runs" / "last_verdict.json",
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


def test_a_sound_home_has_no_faults(terminal: Terminal) -> None:
    assert terminal.faults() == []


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

    named = path.parent if "bundles" in kind.pattern or "part-" in kind.pattern else path
    assert str(named) in said
    if change is not empty or kind.pattern not in FILLED_ANEW:
        assert code == kind.code
        assert "damaged" in said
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

    code, _ = terminal.run(*kind.command)

    assert code in EXIT_CODES


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
