"""The champion of a declared dataset answers over HTTP: rows, lists, refusals and explanations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from pydantic import TypeAdapter

from mlops.datasets.declared.dataset import DeclaredDataset
from mlops.errors import MlopsError
from mlops.registry.rollout import Rollout
from mlops.serving.answers.metrics import ServingMetrics
from mlops.serving.forms.form import form_of
from mlops.serving.forms.replies import (
    ManyRowExplanations,
    ManyRowPredictions,
    RowValidation,
    SingleRowExplanation,
    SingleRowPrediction,
)
from mlops.serving.forms.tables import TableForm
from mlops.serving.http.access import Door, RateLimiter
from mlops.serving.http.app import Application
from mlops.serving.http.keys import add_key
from mlops.serving.model.compiled import CompiledModel
from mlops.settings import load_settings
from tests.datasets.declared.deliveries import DELIVERIES, deliveries
from tests.serving.conftest import FakeLog, Service
from tests.serving.http.test_fuzz import bodies
from tests.serving.tables import ROW, served_table

REPLIES: dict[str, Any] = {
    "/predict": SingleRowPrediction | ManyRowPredictions,
    "/explain": SingleRowExplanation | ManyRowExplanations,
    "/validate": RowValidation,
}


@pytest.fixture
def service(tmp_path: Path, declare: Callable[[str], Path]) -> Service:
    """Return the server of deliveries, whose definition lies in the working directory."""
    declare(DELIVERIES)
    settings = load_settings({"home": str(tmp_path), "dataset": "deliveries"})
    _, token = add_key(settings.served, "tester")
    door = Door(settings, RateLimiter(1_000, 1_000))
    door.reload()
    metrics, log = ServingMetrics(DeclaredDataset.answer_bounds), FakeLog()
    application = Application(settings, door, metrics, log)  # type: ignore[arg-type]
    found = Service(application, metrics, log, token, settings)
    found.swap(served_table())
    return found


def ask(service: Service, path: str, content: Any) -> Any:
    return asyncio.run(service.send("POST", path, json=content))


def test_one_row_is_answered_in_the_unit_of_the_target(service: Service) -> None:
    response = ask(service, "/predict", {**ROW, "order": "a-17"})

    answer = response.json()
    SingleRowPrediction.model_validate_json(response.content)
    read = service.application.form.read(json.dumps(ROW).encode(), None)[0]  # type: ignore[union-attr]
    expected = served_table().predict_one(read.rows[0])
    assert [answer[n] for n in ("prediction", "lower", "upper")] == pytest.approx(expected)
    assert (answer["key"], answer["unit"]) == ({"order": "a-17"}, "minutes")
    assert (answer["model_version"], answer["role"]) == (1, "champion")
    assert "flags" not in answer


def test_a_list_is_answered_as_its_rows_are(service: Service) -> None:
    rows = [
        ROW,
        {**ROW, "order": 5, "courier": "unseen", "quoted": 10.5},
        {name: ROW[name] for name in ("ordered_at", "quoted", "city", "weight")},
    ]

    response = ask(service, "/predict", {"rows": rows})

    together = response.json()
    ManyRowPredictions.model_validate_json(response.content)
    assert together["unit"] == "minutes"
    for answer, row in zip(together["predictions"], rows, strict=True):
        alone = ask(service, "/predict", row).json()
        assert answer["prediction"] == pytest.approx(alone["prediction"], abs=1e-4)
        assert answer.get("key") == alone.get("key")
        assert answer.get("flags") == alone.get("flags")
    assert together["predictions"][1]["flags"] == ["quoted_fraction"]
    assert together["predictions"][1]["key"] == {"order": "5"}


@pytest.mark.parametrize(
    ("content", "status", "fields"),
    [
        ({**ROW, "weight": 99}, 422, ["weight"]),
        ({**ROW, "ordered_at": "2031-01-01T00:00:00"}, 422, ["ordered_at"]),
        ({**ROW, "ordered_at": "2019-01-01T00:00:00"}, 422, ["ordered_at"]),
        (
            {"rows": [ROW, {**ROW, "weight": 99, "citi": "Rome"}, {}]},
            422,
            [
                *("rows.1.weight", "rows.1.citi"),
                *("rows.2.ordered_at", "rows.2.quoted", "rows.2.city", "rows.2.weight"),
            ],
        ),
        ({"rows": []}, 422, ["rows"]),
        ({"rows": 3}, 422, ["ordered_at", "quoted", "city", "rows", "weight"]),
        ({"rows": [ROW], "more": 1}, 422, ["more"]),
        ({"rows": [ROW] * 10_001}, 413, ["rows"]),
        ([ROW], 422, ["body"]),
        ({"rows": [3]}, 422, ["rows.0", "rows.0.weight"]),
    ],
)
def test_a_refusal_names_every_field(
    service: Service, content: Any, status: int, fields: list[str]
) -> None:
    response = ask(service, "/predict", content)

    error = response.json()["error"]
    assert response.status_code == status
    assert {problem["field"] for problem in error["problems"]} == {*fields}
    assert service.log.answers == []


def test_a_field_is_given_once(service: Service) -> None:
    body = json.dumps(ROW)[:-1] + ', "city": "Milan"}'
    for sent, field in ((body, "city"), (f'{{"rows": [{body}]}}', "rows.0.city")):
        response = asyncio.run(service.send("POST", "/predict", content=sent))
        assert response.json()["error"]["field"] == field, response.text


def test_contributions_add_up_in_the_unit_of_the_target(service: Service) -> None:
    one = ask(service, "/explain", ROW).json()
    many = ask(service, "/explain", {"rows": [ROW, ROW]}).json()

    assert one["unit"] == many["unit"] == "minutes"
    assert one["base"] + sum(one["contributions"].values()) == pytest.approx(one["sum"], abs=1e-3)
    assert tuple(one["contributions"]) == served_table().features
    assert many["explanations"][0]["prediction"] == one["prediction"]
    assert ask(service, "/explain", {"rows": [ROW] * 101}).status_code == 413


def test_what_was_answered_is_logged_with_the_columns_of_the_dataset(service: Service) -> None:
    ask(service, "/predict", {**ROW, "order": "a"})
    ask(service, "/predict", {"rows": [ROW, ROW]})

    one, many = service.log.answers
    assert one["columns"]["order"] == ["a"]
    assert one["columns"]["quoted"] == [30.0]
    assert one["miles"] is many["miles"] is None
    assert len(many["columns"]["city"]) == len(many["minutes"]) == 2


def test_a_canary_answers_its_share(service: Service, make_rollout: Callable[..., Rollout]) -> None:
    service.swap(served_table(), make_rollout(percent=100), served_table(2, rounds=9))

    assert ask(service, "/predict", ROW).json()["model_version"] == 2


def test_the_document_and_the_page_come_from_the_definition(service: Service) -> None:
    document = asyncio.run(service.send("GET", "/openapi.json")).json()
    page = asyncio.run(service.send("GET", "/docs")).text

    assert document["info"]["title"] == "How many minutes does a delivery take?"
    schema = document["components"]["schemas"]["RowRequest"]
    assert set(schema["required"]) == {"ordered_at", "quoted", "city"}
    assert "/zones" not in document["paths"]
    for word in ("promised_at", "Unit: kg.", "Europe/Rome", "some courier"):
        assert word in page
    for word in ("taxi", "trip", "pickup"):
        assert word not in page.lower().replace("strip", "")
    for path in REPLIES:
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            assert ask(service, path, example["value"]).status_code == 200


@pytest.mark.parametrize("path", [*REPLIES])
def test_no_body_makes_the_server_fail(service: Service, path: str) -> None:
    document = asyncio.run(service.send("GET", "/openapi.json")).json()
    operation = document["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    reply: TypeAdapter[Any] = TypeAdapter(REPLIES[path])

    @examples(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=bodies(schema, document))
    def spoil(body: bytes) -> None:
        headers = {"X-API-Key": service.token, "Content-Type": "application/json"}
        response = asyncio.run(service.send("POST", path, content=body, headers=headers))
        assert str(response.status_code) in operation["responses"]
        assert response.status_code < 500
        answer = json.loads(response.content, parse_constant=pytest.fail)
        if response.status_code == 200:
            reply.validate_json(response.content)
        else:
            assert answer["error"]["problems"]

    spoil()


def test_models_of_other_requests_are_not_served(
    service: Service, small_compiled: tuple[CompiledModel, ...]
) -> None:
    service.application.form.require(served_table())

    with pytest.raises(MlopsError, match="version 1 does not predict deliveries"):
        service.application.form.require(small_compiled[0])
    with pytest.raises(MlopsError, match="version 1 does not predict taxi trips"):
        form_of(load_settings({"home": str(service.settings.home)})).require(served_table())
    edited = deliveries(
        features="{weight: {type: number, unit: g, optional: true}, fragile: {type: flag,"
        " optional: true}, quoted: {type: number, unit: minutes}, city: category}",
        histories="{}",
    )
    with pytest.raises(MlopsError, match="differs in courier, promised_at, ready_at, weight"):
        TableForm(edited, service.settings.serving).require(served_table())
