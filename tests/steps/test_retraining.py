"""Steps of `retraining` without Mage: the runs they ask for, and the record they leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.datasets.opening import dataset_of
from mlops.orchestration.runs import exits
from mlops.registry import remembered
from mlops.retraining.records import (
    PendingApproval,
    ask_for_approval,
    newest_record,
    now,
    pending_approval,
    read_record,
    settle_approval,
)
from mlops.settings import load_settings
from mlops.steps import retraining
from tests.datasets.declared.deliveries import DELIVERIES
from tests.datasets.declared.preparing.conftest import rows_of_days

RUN = {"pipeline_run_id": 7, "trigger_name": "weekly", "env": "prod"}


@dataclass
class Runs:
    """Stands for the pipelines: notes what was asked, answers what they would have."""

    outputs: Mapping[str, Any]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(
        self,
        pipeline: str,
        variables: Mapping[str, Any],
        parent: Mapping[str, Any],
    ) -> Any:
        assert parent["pipeline_run_id"] == 7
        self.asked.append((pipeline, dict(variables)))
        return SimpleNamespace(run_id=100 + len(self.asked), output=self.outputs.__getitem__)


def outputs(version: int | None = 3, promoted: bool = False) -> dict[str, Any]:
    return {
        "publish_training_set": {"sha256": "abc"},
        "judge_challenger": {
            "verdict": {"summary": "the gate's words"},
            "candidates": [
                {"family": "lasso", "status": "finished", "validation_rmse": 4.0, "metrics": None}
            ],
            "untrained": [{"family": "extra_trees", "error": "it broke"}],
        },
        "register_challenger": {"version": version, "promoted": promoted, "summary": "registered"},
    }


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def in_use(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let there be a training set of given months."""

    def use(*months: str, kind: str = "sample", recipe: dict[str, Any] | None = None) -> None:
        extraction = SimpleNamespace(kind=kind, taxi="green", months=months)
        manifest = SimpleNamespace(extraction=extraction, recipe={"source": recipe or {}})
        monkeypatch.setattr(remembered, "current_training_set", lambda settings: manifest)

    return use


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def whole_run(runs: Runs, **variables: Any) -> dict[str, Any]:
    """Do what the pipeline does, through JSON as Mage would store it."""
    given = {**RUN, **variables}
    decision = through_json(retraining.look_for_new_data(given))
    assert retraining.is_needed(decision)
    prepared = through_json(retraining.prepare(decision, given, runs))
    trainings = [
        through_json(retraining.train(pipeline, prepared, given, runs))
        for pipeline in ("sklearn_training", "xgboost_training")
    ]
    selection = through_json(retraining.select(prepared, trainings, given, runs))
    deployment = through_json(retraining.deploy(selection, given, runs))
    return retraining.record(selection, deployment, given)


def test_a_new_month_is_prepared_trained_judged_and_deployed(in_use: Any) -> None:
    in_use("2024-01", "2024-02")
    runs = Runs(outputs())
    record = whole_run(runs, **{"deployment.policy": "auto", "max_evals": 3, "reason": "new data"})

    months = {"source.months": "2024-01,2024-02,2024-03"}
    given = {"windows.test_days": 7, "deployment.policy": "auto", "max_evals": 3, **months}
    assert runs.asked == [
        ("data_preparation", given),
        ("route_statistics", given),
        ("sklearn_training", given),
        ("xgboost_training", given),
        ("model_selection", {**given, "training_runs": "103,104"}),
        ("deployment", {"version": "3", "reason": "retraining: new data"}),
    ]
    assert record["status"] == "completed" and record["training_set"] == "abc"
    assert record["summary"] == "version 3 was deployed by run 106"
    assert record["decision"]["reason"] == "new data; new: 2024-03"
    assert record["verdict"] == "the gate's words" and record["version"] == 3
    states = {each["family"]: each["status"] for each in record["candidates"]}
    assert states == {"lasso": "finished", "extra_trees": "failed"}
    assert newest_record(load_settings()) == read_record(load_settings(), 7)


