"""A child that reports a failure looks failed in Mage, is tried again, and costs nobody else."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

pytestmark = pytest.mark.mage


def mend(toy: Any) -> None:
    """Let children of past runs report no failure when they are tried again."""
    with sqlite3.connect(toy.home / "mage" / "mage.db") as connection:
        for run, text in connection.execute("select id, variables from pipeline_run").fetchall():
            variables = {**json.loads(text or "{}"), "report": ""}
            update = "update pipeline_run set variables = ? where id = ?"
            connection.execute(update, (json.dumps(variables), run))


def statuses(toy: Any, run: int) -> dict[str, str]:
    blocks = f"select block_uuid, status from block_run where pipeline_run_id = {run}"
    return dict(toy.rows(blocks))


def test_an_engine_keeps_the_siblings_and_tries_again_what_failed_and_what_read_it(
    toy: Any,
) -> None:
    done = toy.done(
        ("run", [toy.request("prepare")]),
        ("run", [toy.request("train", report="b")]),
        ("resume", 2),
    )
    # Given a child that reports a failure, again when it is tried again
    ran = toy.ran()
    assert ran[:3] == ["extract", "publish", "families"]
    assert sorted(ran[3:6]) == ["fit:a", "fit:b", "fit:c"]  # side by side, in any order
    assert ran[6:] == ["choose", "fit:b", "choose"]
    for (result,) in (done.results[1], [done.results[2]]):
        assert result["status"] == "failed"
        failed = result["blocks"]["fit:b"]
        assert failed["status"] == "failed"
        assert failed["error"] == (
            "mlops.errors.CandidateFailureError: ValueError: family b is empty"
        )
        assert [b for b, found in result["blocks"].items() if found["status"] != "completed"] == [
            "fit:b"
        ]
        collected = result["outputs"]["choose"]["candidates"]
        assert [child["name"] for child in collected] == ["a", "b", "c"]
    assert [e["status"] for e in done.named("BlockFinished") if e["block"] == "fit:b"] == [
        "failed",
        "failed",
    ]
    assert statuses(toy, 2)["fit:b"] == "FAILED"
    # When the cause is mended, then the collector sees it.
    mend(toy)
    (result,) = toy.done(("resume", 2)).results
    assert result["status"] == "completed" and result["blocks"]["fit:b"]["error"] == ""
    assert toy.ran() == ["fit:b", "choose"]
    assert all("score" in child for child in result["outputs"]["choose"]["candidates"])


def test_the_scheduler_and_the_pages_retry_do_the_same(toy: Any, helpers: Any) -> None:
    toy.done(("run", [toy.request("prepare")]))
    server = helpers.start_server(toy).wait_until_up().enter()
    try:
        trigger = {"name": "by hand", "schedule_type": "api"}
        _, answer = server.ask(
            "/api/pipelines/train/pipeline_schedules", body={"pipeline_schedule": trigger}
        )
        schedule = answer["pipeline_schedule"]["id"]
        active = {"pipeline_schedule": {"id": schedule, "status": "active"}}
        server.ask(f"/api/pipeline_schedules/{schedule}", method="PUT", body=active)
        toy.ran()
        variables = {"ledger": str(toy.ledger), "report": "b"}
        _, answer = server.ask(
            f"/api/pipeline_schedules/{schedule}/pipeline_runs",
            body={"pipeline_run": {"variables": variables}},
        )
        run = answer["pipeline_run"]["id"]

        until(toy, run, "FAILED")
        found = statuses(toy, run)
        assert [block for block, status in found.items() if status != "COMPLETED"] == ["fit:b"]
        assert toy.ran()[-1] == "choose"

        retry = {"pipeline_run": {"id": run, "pipeline_run_action": "retry_blocks"}}
        server.ask(f"/api/pipeline_runs/{run}", method="PUT", body=retry)
        until(toy, run, "FAILED", after=["fit:b", "choose"])

        mend(toy)
        toy.ran()
        server.ask(f"/api/pipeline_runs/{run}", method="PUT", body=retry)
        until(toy, run, "COMPLETED")
        assert toy.ran() == ["fit:b", "choose"]
        assert set(statuses(toy, run).values()) == {"COMPLETED"}
    finally:
        server.kill()


def until(toy: Any, run: int, status: str, after: list[str] | None = None) -> None:
    """Wait until a run has a status, and until certain blocks have run."""
    toy.wait_for(
        lambda: after in (None, toy.ledger.read_text().split()) and toy.status(run) == status
    )
