"""The same engine on PostgreSQL, by configuration alone."""

import contextlib
import time
from datetime import datetime, timedelta, timezone

import pytest

from mlops.orchestration.runs import history
from mlops.settings import load_settings

pytestmark = pytest.mark.mage


def test_runs_fail_resume_and_complete_as_on_sqlite(toy, postgresql):
    # Given a run in which one child dies
    settings = {"MLOPS_SERVER__DATABASE_URL": postgresql.url}
    first = toy.done(
        ("run", [toy.request("prepare")]),
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


@pytest.mark.timeout(1200)  # it starts a server, which takes minutes on a busy machine
def test_a_server_outlives_its_database_being_away(toy, postgresql, helpers):
    # Given a server on PostgreSQL
    server = helpers.start_server(toy, MLOPS_SERVER__DATABASE_URL=postgresql.url)
    try:
        server.wait_until_up().enter()
        run_to_its_end(server, toy)
        # When the database is away, longer than anybody waits for a connection
        postgresql.stop()
        try:
            time.sleep(15)
            assert server.popen.poll() is None
        finally:
            postgresql.start()
        # Then everything works again by itself: signing in, triggers, runs
        toy.wait_for(lambda: can_sign_in(server))
        run_to_its_end(server, toy)
    finally:
        server.kill()


def run_to_its_end(server, toy):
    """Start a run by its API trigger, and wait until it has completed."""
    _, answer = toy.wait_for(lambda: schedules(server))
    schedule = next(s for s in answer["pipeline_schedules"] if s["name"] == "over the network")
    ledger = str(toy.ledger)
    started = toy.wait_for(lambda: server.post(schedule["id"], ledger=ledger).get("pipeline_run"))
    path = f"/api/pipeline_runs/{started['id']}"
    toy.wait_for(lambda: server.ask(path)[1]["pipeline_run"]["status"] == "completed")


def can_sign_in(server):
    with contextlib.suppress(OSError):  # no answer for a while
        return "session" in server.sign_in("owner@mlops.local", server.password)


def schedules(server):
    answer = server.ask("/api/pipeline_schedules?_limit=100")
    names = [s["name"] for s in answer[1].get("pipeline_schedules", [])]
    return answer if "over the network" in names else None