def test_another_dataset_is_retrained_on_the_months_of_its_files(
    in_use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use("2013-01", "2013-02", kind="path")
    there = ("2013-01", "2013-02", "2013-03")
    monkeypatch.setattr(retraining, "months_there", lambda settings: there)
    runs = Runs(outputs())

    record = whole_run(runs, dataset="flights", **{"deployment.policy": "auto"})

    assert record["decision"]["new_months"] == ["2013-03"]
    (_, given), *others = runs.asked
    assert (given["dataset"], given["source.months"]) == ("flights", ",".join(there))
    assert all(each["dataset"] == "flights" for _, each in others[:-1])
    flights = load_settings({"dataset": "flights"})
    assert read_record(flights, 7) is not None and read_record(load_settings(), 7) is None


@pytest.fixture
def whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declare: Callable[[str], Path]
) -> Path:
    """Return the file of a table without months, which a training set was made from."""
    file = tmp_path / "all.csv"
    rows_of_days(4).to_csv(file, index=False)
    declare(DELIVERIES)
    settings = load_settings({"dataset": "deliveries", "location": str(file)})
    extraction = dataset_of(settings).extract(settings)
    manifest = SimpleNamespace(extraction=extraction, recipe={"source": {}})
    for module in (remembered, retraining):
        monkeypatch.setattr(module, "current_training_set", lambda settings: manifest)
    return file


def test_a_table_without_months_is_learned_from_anew_when_its_file_has_changed(
    whole_table: Path,
) -> None:
    given = {**RUN, "dataset": "deliveries", "location": str(whole_table)}
    decision = retraining.look_for_new_data(given)
    assert not decision["needed"]
    assert decision["reason"] == "nothing to do: no file has changed"

    rows_of_days(5).to_csv(whole_table, index=False)
    decision = retraining.look_for_new_data({**given, "reason": "nightly"})
    assert decision["needed"] and decision["reason"] == "nightly; new or changed: all.csv"


def test_a_table_without_months_is_retrained_as_a_whole(whole_table: Path) -> None:
    runs = Runs(outputs())

    whole_run(runs, dataset="deliveries", location=str(whole_table), force=True)

    asked = [variables for _, variables in runs.asked]
    assert not any("source.months" in each or "windows.test_days" in each for each in asked)


@pytest.mark.parametrize(
    ("asked", "passed_on"),
    [
        ({"retraining.test_days": 10}, {"windows.test_days": 10}),
        ({"retraining.test_days": 0}, {}),
        ({"windows.test_start": "2024-03-20"}, {}),
        ({"windows.validation_days": 3, "retraining.test_days": 10}, {}),
        ({"windows.test_days": 3}, {}),
    ],
)
def test_the_newest_days_judge_unless_the_run_was_given_windows(
    in_use: Any, asked: dict[str, Any], passed_on: dict[str, Any]
) -> None:
    in_use("2024-01", "2024-02")
    runs = Runs(outputs())
    whole_run(runs, **asked)

    children = [
        {name: value for name, value in variables.items() if name != "training_runs"}
        for pipeline, variables in runs.asked
        if pipeline != "deployment"
    ]
    expected = {**passed_on, **asked, "source.months": "2024-01,2024-02,2024-03"}
    assert len(children) == 5 and all(child == expected for child in children)


def test_without_a_new_month_the_record_says_that_there_was_nothing_to_do(in_use: Any) -> None:
    in_use("2099-01")
    decision = retraining.look_for_new_data({**RUN, "reason": "new data"})
    assert not retraining.is_needed(decision)
    record = read_record(load_settings(), 7)
    assert record is not None and record.ended_well
    assert (record.status, record.trigger) == ("nothing to do", "weekly")
    assert record.summary == "nothing to do: the source has no month after 2099-01"


@pytest.mark.parametrize("force", [True, "true", "1"])
def test_it_can_be_forced(in_use: Any, force: Any) -> None:
    in_use("2099-01")
    decision = retraining.look_for_new_data({**RUN, "force": force, "reason": "weekly"})
    assert decision["needed"] and decision["months"] == ["2099-01"]


