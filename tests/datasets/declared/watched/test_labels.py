"""Labels find their rows by the key, and nothing else of a row is changed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

from mlops.datasets.declared.watched.labels import ActualRows
from tests.datasets.declared.deliveries import ROWS, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

DEFINITION = deliveries()
LABELS = ["minutes", "delivered_at", "depot"]


@given(ROWS, ROWS)
@settings(max_examples=40, deadline=None)
def test_a_row_has_the_label_of_the_first_row_with_its_key(
    asked: list[dict[str, Any]], known: list[dict[str, Any]]
) -> None:
    requests = frame_of(asked).drop(columns=LABELS)

    labelled = ActualRows.of(DEFINITION, frame_of(known)).label(requests)

    pd.testing.assert_frame_equal(labelled[[*requests]], requests)
    first: dict[Any, Any] = {}
    for row in known:
        if row["minutes"] is not None:
            first.setdefault(row["order"], row["minutes"])
    expected = [first.get(row["order"]) if row["order"] is not None else None for row in asked]
    found = [None if value != value else value for value in labelled["minutes"]]
    assert found == expected
    assert set(LABELS) <= set(labelled)


def test_a_key_may_have_columns_of_any_type() -> None:
    definition = deliveries(key="[order, ordered_at, weight]")
    rows = [{**ROW, "order": "a", "weight": 2.0}, {**ROW, "order": "a", "weight": 3.0}]
    known = frame_of([{**row, "minutes": 10 * row["weight"]} for row in rows])

    labelled = ActualRows.of(definition, known).label(frame_of(rows[::-1]).drop(columns=LABELS))

    assert labelled["minutes"].tolist() == [30, 20]


def test_without_a_key_nothing_is_labelled_and_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    definition = DEFINITION.model_copy(update={"key": ()})
    rows = frame_of([{**ROW}])

    labelled = ActualRows.of(definition, rows).label(rows.drop(columns=LABELS))

    assert labelled["minutes"].isna().all()
    assert "deliveries declares no key" in capsys.readouterr().out
