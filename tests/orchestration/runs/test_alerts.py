"""Runs that fail or take too long are told of, once, whoever drives them and however slowly."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytestmark = pytest.mark.mage


def told(web: Any) -> list[tuple[str, str]]:
    return [(body["kind"], body["facts"].get("run", "")) for body in web.bodies("/hook")]


def test_the_servers_scheduler_tells_and_is_never_held_up(toy, helpers, web):
    # Given a server whose alerts go to a receiver that keeps them waiting
    web.answers["/hook"] = ["wait"]
    server = helpers.start_server(
        toy,
        MLOPS_NOTIFICATIONS__WEBHOOKS=web.url("/hook"),
        MLOPS_NOTIFICATIONS__TIMEOUT_SECONDS=100,
    )
    try:
        server.wait_until_up().enter()
        schedule = toy.trigger("prepare", "over the network")

        def start(ledger: Any) -> int:
            return int(server.post(schedule, ledger=str(ledger))["pipeline_run"]["id"])

        def is_(status: str, run: int) -> bool:
            return toy.status(run) == status

        # When a run fails, and another completes while that is being told
        failed = start(toy.folder / "missing" / "ledger")
        toy.wait_for(lambda: web.received)
        good = start(toy.ledger)
        toy.wait_for(lambda: is_("COMPLETED", good))
        assert is_("FAILED", failed) and not web.release.is_set()
        web.release.set()
        # Then the alert says where to look, and the end of the incident is told
        ((_, alert),) = web.received[:1]
        assert alert["title"] == "prepare failed in extract"
        assert "FileNotFoundError" in alert["text"]
        assert alert["facts"]["log"].endswith("prepare/extract.log")
        incidents = toy.home / "notifications"
        # (by the good run, if its end was looked at only now; else by another one)
        toy.wait_for(lambda: list(incidents.glob("*.json")) or told(web)[-1][0] == "recovered")
        if told(web)[-1][0] != "recovered":
            start(toy.ledger)
        toy.wait_for(lambda: told(web)[-1][0] == "recovered")
        # When it fails again, and again at a retry, while that is being told
        web.release.clear()
        again = start(toy.folder / "missing" / "ledger")
        toy.wait_for(lambda: ("failure", str(again)) in told(web))
        body = {"pipeline_run": {"pipeline_run_action": "retry_blocks"}}
        server.ask(f"/api/pipeline_runs/{again}", method="PUT", body=body)
        toy.wait_for(lambda: is_("FAILED", again))
        web.release.set()
        toy.wait_for(lambda: any('"untold": 1' in f.read_text() for f in incidents.glob("*.json")))
        # Then the retry was no new message
        assert told(web).count(("failure", str(again))) == 1
        # When a run takes longer than promised
        execute(toy, f"update pipeline_schedule set sla = 1 where id = {schedule}")
        pipe = toy.folder / "pipe"
        os.mkfifo(pipe)
        late = start(pipe)
        # Then that is told once, while it still runs
        toy.wait_for(lambda: ("sla", str(late)) in told(web))
        assert is_("RUNNING", late)
        for _ in range(2):
            pipe.read_text()  # lets a block go on
        toy.wait_for(lambda: is_("COMPLETED", late))
        # And its success ends the incident
        toy.wait_for(lambda: [kind for kind, _ in told(web)].count("recovered") == 2)
        assert told(web).count(("sla", str(late))) == 1
    finally:
        server.kill()


def execute(toy: Any, statement: str) -> None:
    import sqlite3

    with sqlite3.connect(toy.home / "mage" / "mage.db", timeout=30) as connection:
        connection.execute(statement)


def test_the_engine_tells_which_block_failed_and_why(toy, web):
    settings = {"MLOPS_NOTIFICATIONS__WEBHOOKS": web.url("/hook")}
    toy.done(
        ("run", [toy.request("prepare")]),
        ("run", [toy.request("train", die="b")]),
        ("run", [toy.request("train", fail="b")]),
        **settings,
    )
    killed, failed = web.bodies("/hook")
    assert killed["title"] == failed["title"] == "train failed in fit:b"
    assert "SIGKILL" in killed["text"] and failed["text"].endswith("family b has no data")
