"""Runs that a block starts: driven and ended with its own run, found again after a kill."""

import signal

import pytest

pytestmark = pytest.mark.mage


def test_children_are_driven_by_the_engine_of_their_parent_whatever_its_workers(toy):
    # Given one worker, which a waiting block must not hold
    done = toy.done(("run", [toy.request("family")]), MLOPS_ENGINE__WORKERS="1")
    (result,) = done.results[0]
    # When the run is over, then each child ran once and the parent has their outputs.
    assert result["status"] == "completed"
    assert result["outputs"]["first_child"]["values"] == [0, 1, 2]
    assert [c["name"] for c in result["outputs"]["second_child"]["candidates"]] == ["a", "b"]
    ran = toy.ran()
    assert sorted(ran) == ["choose", "extract", "families", "fit:a", "fit:b", "publish"]
    assert [event["pipeline"] for event in done.named("RunStarted")] == [
        "family",
        "prepare",
        "train",
    ]
    # And no run is left in progress.
    assert {status for (status,) in toy.rows("select status from pipeline_run")} == {"COMPLETED"}


def test_a_failed_child_fails_its_parent_in_its_own_words_and_is_all_that_runs_again(toy):
    done = toy.done(("run", [toy.request("family", die="b")]))
    (result,) = done.results[0]
    assert result["status"] == "failed"
    error = result["blocks"]["second_child"]["error"]
    assert error.startswith("mlops.errors.PipelineFailureError: train: block fit:b failed")
    assert "SIGKILL" in error
    toy.ran()
    # When the parent is resumed, the child that succeeded is not run again.
    again = toy.done(("resume", result["run_id"]))
    assert again.results[0]["status"] == "failed"
    assert toy.ran() == ["fit:b"]


def test_a_killed_parent_goes_on_with_the_children_it_had(toy, helpers):
    process = toy.drive(("run", [toy.request("family", slow="b", seconds=3)]))
    process.read(until="BlockProgress", block="fit:b")
    process.popen.kill()
    assert helpers.gone(helpers.descendants(process.popen.pid))
    process.popen.wait()
    toy.ran()
    run = process.named("RunStarted")[0]["run_id"]
    # Then only the parent counts as interrupted, and resuming it resumes its child.
    again = toy.done(("stale", None), ("resume", run))
    assert again.results[0] == [run]
    assert again.results[1]["status"] == "completed"
    assert sorted(toy.ran()) == ["choose", "fit:b"]


def test_children_are_cancelled_with_their_parent(toy, helpers):
    process = toy.drive(("run", [toy.request("family", slow="b", seconds=60)]))
    process.read(until="BlockProgress", block="fit:b")
    pids = helpers.descendants(process.popen.pid)
    process.popen.send_signal(signal.SIGINT)
    process.end()
    assert helpers.gone(pids)
    statuses = toy.rows("select pipeline_uuid, status from pipeline_run order by id")
    assert statuses == [("family", "CANCELLED"), ("prepare", "COMPLETED"), ("train", "CANCELLED")]
