"""With a trigger's token: a run is started once, joined, asked after; and refused with reasons."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.orchestration.triggers.admission import accepted_names


class Caller:
    """Somebody with the tokens of a server's API triggers."""

    def __init__(self, toy: Any, up: Any, helpers: SimpleNamespace) -> None:
        self.toy, self.up, self.bearer = toy, up, helpers.bearer
        self.ledger = str(toy.ledger)

    def address(self, pipeline: str) -> str:
        return f"/api/pipeline_schedules/{self.toy.trigger(pipeline, 'api')}/api_trigger"

    def post(
        self, pipeline: str, variables: Any = None, key: str = "", **body: Any
    ) -> tuple[int, Any]:
        headers = self.bearer() | ({"Idempotency-Key": key} if key else {})
        content = {"pipeline_run": {"variables": variables or {}}, **body}
        return self.up.call(self.address(pipeline), content, headers=headers)  # type: ignore[no-any-return]

    def state(self, pipeline: str, run: int, *token: str) -> tuple[int, Any]:
        return self.up.call(  # type: ignore[no-any-return]
            f"{self.address(pipeline)}/{run}", headers=self.bearer(*token)
        )

    def ended(self, pipeline: str, run: int) -> dict[str, Any]:
        def over() -> Any:
            status, answer = self.state(pipeline, run)
            assert status == 200, answer
            return answer["pipeline_run"]["is_over"] and answer["pipeline_run"]

        return dict(self.toy.wait_for(over))

    def runs(self) -> int:
        return int(self.toy.rows("select count(*) from pipeline_run")[0][0])


@pytest.fixture(scope="module")
def caller(
    tmp_path_factory: pytest.TempPathFactory, shared_toy: Any, helpers: SimpleNamespace
) -> Iterator[Caller]:
    # A pipeline named as one of the project's: its variables are known.
    pipelines = shared_toy.project / "pipelines"
    for name in ("sklearn_training", "deployment"):
        shutil.copytree(pipelines / "chain", pipelines / name)
        metadata = pipelines / name / "metadata.yaml"
        metadata.write_text(metadata.read_text().replace("chain", name))
    server = helpers.start_server(shared_toy)
    try:
        yield Caller(shared_toy, server.wait_until_up().enter(), helpers)
    finally:
        server.kill()


pytestmark = pytest.mark.mage


def test_the_token_that_started_a_run_tells_how_it_stands(caller: Caller) -> None:
    status, answer = caller.post("chain", {"ledger": caller.ledger})
    assert status == 200 and answer["started"]
    run = answer["pipeline_run"]["id"]

    told = caller.ended("chain", run)

    assert (told["id"], told["pipeline"], told["status"]) == (run, "chain", "completed")
    assert {block["block"]: block["status"] for block in told["blocks"]} == {
        "step_one": "completed",
        "step_two": "completed",
        "step_three": "completed",
    }
    assert told["started_at"] and told["completed_at"]


def test_a_run_that_failed_says_which_block_and_why(caller: Caller) -> None:
    run = caller.post("chain", {"ledger": "/no/such/folder/ledger"})[1]["pipeline_run"]["id"]

    told = caller.ended("chain", run)

    assert told["status"] == "failed"
    assert "FileNotFoundError" in {b["block"]: b["error"] for b in told["blocks"]}["step_one"]


def test_neither_another_token_nor_another_pipeline_tells(caller: Caller) -> None:
    run = caller.post("chain", {"ledger": caller.ledger})[1]["pipeline_run"]["id"]

    assert caller.state("chain", run, "another-token-of-tests")[0] == 401
    assert caller.state("family", run)[0] == 404
    assert caller.state("chain", 10**6)[0] == 404
    assert caller.up.call(f"{caller.address('chain')}/{run}")[0] == 401
    caller.ended("chain", run)


def test_a_request_that_is_repeated_with_its_key_starts_one_run(caller: Caller) -> None:
    before = caller.runs()
    asked = {"ledger": caller.ledger}
    first = caller.post("chain", asked, key="night of 1 March")[1]
    caller.ended("chain", first["pipeline_run"]["id"])

    again = [caller.post("chain", asked, key="night of 1 March")[1] for _ in range(3)]
    other = caller.post("chain", asked, key="night of 2 March")[1]

    assert {each["pipeline_run"]["id"] for each in again} == {first["pipeline_run"]["id"]}
    assert first["started"] and not any(each["started"] for each in again)
    assert other["started"]
    assert caller.runs() == before + 2
    # and a key is not taken for another request
    status, answer = caller.post("chain", {**asked, "more": 1}, key="night of 1 March")
    assert status == 422 and "Idempotency-Key" in answer["error"]["message"]
    assert caller.post("chain", asked, key="k" * 1_000)[0] == 400
    caller.ended("chain", other["pipeline_run"]["id"])


