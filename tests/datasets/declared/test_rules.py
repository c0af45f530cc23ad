"""Rules give a frame and one row the same verdict, and say in words what they mean."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings

from mlops.datasets.declared.rules import broken_by_one, broken_rules, rules_of
from tests.datasets.declared.deliveries import ROWS, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

DEFINITION = deliveries()
RULES = rules_of(DEFINITION)


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def broken(**changes: Any) -> list[str]:
    return [*broken_rules(RULES, frame_of([{**ROW, **changes}]))]


@given(ROWS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_frame_and_one_row_are_judged_alike(rows: list[dict[str, Any]]) -> None:
    frame = frame_of(rows)

    masks = broken_rules(RULES, frame)

    for position, row in enumerate(plain_rows(frame)):
        of_frame = [n for n, mask in masks.items() if mask[position] and n != "duplicate"]
        assert broken_by_one(RULES, row) == of_frame


def test_declared_rules() -> None:
    assert broken() == []
    assert broken(weight=50.0) == []
    assert broken(weight=50.5) == ["weight_wrong"]
    assert broken(weight=None) == ["weight_wrong"]
    assert broken(quoted=2.5) == ["quoted_fraction"]
    assert broken(quoted=0.0) == ["quoted_fraction"]
    assert broken(city="7") == [], "a number among the values of a category is its text"
    assert broken(city="Turin") == ["city_unknown"]
    assert broken(city=None) == []


def test_rules_of_roles() -> None:
    assert broken(minutes=None) == ["target_missing"]
    assert broken(lasts=-5.0) == ["outcome_before_event"]
    assert broken(quoted=float("inf")) == ["number_infinite"]
    assert broken(quoted=1e39) == ["number_infinite"]
    assert broken(minutes=float("inf")) == ["outcome_infinite"]
    without = frame_of([ROW])
    without["ordered_at"] = pd.NaT
    assert [*broken_rules(RULES, without)] == ["event_missing"]


def test_a_key_that_repeats_is_a_duplicate() -> None:
    frame = frame_of([{**ROW, "order": order} for order in ("a", "b", "a", None, None)])

    assert broken_rules(RULES, frame)["duplicate"].tolist() == [False, False, True, False, False]


def test_a_request_is_held_to_what_is_known_when_it_asks() -> None:
    names = [rule.name for rule in rules_of(DEFINITION, labels=False)]

    assert names == [
        *("event_missing", "number_infinite", "weight_wrong", "quoted_fraction", "city_unknown"),
    ]


def test_meanings_are_words() -> None:
    meanings = {rule.name: rule.meaning for rule in RULES}

    assert meanings["weight_wrong"] == "weight is given and is between 0 and 50 kg"
    assert meanings["quoted_fraction"] == "quoted is a whole number and is at least 1 minutes"
    assert meanings["city_unknown"] == "city is one of Rome, Milan, 7"
    assert meanings["duplicate"] == "no earlier row has the same order"
