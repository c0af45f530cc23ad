"""The record of a main job: what a resumed one takes up, forgets, and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops.errors import BusyError, ConfigurationError, InterruptionError
from mlops.orchestration.jobs.journal import Journal, begin_job, decides_the_data, resume_command
from mlops.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": str(tmp_path)})


def journal(settings: Settings, *finished: str, **variables: Any) -> Journal:
    made = Journal.of(settings, {name.replace("__", "."): v for name, v in variables.items()})
    made.finished[:] = finished
    return made


def test_a_record_is_read_back_and_written_where_it_was_read(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no interrupted job"):
        Journal.read(settings)
    first = journal(settings, "data_preparation", max_evals=3)
    first.runs["data_preparation"] = 7
    first.write()

    again = Journal.read(settings)
    again.finished.append("sklearn_training")
    again.write()

    found = Journal.read(settings)
    assert (found.variables, found.runs) == ({"max_evals": 3}, {"data_preparation": 7})
    assert found.finished == ["data_preparation", "sklearn_training"]


def test_each_dataset_has_a_job_of_its_own(settings: Settings) -> None:
    flights = load_settings({"home": str(settings.home), "dataset": "flights"})
    journal(settings, "data_preparation").write()

    with pytest.raises(ConfigurationError, match="no interrupted job"):
        Journal.read(flights)
    assert resume_command(settings) == "mlops run --resume"
    assert resume_command(flights) == "mlops run --resume --dataset flights"


def test_a_pipeline_that_is_forgotten_runs_anew_and_no_other(settings: Settings) -> None:
    made = journal(settings, "data_preparation", "sklearn_training")
    made.runs = {"data_preparation": 1, "sklearn_training": 2}

    made.forget("sklearn_training")
    made.forget("xgboost_training")

    assert (made.finished, made.runs) == (["data_preparation"], {"data_preparation": 1})


@pytest.mark.parametrize(
    ("before", "given", "changed"),
    [
        ({"max_evals": 3}, {"max_evals": 5}, {"max_evals": 5}),
        ({"max_evals": 3}, {"max_evals": 3}, {}),
        ({"max_evals": 3}, {"training.max_evals": 5}, {"max_evals": 5}),  # as the job spells it
        ({"training.max_evals": 3}, {"max_evals": "5"}, {"training.max_evals": "5"}),
        ({}, {"max_evals": 5}, {"training.max_evals": 5}),
        ({}, {"promote": True}, {"promote": True}),
        ({}, {"promote": False}, {}),
        # one that is as it was says nothing of those after it
        ({"max_evals": 3}, {"max_evals": 3, "gate.max_size_mb": 9}, {"gate.max_size_mb": 9}),
    ],
)
def test_a_resumed_job_takes_up_what_it_is_given_anew(
    settings: Settings, before: dict[str, Any], given: dict[str, Any], changed: dict[str, Any]
) -> None:
    made = journal(settings, "data_preparation", **before)

    assert made.take_up(given) == changed
    assert made.variables == {**before, **changed}


def test_what_decides_the_data_is_taken_up_only_until_they_are_built(settings: Settings) -> None:
    early, late = journal(settings, "sklearn_training"), journal(settings, "data_preparation")

    assert early.take_up({"months": "2024-01"}) == {"source.months": "2024-01"}
    with pytest.raises(ConfigurationError, match=r"source\.months: .* built already"):
        late.take_up({"months": "2024-01"})
    assert late.variables == {}


@pytest.mark.parametrize(
    ("name", "decides"),
    [
        *(("months", True), ("source.months", True), ("windows.test_days", True)),
        *(("validation.clock", True), ("features.route_smoothing", True)),
        *(("max_evals", False), ("training.seed", False), ("promote", False)),
    ],
)
def test_which_settings_decide_the_data(name: str, decides: bool) -> None:
    assert decides_the_data(name) == decides


def test_a_job_is_on_record_and_alone_before_anything_else_happens(settings: Settings) -> None:
    with begin_job(settings, {"max_evals": 3}, resume=False) as job:
        assert (job.resumed, dict(job.changed)) == (False, {})
        assert Journal.read(settings).variables == {"max_evals": 3}
        with pytest.raises(BusyError), begin_job(settings, {}, resume=True):
            pass
    with begin_job(settings, {"max_evals": 5}, resume=True) as job:
        assert (job.resumed, dict(job.changed)) == (True, {"max_evals": 5})
        assert Journal.read(settings).variables == {"max_evals": 5}


def test_a_job_that_is_interrupted_says_how_to_go_on(settings: Settings) -> None:
    with pytest.raises(InterruptionError) as stopped, begin_job(settings, {}, resume=False):
        raise KeyboardInterrupt
    assert "mlops run --resume" in stopped.value.hint
