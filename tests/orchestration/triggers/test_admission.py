"""What can be known at once is refused at once: with what was wrong, and what is accepted."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops.data.locations import location_of
from mlops.errors import ConfigurationError, MlopsError
from mlops.orchestration.triggers import admission
from mlops.orchestration.triggers.admission import (
    PIPELINES,
    accepted_names,
    check_backtest,
    check_job,
    check_run,
)
from mlops.orchestration.triggers.declared import TRIGGERS
from mlops.settings import PROJECT_ROOT, Settings, load_settings
from mlops.training.choice import with_baselines
from mlops.training.families import FAMILIES


def refusal(pipeline: str, **variables: Any) -> str:
    """Ask for a run that must be refused; return what is said."""
    with pytest.raises(MlopsError) as stop:
        check_run(pipeline, {name.replace("__", "."): value for name, value in variables.items()})
    assert stop.value.hint
    return str(stop.value)


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    return tmp_path


def test_every_pipeline_of_the_project_says_what_it_accepts() -> None:
    there = {path.parent.name for path in PROJECT_ROOT.glob("pipelines/*/metadata.yaml")}

    assert set(PIPELINES) == there


def test_every_trigger_and_example_of_the_code_uses_accepted_names() -> None:
    for trigger in TRIGGERS:
        given_ = {**trigger.variables, **trigger.example}
        assert set(given_) <= set(accepted_names(trigger.pipeline)), trigger


def test_a_run_may_name_a_dataset_that_there_is() -> None:
    assert check_run("sklearn_training", {"dataset": "flights"}).dataset == "flights"
    assert check_run("data_preparation", {"dataset": "flights"}).dataset == "flights"

    assert "did you mean flights?" in refusal("retraining", dataset="flihgts")
    assert "datasets are: taxi, flights" in refusal("predict", dataset="nothing")
    assert "is no name of a dataset" in refusal("retraining", dataset="../flights")


def test_a_definition_with_mistakes_is_refused_before_its_table_is_read(
    declare: Callable[[str], Path],
) -> None:
    declare("name: houses\nfeature: {}\n")

    assert "dataset.yaml has" in refusal("data_preparation", dataset="houses")
    assert check_run("sklearn_training", {"dataset": "houses"}).dataset == "houses"


def test_a_month_of_a_table_without_months_is_refused_at_once() -> None:
    table = {"dataset": "flights", "location": "/all.csv"}
    assert "score_months: 2013-06, but /all.csv has no {month}" in refusal(
        "batch_inference", **table, score_months="2013-06"
    )
    # A training takes all rows or none: months that are ignored would promise something else.
    assert "source.months: 2013-06, but /all.csv has no {month}" in refusal(
        "data_preparation", **table, months="2013-06"
    )
    assert check_run("data_preparation", table).source.month_list == ()


def test_the_form_that_asks_for_a_trip_refuses_other_datasets() -> None:
    assert "the form of the pipeline predict asks for a taxi trip" in refusal(
        "predict", dataset="flights"
    )


def test_rows_without_an_order_in_time_are_not_monitored(
    declare: Callable[[str], Path],
) -> None:
    assert check_run("monitoring", {"dataset": "flights"}).dataset == "flights"
    definition = {
        **{"name": "houses", "title": "What is a house worth?", "source": {"location": "a.csv"}},
        **{"task": {"target": "price"}, "features": {"rooms": "number"}},
        "split": {"by": "random", "validation": 0.2, "test": 0.2},
    }
    declare(yaml.safe_dump(definition))

    assert "houses: its rows have no time" in refusal("monitoring", dataset="houses")


def test_every_field_of_the_form_is_accepted() -> None:
    for path in PROJECT_ROOT.glob("pipelines/*/interactions.yaml"):
        for block in yaml.safe_load(path.read_text())["blocks"].values():
            for each in block:
                form = yaml.safe_load((PROJECT_ROOT / "interactions" / each["uuid"]).read_text())
                assert set(form["variables"]) <= set(accepted_names(path.parent.name))


@pytest.mark.parametrize(
    ("pipeline", "variables", "named"),
    [
        ("sklearn_training", {"families": "lassso"}, ["training.families", "lassso", "mean lasso"]),
        ("sklearn_training", {"families": "lasso,lasso"}, ["training.families", "2 times"]),
        ("sklearn_training", {"families": ""}, ["training.families", "[]"]),
        ("sklearn_training", {"families": " , "}, ["training.families", "[]"]),
        ("sklearn_training", {"families": "squared_error"}, ["training.families", "choose from"]),
        ("sklearn_training", {"famlies": "lasso"}, ["famlies", "did you mean families?"]),
        ("sklearn_training", {"promote": True}, ["promote", "no such variable", "families"]),
        ("sklearn_training", {"max_evals": "many"}, ["training.max_evals", "many"]),
        ("xgboost_training", {"objectives": "square_error"}, ["square_error", "squared_error"]),
        ("xgboost_training", {"objectives": []}, ["training.objectives", "nothing to train"]),
        ("xgboost_training", {"training.max_eval": 3}, ["did you mean training.max_evals?"]),
        ("sklearn_training", {"training.overrides": {"lasso": {"alfa": 1}}}, ["lasso.alfa"]),
        ("sklearn_training", {"training.overrides": {"laso": {"alpha": 1}}}, ["laso", "lasso"]),
        ("sklearn_training", {"training.overrides": {"lasso": {"alpha": "x"}}}, ["not a number"]),
        ("model_selection", {"promote": "maybe"}, ["promote", "maybe", "true or false"]),
        ("retraining", {"force": [True]}, ["force"]),
        ("deployment", {"version": [1]}, ["version: give one value"]),
        ("deployment", {"reason": {"a": 1}}, ["reason: give one value"]),
        ("predict", {"pickup_zone": 74, "dropoff_zone": 161}, ["no champion"]),
        (
            "batch_inference",
            {"source": "path", "location": "/no/where", "score_months": "2024-01"},
            ["/no/where"],
        ),
        ("retraining", {"families": "global_mean", "objectives": []}, ["baselines", "lasso"]),
        ("data_preparation", {"validation.actions": {"sped": "flag"}}, ["sped", "speed_too_high"]),
        ("data_preparation", {"months": "2024-13"}, ["months", "2024-13"]),
        ("data_preparation", {"months": "2024-02..2024-01"}, ["backwards"]),
        (
            "data_preparation",
            {"source": "tlc", "months": "2200-01"},
            ["2200-01", "is in the future"],
        ),
        ("data_preparation", {"windows.test_days": 400}, ["windows.test_days"]),
        ("data_preparation", {"source": "path"}, ["source.location", "--location"]),
        ("data_preparation", {"source": "path", "location": " ,"}, ["source.location"]),
        ("data_preparation", {"source": "path", "location": "/no/where"}, ["/no/where", "exist"]),
        ("batch_inference", {"score_months": "2024-1"}, ["score_months", "YYYY-MM"]),
        ("batch_inference", {}, ["no champion", "mlops run"]),
        ("predict", {"pickup_zone": "somewhere", "dropoff_zone": 1}, ["pickup_zone", "somewhere"]),
        ("deployment", {}, ["version: not given", "alias=challenger"]),
        ("deployment", {"version": 1, "alias": "challenger"}, ["both"]),
        ("deployment", {"version": "challenger"}, ["version", "not a number"]),
        ("deployment", {"version": "99"}, ["'99'", "no model has been registered", "mlops run"]),
        ("deployment", {"version": "1", "canary_percent": 0}, ["canary_percent"]),
        ("rollback", {"to_version": "last"}, ["to_version", "last"]),
        ("rollback", {"to": 3}, ["to: rollback has no such variable", "to_version"]),
        ("rollback", {}, ["no champion"]),
        ("monitoring", {"reason": "x"}, ["reason", "no such variable"]),
    ],
)
def test_a_mistake_is_refused_with_what_is_accepted(
    pipeline: str, variables: dict[str, Any], named: list[str]
) -> None:
    said = refusal(pipeline, **variables)

    assert [part for part in named if part not in said] == []


def test_a_folder_without_the_month_is_refused_and_one_with_it_is_not(tmp_path: Path) -> None:
    asked = {"source": "path", "location": str(tmp_path), "months": "2024-01..2024-02"}
    (tmp_path / "green_tripdata_2024-01.parquet").touch()
    assert "no green data for 2024-02" in refusal("data_preparation", **asked)

    (tmp_path / "green").mkdir()
    (tmp_path / "green" / "green_tripdata_2024-02.parquet").touch()
    assert check_run("data_preparation", asked).source.kind == "path"


def test_whatever_the_reader_takes_for_a_location_is_accepted(tmp_path: Path) -> None:
    table, parts, months = (
        tmp_path / name for name in ("a,b.parquet", "trips.parquet", "taxi,green")
    )
    parts.mkdir()
    (months / "green").mkdir(parents=True)
    for file in (table, parts / "part-0.parquet", months / "green_tripdata_2024-01.csv.gz"):
        file.touch()

    for location in (str(table), location_of([str(table), str(parts)]), str(parts), str(months)):
        asked = {"source": "path", "location": location, "months": "2024-01"}
        assert check_run("data_preparation", asked)
    asked = {"source": "path", "location": f"{parts},{parts}"}
    assert "more than once" in refusal("data_preparation", **asked)


def test_places_on_the_network_are_left_to_the_source() -> None:
    asked = {"source": "path", "location": "s3://bucket/trips", "months": "2024-01..2024-03"}

    assert check_run("data_preparation", asked).source.location == "s3://bucket/trips"


def test_what_mage_adds_and_pipelines_of_other_people_are_let_pass() -> None:
    check_run("model_selection", {"execution_date": "2024-01-01", "execution_partition": "1/2"})
    check_run("my_own_pipeline", {"anything": "goes"})


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"families": "lassso"}, "lasso"),
        ({"families": "global_mean", "objectives": []}, "baselines"),
        ({"families": [], "objectives": []}, "baselines"),
        ({"source": "path"}, "source.location"),
        ({"windows.validation_days": 90}, "windows.validation_days"),
        ({"validation.actions": {"sped": "flag"}}, "speed_too_high"),
        ({"training.overrides": {"lasso": {"alfa": 1}}}, "alfa"),
    ],
)
def test_the_main_job_is_refused_for_any_of_its_pipelines(
    overrides: dict[str, Any], named: str
) -> None:
    with pytest.raises(MlopsError, match=named):
        check_job(load_settings(overrides))


def test_the_main_job_may_train_only_one_kind() -> None:
    check_job(load_settings({"families": "lasso", "objectives": "[]"}))
    check_job(load_settings({"families": "[]", "objectives": "squared_error"}))
    check_job(Settings())


def test_a_replay_needs_families_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="nothing_fits"):
        check_backtest(load_settings({"backtest.families": "nothing_fits"}))
    check_backtest(Settings())
    with pytest.raises(MlopsError, match=r"source\.location"):
        check_backtest(load_settings({"source": "path"}))


def test_only_the_tlc_has_no_months_to_come_and_the_present_one_may_be_asked_for() -> None:
    this_month = f"{date.today():%Y-%m}"
    asked = {"source": "tlc", "months": this_month}
    check_run("data_preparation", asked)
    check_run("data_preparation", {"source": "sample", "months": "2200-01"})


def test_without_months_the_last_one_is_scored(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(admission, "_check_source", lambda settings, months: seen.append(months))
    monkeypatch.setattr(admission, "require_champion", lambda settings: None)
    check_run("batch_inference", {"months": "2024-01..2024-03"})
    check_run("batch_inference", {"months": "2024-01..2024-03", "score_months": "2023-05"})
    assert seen == [("2024-03",), ("2023-05",)]


@given(st.text(string.ascii_lowercase + "_.", min_size=1, max_size=30))
def test_a_name_is_either_accepted_or_refused_by_its_name(name: str) -> None:
    for pipeline in PIPELINES:
        if name not in accepted_names(pipeline):
            with pytest.raises(MlopsError) as stop:
                check_run(pipeline, {name: "x"})
            assert name in stop.value.message


@given(st.lists(st.sampled_from(sorted(FAMILIES)), unique=True))
def test_baselines_are_always_trained_and_nothing_else_is_added(names: list[str]) -> None:
    trained = with_baselines(names)

    baselines = {name for name, family in FAMILIES.items() if family.baseline}
    assert set(trained) == set(names) | baselines
    assert len(trained) == len(set(trained))
    assert list(trained[: len(names)]) == names


def test_what_the_steps_read_is_accepted_somewhere() -> None:
    of_mage = {
        *("pipeline_run_id", "pipeline_uuid", "trigger_name", "execution_partition"),
        "remote_blocks",
    }
    read = {
        name
        for path in (PROJECT_ROOT / "mlops" / "steps").glob("*.py")
        for name in re.findall(
            r"(?:variables\.get\(|text_of\(variables, )\"(\w+)\"", path.read_text(encoding="utf-8")
        )
    }

    accepted = {name for inputs in PIPELINES.values() for name in inputs.variables}
    assert len(read) > 5
    assert read - of_mage <= accepted
