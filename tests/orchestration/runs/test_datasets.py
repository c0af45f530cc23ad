"""The dataset of a run, by its variables."""

from __future__ import annotations

import pytest

from mlops.orchestration.runs.datasets import dataset_asked, dataset_named


@pytest.mark.parametrize("variables", [None, {}, {"months": "2024-01"}, {"dataset": ""}])
def test_a_run_of_an_old_home_belongs_to_the_worked_case(variables: dict[str, str] | None) -> None:
    assert dataset_named(variables) == "taxi"


def test_what_a_run_is_given_ranks_above_its_trigger_and_the_process() -> None:
    assert dataset_named({"dataset": "flights"}) == "flights"
    assert dataset_asked("anything", 1, {"dataset": "flights"}) == "flights"
