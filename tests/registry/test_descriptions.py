"""What MLflow's pages say of each dataset: its own question and unit, nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import ConfigurationError
from mlops.registry.descriptions import NOTE, experiment_tags, model_description
from mlops.settings import load_settings

DEFINITION = """
name: houses
title: What does a house cost
source: {location: houses.csv}
task: {target: price, unit: euros}
features: {area: number}
split: {by: random, validation: 0.2, test: 0.2}
"""


@pytest.fixture
def houses(declare: Callable[[str], Path]) -> None:
    declare(DEFINITION)


@pytest.mark.usefixtures("houses")
def test_the_pages_of_a_dataset_say_what_it_asks_and_nothing_of_taxis() -> None:
    settings = load_settings({"dataset": "houses"})

    experiment, model = experiment_tags(settings)[NOTE], model_description(settings)

    assert experiment.startswith("What does a house cost. One run per candidate")
    assert "RMSE (euros)" in experiment
    assert model.startswith(
        "What does a house cost. Predicts the price of a row, in euros, with an 80 %"
    )
    assert not any(word in experiment + model for word in ("taxi", "trip", "minute"))


def test_the_pages_of_the_worked_case_ask_about_taxi_trips() -> None:
    settings = load_settings()

    assert experiment_tags(settings)[NOTE].startswith("How long does a New York taxi trip take")
    assert "Predicts how many minutes a taxi trip in New York" in model_description(settings)


def test_a_dataset_without_a_definition_has_no_pages() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        experiment_tags(load_settings({"dataset": "nowhere"}))
