"""Whether a run is in somebody's hands: its status, its mark, and who holds which lock."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops.orchestration.runs.liveness import run_is_alive, with_interruptions
from mlops.orchestration.runs.lock import HomeLock
from mlops.orchestration.runs.marks import MARK
from mlops.orchestration.runs.naming import ENGINE_LOCK, SCHEDULER_LOCK
from mlops.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def add(settings: Settings) -> Callable[..., str]:
    """Put a run into tables like Mage's."""
    file = settings.home / "mage" / "mage.db"
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("create table pipeline_run (id integer, status text, metrics text)")
        connection.execute("create table block_run (id integer)")
        connection.execute("create table pipeline_schedule (id integer)")

    def call(status: str, engine: int | None = None) -> str:
        metrics = {} if engine is None else {MARK: {"pid": engine}}
        with sqlite3.connect(file) as connection:
            connection.execute(
                "insert into pipeline_run values (7, ?, ?)", (status, json.dumps(metrics))
            )
        return "7"

    return call


@pytest.fixture
def hold(settings: Settings) -> Iterator[Callable[[str], None]]:
    held = []

    def call(name: str) -> None:
        lock = HomeLock(settings.home / name, "a test")
        lock.acquire()
        held.append(lock)

    yield call
    for lock in held:
        lock.release()


def test_without_a_database_nothing_runs(settings: Settings) -> None:
    assert not run_is_alive(settings, "7")
    assert not (settings.home / "mage").exists()


def test_an_unknown_run_is_not_alive(
    settings: Settings, add: Callable[..., str], hold: Callable[[str], None]
) -> None:
    hold(SCHEDULER_LOCK)

    assert not run_is_alive(settings, "8")


@pytest.mark.parametrize("status", ["INITIAL", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"])
def test_a_run_of_the_server_lives_while_it_is_in_progress_and_the_server_is_up(
    settings: Settings, add: Callable[..., str], hold: Callable[[str], None], status: str
) -> None:
    run = add(status)
    assert not run_is_alive(settings, run)

    hold(SCHEDULER_LOCK)

    assert run_is_alive(settings, run) == (status in ("INITIAL", "RUNNING"))


def test_a_run_of_an_engine_lives_while_that_very_engine_does(
    settings: Settings, add: Callable[..., str], hold: Callable[[str], None]
) -> None:
    run = add("RUNNING", engine=os.getpid())
    hold(SCHEDULER_LOCK)
    assert not run_is_alive(settings, run)

    hold(ENGINE_LOCK)

    assert run_is_alive(settings, run)


def test_another_engine_does_not_keep_a_dead_ones_run_alive(
    settings: Settings, add: Callable[..., str], hold: Callable[[str], None]
) -> None:
    run = add("RUNNING", engine=os.getpid() + 1)
    hold(ENGINE_LOCK)

    assert not run_is_alive(settings, run)


def test_a_database_that_cannot_be_asked_counts_as_busy(settings: Settings) -> None:
    file = settings.home / "mage" / "mage.db"
    file.parent.mkdir()
    file.write_text("this is no database, and never was one" * 100)

    assert run_is_alive(settings, "7")


@pytest.mark.parametrize(
    ("status", "shown"),
    [("RUNNING", "interrupted"), ("INITIAL", "interrupted"), ("COMPLETED", "completed")],
)
def test_a_run_whose_engine_was_killed_is_shown_as_interrupted(
    settings: Settings,
    add: Callable[..., str],
    hold: Callable[[str], None],
    status: str,
    shown: str,
) -> None:
    runs = [{"run": int(add(status, engine=os.getpid())), "status": status.lower()}]
    assert with_interruptions(settings, runs) == [{**runs[0], "status": shown}]

    hold(ENGINE_LOCK)

    assert with_interruptions(settings, runs) == runs
