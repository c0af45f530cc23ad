"""The dataset of a run, as the run's settings have it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mlops.datasets.definition import TimeSpan
from mlops.datasets.opening import declared_definition
from mlops.settings import load_settings
from tests.datasets.declared.deliveries import deliveries


@pytest.mark.parametrize(
    ("given", "test"),
    [
        ({}, TimeSpan(1, timedelta(0))),
        ({"windows.test_days": 9}, TimeSpan(0, timedelta(days=9))),
    ],
)
def test_a_test_window_that_is_asked_for_takes_the_place_of_the_declared_one(
    given: dict[str, int], test: TimeSpan
) -> None:
    flights = declared_definition(load_settings({"dataset": "flights", **given}))
    assert (flights.split.test, flights.split.validation.rest.days) == (test, 14)


def test_a_split_at_random_has_no_days() -> None:
    at_random = deliveries(split="{by: random, validation: 0.1, test: 0.2}", histories="{}")
    assert at_random.with_test_days(9) == at_random


def test_a_retraining_keeps_the_declared_split_unless_asked_otherwise() -> None:
    assert load_settings().retraining.test_days == 7
    assert load_settings({"dataset": "flights"}).retraining.test_days == 0
    asked = {"dataset": "flights", "retraining.test_days": 10}
    assert load_settings(asked).retraining.test_days == 10