def test_months_that_are_asked_for_are_taken(in_use: Any) -> None:
    in_use("2024-01", "2024-02")
    decision = retraining.look_for_new_data({**RUN, "months": "2023-11..2023-12"})
    assert decision["needed"] and decision["months"] == ["2023-11", "2023-12"]


def test_the_first_training_set_has_the_months_configured() -> None:
    decision = retraining.look_for_new_data({**RUN})
    assert decision["months"] == ["2023-12", "2024-01", "2024-02"]


def test_the_source_of_the_training_set_in_use_is_remembered_and_handed_on(
    in_use: Any, tmp_path: Path
) -> None:
    trips = tmp_path / "trips"
    trips.mkdir()
    (trips / "yellow_tripdata_2024-02.parquet").touch()
    recipe = {"kind": "path", "taxi": "green", "location": str(trips), "months": "2024-01"}
    in_use("2024-01", kind="path", recipe=recipe)
    assert not retraining.look_for_new_data(RUN)["needed"], "the other taxi's month is not news"

    (trips / "green_tripdata_2024-02.parquet").touch()
    decision = retraining.look_for_new_data(RUN)
    assert decision["new_months"] == ["2024-02"]
    runs = Runs(outputs())
    given = retraining.prepare(decision, RUN, runs)["variables"]
    assert given["source.kind"] == "path" and given["source.location"] == str(trips)
    assert given["source.months"] == "2024-01,2024-02"


def test_a_source_given_explicitly_wins_and_has_its_own_months(in_use: Any) -> None:
    in_use("2024-01", kind="tlc", recipe={"kind": "tlc", "months": "2024-01..2024-02"})
    decision = retraining.look_for_new_data({**RUN, "source": "sample"})
    assert decision["needed"] and decision["months"] == ["2024-01", "2024-02"]


def test_a_version_waits_for_approval_in_place_of_an_earlier_one(in_use: Any) -> None:
    in_use("2024-01")
    settings = load_settings()
    earlier = PendingApproval(version=2, reason="", verdict="", run_id=1, requested_at=now())
    ask_for_approval(settings, earlier)
    runs = Runs(outputs())
    record = whole_run(runs)
    assert record["summary"] == "version 3 waits for approval: mlops approve 3"
    assert [pipeline for pipeline, *_ in runs.asked][-1] == "model_selection"
    pending = pending_approval(settings)
    assert pending is not None and (pending.version, pending.run_id) == (3, 7)
    settle_approval(settings, 2)
    assert pending_approval(settings) == pending
    settle_approval(settings, 3)
    assert pending_approval(settings) is None


@pytest.mark.parametrize("found", [outputs(version=None), outputs(promoted=True)])
def test_what_was_refused_or_is_champion_already_is_not_deployed(
    in_use: Any, found: dict[str, Any]
) -> None:
    in_use("2024-01")
    runs = Runs(found)
    assert whole_run(runs, **{"deployment.policy": "auto"})["summary"] == "registered"
    assert "deployment" not in [pipeline for pipeline, *_ in runs.asked]
    assert pending_approval(load_settings()) is None


def test_a_training_of_which_nothing_is_asked_is_left_out(in_use: Any) -> None:
    in_use("2024-01")
    runs = Runs(outputs())
    whole_run(runs, objectives="[]")
    assert "xgboost_training" not in [pipeline for pipeline, *_ in runs.asked]


def test_a_run_that_fails_leaves_the_cause_in_its_record(in_use: Any) -> None:
    in_use("2024-01")
    retraining.look_for_new_data(RUN)
    settings = load_settings()
    failed = SimpleNamespace(block="prepare_data", error="SourceError: no such month")
    result: Any = SimpleNamespace(
        dataset="taxi",
        pipeline="retraining",
        run_id=7,
        status="failed",
        failed_blocks=(failed,),
        succeeded=False,
    )
    exits.run_ended(settings, result)
    record = read_record(settings, 7)
    assert record is not None and not record.ended_well and record.ended_at is not None
    assert record.summary == "prepare_data: SourceError: no such month"