def test_a_run_in_progress_is_joined_where_that_is_asked_for(
    caller: Caller, tmp_path: Path
) -> None:
    # Given a run whose first block waits until somebody reads
    slow = tmp_path / "ledger"
    os.mkfifo(slow)
    first = caller.post("chain", {"ledger": str(slow)})[1]["pipeline_run"]["id"]

    # When a second request would rather skip
    joined = caller.post("chain", {"ledger": caller.ledger}, skip_if_running=True)[1]

    # Then it learns which run that is, and nothing is started until it is over.
    assert (joined["pipeline_run"]["id"], joined["started"]) == (first, False)
    # And a run for another dataset is in nobody's way.
    other = caller.post(
        "chain", {"ledger": caller.ledger, "dataset": "flights"}, skip_if_running=True
    )[1]
    assert other["started"] and other["pipeline_run"]["variables"]["dataset"] == "flights"
    reader = os.open(slow, os.O_RDONLY | os.O_NONBLOCK)
    caller.ended("chain", first)
    os.close(reader)
    last = caller.post("chain", {"ledger": caller.ledger}, skip_if_running=True)[1]
    assert last["started"]
    caller.ended("chain", last["pipeline_run"]["id"])
    assert caller.post("chain", {}, skip_if_running="often")[0] == 400


@pytest.mark.parametrize(
    ("pipeline", "variables", "named"),
    [
        ("sklearn_training", {"famlies": "lasso"}, ["famlies", "families"]),
        ("sklearn_training", {"families": "lassso"}, ["lassso", "lasso"]),
        ("sklearn_training", {"families": ""}, ["families"]),
        ("sklearn_training", {"training.max_evals": -1}, ["training.max_evals"]),
        ("deployment", {"version": "99"}, ["99"]),
        ("deployment", {}, ["version: not given", "alias"]),
        ("deployment", {"version": ""}, ["version: empty", "alias"]),
    ],
)
def test_a_mistake_is_refused_before_a_run_is_recorded(
    caller: Caller, pipeline: str, variables: dict[str, Any], named: list[str]
) -> None:
    before = caller.runs()

    started = time.monotonic()
    status, answer = caller.post(pipeline, variables)

    assert status == 400
    assert time.monotonic() - started < 30
    assert [part for part in named if part not in answer["error"]["message"]] == []
    assert answer["error"]["accepted"] == list(accepted_names(pipeline))
    assert caller.runs() == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/api/pipelines/sklearn_training/pipeline_schedules",
            {
                "pipeline_schedule": {
                    "name": "form",
                    "schedule_type": "time",
                    "schedule_interval": "@once",
                    "status": "active",
                    "variables": {"families": "lassso"},
                }
            },
        ),
        (
            "/api/pipelines/sklearn_training/pipeline_schedules",
            {"pipeline_schedule": {"name": "x", "variables": {"famlies": "lasso"}}},
        ),
    ],
)
def test_a_form_is_refused_in_mages_own_way(caller: Caller, path: str, body: Any) -> None:
    before = caller.toy.rows("select count(*) from pipeline_schedule")

    _, answer = caller.up.ask(path, body=body)

    assert "choose from" in answer["error"]["message"] or "families?" in answer["error"]["message"]
    assert caller.toy.rows("select count(*) from pipeline_schedule") == before


def test_a_run_of_a_trigger_and_a_change_of_it_are_looked_at(caller: Caller) -> None:
    before = caller.runs()
    trigger = caller.address("sklearn_training").removesuffix("/api_trigger")
    wrong = {"families": "lassso"}

    _, run = caller.up.ask(f"{trigger}/pipeline_runs", body={"pipeline_run": {"variables": wrong}})
    _, changed = caller.up.ask(
        trigger, body={"pipeline_schedule": {"variables": wrong}}, method="PUT"
    )

    assert "lassso" in run["error"]["message"]
    assert "lassso" in changed["error"]["message"]
    assert caller.runs() == before
    # while what has no variables is none of its business
    _, renamed = caller.up.ask(
        trigger, body={"pipeline_schedule": {"description": "x"}}, method="PUT"
    )
    assert renamed["pipeline_schedule"]["description"] == "x"
