"""The same engine on PostgreSQL, by configuration alone."""

import pytest

pytestmark = pytest.mark.mage


def test_runs_fail_resume_and_complete_as_on_sqlite(toy, postgresql):
    # Given a run in which one child dies
    settings = {"MLOPS_SERVER__DATABASE_URL": postgresql.url}
    first = toy.done(
        ("run", [toy.request("prepare", "numbers")]),
        ("run", [toy.request("train", die="b")]),
        ("fresh", "numbers"),
        **settings,
    )
    prepared, trained, fresh = first.results
    assert prepared[0]["status"] == "completed" and fresh is True
    assert trained[0]["status"] == "failed"
    assert "SIGKILL" in trained[0]["blocks"]["fit:b"]["error"]
    # When it is resumed, still dying
    toy.ran()
    again = toy.done(("resume", trained[0]["run_id"]), ("stale", None), **settings)
    # Then only that child ran, and nothing is left in progress
    assert toy.ran() == ["fit:b"]
    assert again.results[0]["status"] == "failed" and again.results[1] == []
    assert [output and output["name"] for output in again.results[0]["outputs"]["fit"]] == [
        "a",
        None,
        "c",
    ]
