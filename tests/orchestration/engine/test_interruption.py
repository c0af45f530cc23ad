"""Runs that are cut short: what stops, what Mage's tables say, what runs again."""

import os
import signal

import pytest

from mlops.orchestration.runs.lock import is_held

pytestmark = pytest.mark.mage


def start_slow_training(toy, helpers):
    """Start a training whose child ``b`` sleeps; return once it does, with all its processes."""
    process = toy.drive(
        ("run", [toy.request("prepare")]),
        ("run", [toy.request("train", slow="b", seconds=60)]),
        MLOPS_ENGINE__WORKERS="1",
    )
    process.read(until="BlockProgress", block="fit:b")
    children = helpers.descendants(process.popen.pid)
    assert children
    return process, children | {process.popen.pid}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)]
)
def test_a_signal_stops_the_blocks_marks_the_run_and_it_can_be_resumed(toy, helpers, number, code):
    # Given a child at work
    process, pids = start_slow_training(toy, helpers)
    # When the engine is asked to stop
    process.popen.send_signal(number)
    # Then it says so by its exit, leaves no process and no block in progress
    assert process.end() == code
    assert helpers.gone(pids)
    assert toy.rows("select status, metrics from pipeline_run where id = 2") == [
        ("CANCELLED", "{}")
    ]
    statuses = dict(toy.rows("select block_uuid, status from block_run where pipeline_run_id = 2"))
    assert statuses["fit:a"] == "COMPLETED"
    assert {statuses[name] for name in ("fit:b", "fit:c", "choose")} == {"CANCELLED"}
    ended = {e["block"]: e["status"] for e in process.named("BlockFinished")}
    assert ended["fit:b"] == "cancelled"
    assert process.named("RunFinished")[-1]["status"] == "cancelled"
    # And only what is unfinished runs on resume.
    toy.ran()
    speed_up(toy)
    resumed = toy.done(("resume", 2)).results[0]
    assert resumed["status"] == "completed"
    assert sorted(toy.ran()) == ["choose", "fit:b", "fit:c"]
    assert [c["name"] for c in resumed["outputs"]["choose"]["candidates"]] == ["a", "b", "c"]


def test_a_killed_engine_takes_its_blocks_along_and_the_run_is_found_and_finished(toy, helpers):
    process, pids = start_slow_training(toy, helpers)
    # When the engine is killed without a chance to clean up
    os.kill(process.popen.pid, signal.SIGKILL)
    process.end()
    # Then its blocks die with it and the lock is free
    assert helpers.gone(pids)
    assert not is_held(toy.home / "engine.lock")
    assert toy.rows("select status from pipeline_run where id = 2") == [("RUNNING",)]
    # And the next engine finds the run and finishes only what is unfinished.
    toy.ran()
    speed_up(toy)
    after = toy.done(("stale", None), ("resume", 2), ("stale", None))
    assert after.results[0] == [2] and after.results[2] == []
    assert after.results[1]["status"] == "completed"
    assert sorted(toy.ran()) == ["choose", "fit:b", "fit:c"]


def test_resuming_a_failed_run_retries_only_what_failed(toy):
    # Given a run in which one child failed
    first = toy.done(("run", [toy.request("prepare")]), ("run", [toy.request("train", fail="b")]))
    assert first.results[1][0]["status"] == "failed"
    toy.ran()
    # When the cause is mended and the run resumed
    change_variables(toy, fail="")
    second = toy.done(("resume", 2), ("resume", 2), ("resume", 77))
    # Then only the failed child and what waited for it run
    assert second.results[0]["status"] == "completed"
    assert second.results[0]["blocks"]["fit:b"]["error"] == ""
    assert toy.ran() == ["fit:b", "choose"]
    # And resuming a completed run does nothing.
    assert second.results[1]["status"] == "completed"
    assert second.results[2]["raised"] == "ConfigurationError"


def test_a_second_engine_is_told_who_works_here(toy, helpers):
    process, _ = start_slow_training(toy, helpers)
    # When another engine wants the same home
    (refusal,) = toy.done(("run", [toy.request("prepare")])).results
    # Then it is refused by name, and the first goes on
    assert refusal["raised"] == "BusyError"
    assert f"process {process.popen.pid}" in refusal["message"]
    assert "MLOPS_ENGINE__LOCK_WAIT_SECONDS" in refusal["message"]
    assert process.popen.poll() is None
    # Unless it may wait: then it runs after the first.
    waiting = toy.drive(("run", [toy.request("prepare")]), MLOPS_ENGINE__LOCK_WAIT_SECONDS="60")
    process.popen.send_signal(signal.SIGINT)
    process.end()
    assert waiting.end() == 0
    assert waiting.results[0][0]["status"] == "completed"


def test_any_working_directory_will_do(toy, tmp_path):
    # Given a directory that looks like Mage's own source, which Mage takes as a hint
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mage_ai" / "orchestration" / "db").mkdir(parents=True)
    result = toy.done(("run", [toy.request("prepare")]), cwd=elsewhere)
    assert result.results[0][0]["status"] == "completed"
    assert [path.name for path in elsewhere.rglob("*") if path.is_file()] == []


def speed_up(toy):
    change_variables(toy, slow="")


def change_variables(toy, **changes):
    """Change the variables stored with run 2, as if the outside world had changed."""
    import json
    import sqlite3

    with sqlite3.connect(toy.home / "mage" / "mage.db") as connection:
        (text,) = connection.execute("select variables from pipeline_run where id = 2").fetchone()
        variables = {**json.loads(text), **changes}
        connection.execute(
            "update pipeline_run set variables = ? where id = 2", (json.dumps(variables),)
        )
