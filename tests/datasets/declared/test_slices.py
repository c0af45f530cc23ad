"""The slices that a definition declares: every row is in one of each dimension."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from mlops.datasets.declared.names import MISSING, OTHER
from mlops.datasets.declared.slices import slice_labels
from tests.datasets.declared.deliveries import ROWS, START, deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

DEFINITION = deliveries(
    slices="{city: city, hours: {hours_of: ordered_at}, day: {weekday_of: ordered_at},"
    " weight: {quantiles_of: weight}, fragile: fragile}"
)


@given(ROWS)
@settings(max_examples=25, deadline=None)
def test_every_row_has_a_name_in_each_dimension(rows: list[dict[str, Any]]) -> None:
    frame = frame_of(rows)

    labels = slice_labels(DEFINITION, frame)

    assert {*labels} == {"city", "hours", "day", "weight", "fragile"}
    assert not labels.isna().any(axis=None)
    for name in labels:
        assert set(labels[name].cat.categories) == set(labels[name])  # no empty slice


def test_slices_are_named_as_people_say_them() -> None:
    rows = [{**ROW, "city": f"town {n}", "weight": float(n)} for n in range(40)]
    rows += [{**ROW, "city": None, "weight": None}]

    labels = slice_labels(DEFINITION, frame_of([*rows, *rows[:3]]))

    # Frequent categories have a slice of their own, the others share one.
    assert {"town 0", "town 1", "town 2"} <= set(labels["city"]) and len(set(labels["city"])) == 22
    assert labels["city"][40] == labels["weight"][40] == MISSING
    assert OTHER in set(labels["city"])
    assert labels["weight"][0] == "lowest quarter" and labels["weight"][39] == "highest quarter"
    assert set(labels["day"]) == {f"{START:%A}"}


def test_flags_are_yes_and_no() -> None:
    rows = [{**ROW, "fragile": value} for value in (True, False, None)]

    labels = slice_labels(DEFINITION, frame_of(rows))

    assert labels["fragile"].tolist() == ["yes", "no", MISSING]
