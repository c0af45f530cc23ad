"""The form of a request follows from the definition alone, and names all that is wrong at once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from mlops.datasets.declared import requests
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.requests import RowForm, golden_requests
from mlops.errors import DataQualityError
from tests.datasets.declared.deliveries import deliveries

DEFINITION = deliveries()
FORM = RowForm(DEFINITION)
ROW: dict[str, Any] = {
    "ordered_at": "2024-03-07T12:30:00",
    "weight": 2.5,
    "quoted": 30,
    "fragile": True,
    "city": "Rome",
    "courier": "x",
}


def test_a_row_is_understood() -> None:
    read = FORM.read({**ROW, "order": 17})

    assert (read.problems, read.flags) == ({}, ())
    assert read.values == {
        "ordered_at": datetime(2024, 3, 7, 12, 30),
        "weight": 2.5,
        "quoted": 30.0,
        "fragile": True,
        "city": "Rome",
        "courier": "x",
        "promised_at": None,
        "ready_at": None,
        "order": "17",
    }
    assert type(read.values["quoted"]) is float


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-07-01T12:00:00", datetime(2024, 7, 1, 12)),
        ("2024-07-01T12:00:00Z", datetime(2024, 7, 1, 14)),
        ("2024-01-01T12:00:00-05:00", datetime(2024, 1, 1, 18)),
        ("2024-01-01 12:00", datetime(2024, 1, 1, 12)),
    ],
)
def test_times_are_local_to_the_zone_of_the_dataset(text: str, expected: datetime) -> None:
    assert FORM.read({**ROW, "ordered_at": text}).values["ordered_at"] == expected


@pytest.mark.parametrize(("sent", "text"), [(7, "7"), (7.0, "7"), (" 7 ", "7"), (7.5, "7.5")])
def test_categories_are_read_as_files_are_read(sent: Any, text: str) -> None:
    assert FORM.read({**ROW, "courier": sent}).values["courier"] == text


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_what_is_optional_may_be_empty(nothing: Any) -> None:
    read = FORM.read({**ROW, "courier": nothing})
    assert (read.values["courier"], read.problems) == (None, {})


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"quoted": "30"}, "quoted", "must be a number (minutes)"),
        ({"quoted": True}, "quoted", "must be a number (minutes)"),
        ({"weight": 1e39}, "weight", "must be a number (kg)"),
        ({"weight": float("nan")}, "weight", "must be a number (kg)"),
        ({"quoted": None}, "quoted", "is missing"),
        ({"fragile": 1}, "fragile", "must be true or false"),
        ({"city": ["Rome"]}, "city", "must be a text"),
        ({"city": ""}, "city", "is missing"),
        ({"ordered_at": 1709802000}, "ordered_at", "must be a time in ISO 8601"),
        ({"ready_at": "soon"}, "ready_at", "must be a time in ISO 8601"),
        ({"wieght": 3}, "wieght", "there is no such field; did you mean weight?"),
        ({"depot": "north"}, "depot", "there is no such field"),
        ({"minutes": 3}, "minutes", "there is no such field"),
        (
            {"weight": 60},
            "weight",
            "breaks the rule weight_wrong: weight is given and is between 0 and 50 kg",
        ),
        ({"weight": None}, "weight", "breaks the rule weight_wrong"),
        ({"city": "Paris"}, "city", "breaks the rule city_unknown: city is one of Rome, Milan, 7"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str, message: str) -> None:
    problems = FORM.read({**ROW, **change}).problems

    assert [*problems] == [field]
    assert problems[field].startswith(message)


def test_all_that_is_wrong_is_said_at_once() -> None:
    read = FORM.read({"weight": 70, "city": 3.5, "fragile": "no", "colour": "red"})

    assert {*read.problems} == {"ordered_at", "quoted", "weight", "city", "fragile", "colour"}
    assert "weight_wrong" in read.problems["weight"]
    assert "city_unknown" in read.problems["city"]


@pytest.mark.parametrize("record", [None, 3, "row", [ROW]])
def test_a_row_is_an_object(record: Any) -> None:
    assert FORM.read(record).problems[""] == "must be an object"


def test_rules_that_flag_do_not_refuse() -> None:
    read = FORM.read({**ROW, "quoted": 30.5})
    assert (read.problems, read.flags) == ({}, ("quoted_fraction",))


def test_rows_become_arrays_as_files_are_read() -> None:
    rows = [FORM.read(each).values for each in (ROW, {**ROW, "weight": 3, "fragile": None})]

    arrays = FORM.arrays(rows)

    assert arrays["weight"].tolist() == [2.5, 3.0]
    np.testing.assert_array_equal(arrays["fragile"], [1, np.nan])
    assert arrays["city"].dtype == object
    assert np.isnat(arrays["promised_at"]).all()


def test_the_schema_tells_units_meanings_and_what_may_be_left_out() -> None:
    form = RowForm(
        deliveries(
            features="{weight: {type: number, unit: kg, meaning: as packed, optional: true},"
            " city: category, fragile: {type: flag, optional: true},"
            " quoted: {type: number, optional: true},"
            " courier: {type: category, optional: true}}"
        )
    )
    schema = TypeAdapter(form.model).json_schema()

    assert schema["required"] == ["ordered_at", "city"]
    assert schema["properties"]["weight"]["description"] == "As packed. Unit: kg."
    assert "Europe/Rome" in schema["properties"]["ordered_at"]["description"]
    assert "key" in schema["properties"]["order"]["description"]
    assert schema["additionalProperties"] is False


def test_any_name_of_a_column_is_a_field() -> None:
    names = ["model_config", "copy", "é è", "class", "field_0", "_x", "dep delay"]
    features = "{" + ", ".join(f'"{name}": number' for name in names) + "}"
    form = RowForm(
        deliveries(
            features=features,
            rules="[]",
            histories="{}",
            time="null",
            key="[]",
            split="{by: random, validation: 0.2, test: 0.2}",
        )
    )

    read = form.read(dict.fromkeys(names, 1))

    assert read.problems == {}
    assert read.values == dict.fromkeys(names, 1.0)


def test_the_example_is_accepted() -> None:
    read = FORM.read(FORM.example)
    assert read.problems == {}
    assert {*FORM.example} == {*DEFINITION.request_columns}


def test_golden_requests_are_accepted_and_say_what_the_rows_say() -> None:
    encoder = TableEncoder(DEFINITION, {"city": ("Rome", "Oslo")}, ())

    golden = golden_requests(DEFINITION, encoder)

    assert len(golden.rows) == len(golden.bodies) > 20
    for (_, row), body in zip(golden.rows.iterrows(), golden.bodies, strict=True):
        read = FORM.read(json.loads(json.dumps(body)))
        assert not read.problems
        known = {name: value for name, value in row.items() if not pd.isna(value)}
        assert {name: read.values[str(name)] for name in known} == known
    span = golden.rows["ordered_at"].max() - golden.rows["ordered_at"].min()
    assert span < timedelta(days=6)


def test_rules_that_leave_no_row_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "golden_rows", lambda *_: pd.DataFrame({"weight": [-1.0]}))

    with pytest.raises(DataQualityError, match="no row could be made that keeps all rules"):
        golden_requests(DEFINITION, TableEncoder(DEFINITION, {}, ()))


def test_texts_that_stand_for_a_missing_value_say_nothing() -> None:
    source = DEFINITION.source.model_copy(update={"missing": ("unknown",)})
    form = RowForm(DEFINITION.model_copy(update={"source": source}))

    assert form.read({**ROW, "courier": " unknown "}).values["courier"] is None
    assert form.read({**ROW, "city": "unknown"}).problems == {"city": "is missing"}
    assert FORM.read({**ROW, "city": "unknown"}).values["city"] == "unknown"
