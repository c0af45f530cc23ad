"""The same engine on PostgreSQL, by configuration alone."""

from datetime import datetime, timedelta, timezone

import pytest

from mlops.orchestration import history
from mlops.settings import load_settings

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
    # And whoever only looks at Mage's tables sees the same as on SQLite.
    seen = load_settings({"server.database_url": postgresql.url})
    since = datetime.now(timezone.utc) - timedelta(hours=1)
    runs = [(run["pipeline"], run["status"]) for run in history.runs_since(seen, since)]
    assert runs == [("prepare", "completed"), ("train", "failed")]
    failed = [block for block in history.blocks_since(seen, since) if block["status"] == "failed"]
    assert "SIGKILL" in next(block["error"] for block in failed if block["block"] == "fit:b")
    totals = {(row["pipeline"], row["status"]): row["runs"] for row in history.run_totals(seen)}
    assert totals == {("prepare", "completed"): 1, ("train", "failed"): 1}
    assert history.runs_stand(seen) == history.runs_stand(seen) != ()
    assert history.runs_since(seen, datetime.now(timezone.utc) + timedelta(seconds=5)) == []
