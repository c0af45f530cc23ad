"""Reaching MLflow: ready at first use, for many processes at once; silent; clear in failure."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlops.errors import RegistryError
from mlops.registry.connection import connect, ensure_tracking, registry_errors
from mlops.settings import Settings, TrackingSettings

FORK = multiprocessing.get_context("fork")


def database(settings: Settings) -> Path:
    return settings.home / "mlflow" / "mlflow.db"


def test_children_forked_at_once_find_one_experiment(tmp_path: Path) -> None:
    # Given a fresh home and four children that start together
    settings = Settings(home=tmp_path)
    found = FORK.SimpleQueue()
    barrier = FORK.Barrier(4)

    def child() -> None:
        barrier.wait()
        found.put(ensure_tracking(settings))

    children = [FORK.Process(target=child) for _ in range(4)]
    for process in children:
        process.start()
    for process in children:
        process.join(60)

    # Then all succeed and agree
    assert [process.exitcode for process in children] == [0] * 4
    assert len({found.get() for _ in children}) == 1
    with sqlite3.connect(database(settings)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_second_call_changes_nothing(home: Settings) -> None:
    first = ensure_tracking(home)

    assert ensure_tracking(home) == first


def test_an_existing_experiment_keeps_its_location(home: Settings, tmp_path: Path) -> None:
    first = ensure_tracking(home)
    moved = home.model_copy(
        update={"tracking": TrackingSettings(uri=home.tracking_uri, artifacts=tmp_path.as_uri())}
    )

    assert ensure_tracking(moved) == first
    location = connect(home).get_experiment(first).artifact_location
    assert location.startswith((home.home / "mlflow" / "artifacts").as_uri())


def test_an_experiment_says_what_it_is_and_keeps_what_a_person_wrote(home: Settings) -> None:
    experiment, client = ensure_tracking(home), connect(home)
    described = client.get_experiment(experiment).tags["mlflow.note.content"]
    assert "taxi trip" in described and "mlops.job" in described

    client.set_experiment_tag(experiment, "mlflow.note.content", "ours")
    ensure_tracking(home)

    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "ours"


def test_a_deleted_experiment_comes_back(registry_of_one_test: Settings) -> None:
    settings = registry_of_one_test
    first = ensure_tracking(settings)
    connect(settings).delete_experiment(first)

    assert ensure_tracking(settings) == first
    assert connect(settings).get_experiment(first).lifecycle_stage == "active"


def test_an_older_database_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a database one schema revision behind
    settings = Settings(home=tmp_path)
    ensure_tracking(settings)
    with sqlite3.connect(database(settings)) as connection:
        (head,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("DROP TABLE assessments")
        connection.execute("UPDATE alembic_version SET version_num = 'cbc13b556ace'")
    connection.close()
    # and a process that has not seen it yet
    monkeypatch.setattr("mlops.registry.connection._PREPARED", set())

    ensure_tracking(settings)

    with sqlite3.connect(database(settings)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert found == (head,)


def test_the_process_keeps_its_own_logging(tmp_path: Path) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    connect(Settings(home=tmp_path)).search_registered_models()

    assert (root.handlers, root.level) == (handlers, level)


def test_nothing_is_said_sent_or_left_in_the_working_directory(tmp_path: Path) -> None:
    # Given a process outside pytest, where MLflow's telemetry would be on, that reports every
    # attempt to reach the network
    script = """
import socket, sys
def spy(*arguments): print("NETWORK", arguments, flush=True); raise OSError("refused by the test")
socket.getaddrinfo = spy
socket.socket.connect = spy
from pathlib import Path
from mlops.registry.connection import connect, ensure_tracking
from mlops.registry.flavor import write_model
from mlops.settings import Settings
class Model:
    encoder = None
    def save(self, path): path.write_text("x")
settings = Settings(home=Path(sys.argv[1]))
ensure_tracking(settings)
connect(settings).create_registered_model("m")
write_model(Model(), Path(sys.argv[1]) / "model", {"numpy": "1.26.4"})
"""
    work = tmp_path / "work"
    work.mkdir()
    mute = {"CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "MLFLOW_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "home")],
        capture_output=True,
        text=True,
        cwd=work,
        env={name: value for name, value in os.environ.items() if name not in mute},
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("postgresql+psycopg2://me:secret@127.0.0.1:9/x", "postgresql+psycopg2://me:***@127.0.0.1"),
    ],
)
def test_an_unreachable_server_is_named_soon_and_without_password(
    tmp_path: Path, uri: str, shown: str
) -> None:
    settings = Settings(home=tmp_path, tracking=TrackingSettings(uri=uri))
    started = time.monotonic()

    with pytest.raises(RegistryError) as caught:
        ensure_tracking(settings)

    assert shown in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "MLOPS_TRACKING__URI" in caught.value.hint
    assert time.monotonic() - started < 20


def test_no_connection_waits_for_a_child_to_inherit_it(home: Settings) -> None:
    ensure_tracking(home)

    engine = connect(home)._tracking_client.store.engine

    assert type(engine.pool).__name__ == "NullPool"


def test_other_errors_pass_unchanged(home: Settings) -> None:
    with pytest.raises(ZeroDivisionError), registry_errors(home):
        1 / 0  # noqa: B018
