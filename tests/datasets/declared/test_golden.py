"""Golden requests are valid, always the same, and contain whatever a request can lack."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.golden import golden_rows
from mlops.datasets.declared.rules import broken_rules, rules_of
from tests.datasets.declared.deliveries import START, deliveries
from tests.datasets.declared.test_encoding import ENCODER


def test_they_obey_the_rules_that_refuse_and_never_change() -> None:
    rows = golden_rows(ENCODER)

    rules = rules_of(ENCODER.definition, labels=False)
    refusing = [rule for rule in rules if rule.action == "quarantine"]
    assert broken_rules(refusing, rows) == {}
    assert 40 <= len(rows) <= 48
    assert [*rows] == [*ENCODER.definition.request_columns]
    pd.testing.assert_frame_equal(rows, golden_rows(ENCODER))
    assert rows["ordered_at"].min() >= START + timedelta(days=9)


def test_every_optional_column_is_missing_alone_and_in_company() -> None:
    rows = golden_rows(ENCODER)

    missing = rows.isna()
    optional = ["fragile", "courier", "promised_at", "ready_at"]
    for name in optional:
        alone = missing[name] & (missing.sum(axis=1) == 1)
        assert alone.any(), name
    assert (missing.sum(axis=1) > 1).any()
    # weight is optional, but a rule wants it; the others must be sent
    assert not missing[["weight", "quoted", "city", "ordered_at"]].any().any()


def test_categories_that_training_never_saw_are_asked_about() -> None:
    assert "never seen" in set(golden_rows(ENCODER)["courier"])
    assert set(golden_rows(ENCODER)["city"]) <= {"Rome", "Milan", "7"}, "a rule names all of them"


def test_rules_that_leave_an_end_open_are_obeyed() -> None:
    definition = deliveries(
        rules="[{name: heavy, column: weight, between: [10, null]},"
        " {name: few, column: quoted, between: [null, -5]}]"
    )
    encoder = TableEncoder(definition, ENCODER.categories, ENCODER.missing, ENCODER.snapshot)

    rows = golden_rows(encoder)

    assert len(rows) >= 40
    assert rows["weight"].dropna().min() >= 10
    assert rows["quoted"].max() <= -5
