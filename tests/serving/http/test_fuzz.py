"""Requests drawn from the server's own OpenAPI document, and spoiled: never a 5xx.

schemathesis cannot be installed beside Mage (it needs a newer typing-extensions); this draws from
the same document with hypothesis alone. schemathesis itself is run from an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mlops.serving.forms.trip_replies import (
    ManyExplanations,
    ManyPredictions,
    SingleExplanation,
    SinglePrediction,
    Validation,
)
from mlops.serving.forms.trips import TripForm
from mlops.settings import load_settings

Service = Any  # see conftest

REPLIES: dict[str, Any] = {
    "/predict": SinglePrediction | ManyPredictions,
    "/explain": SingleExplanation | ManyExplanations,
    "/validate": Validation,
}

anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(10**400),
        st.floats(),
        st.text(max_size=20),
        st.datetimes().map(lambda at: at.isoformat()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def drawn_from(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a schema allows; of OpenAPI what this document uses."""
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return drawn_from(target, document)
    if "anyOf" in schema:
        return st.one_of(*[drawn_from(each, document) for each in schema["anyOf"]])
    low, high = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63)
    kind = schema.get("type")
    if kind == "object":
        properties = {
            name: drawn_from(each, document) for name, each in schema["properties"].items()
        }
        required = schema.get("required", [])
        return st.fixed_dictionaries(
            {name: properties.pop(name) for name in required}, optional=properties
        )
    if kind == "array":
        return st.lists(
            drawn_from(schema["items"], document), min_size=schema.get("minItems", 0), max_size=3
        )
    if kind == "string" and schema.get("format") == "date-time":
        near = st.datetimes(datetime(2023, 6, 1), datetime(2024, 6, 1))
        return st.one_of(near, st.datetimes()).map(lambda at: at.isoformat())
    return {
        "integer": st.one_of(
            st.integers(1, 265), st.integers(low, min(high, schema.get("exclusiveMaximum", high)))
        ),
        "number": st.one_of(st.floats(0.1, 20), st.floats(low, high)),
        "string": st.text(max_size=schema.get("maxLength", 20)),
        "boolean": st.booleans(),
        "null": st.none(),
    }[str(kind)]


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a JSON document."""
    yield path
    children = content.items() if isinstance(content, dict) else ()
    children = enumerate(content) if isinstance(content, list) else children
    for key, value in children:
        yield from places(value, (*path, key))


@st.composite
def bodies(draw: st.DrawFn, schema: dict[str, Any], document: dict[str, Any]) -> bytes:
    """Draw a body: as the schema wants it, with one value spoiled, or not JSON at all."""
    content = draw(drawn_from(schema, document))
    if draw(st.booleans()):
        path = draw(st.sampled_from(list(places(content))))
        spoiled = draw(anything)
        if not path:
            content = spoiled
        else:
            target = content
            for key in path[:-1]:
                target = target[key]
            if isinstance(path[-1], str) and draw(st.booleans()):
                target[draw(st.text(max_size=5))] = spoiled
            else:
                target[path[-1]] = spoiled
    body = json.dumps(content).encode()
    if draw(st.integers(0, 9)) == 0:
        cut = draw(st.integers(0, len(body)))
        body = body[:cut] + draw(st.binary(max_size=3))
    return body


@pytest.fixture(scope="session")
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    from mlops.serving.http.api import build_api

    application: Any = SimpleNamespace(form=TripForm(load_settings()))
    found: dict[str, Any] = build_api(application).openapi()
    return found


@pytest.mark.parametrize("path", ["/predict", "/explain", "/validate"])
def test_no_body_makes_the_server_fail(
    service: Service, document: dict[str, Any], path: str
) -> None:
    operation = document["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    seen = set()
    reply: TypeAdapter[Any] = TypeAdapter(REPLIES[path])

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(body=bodies(schema, document))
    def ask(body: bytes) -> None:
        headers = {"X-API-Key": service.token, "Content-Type": "application/json"}
        response = asyncio.run(service.send("POST", path, content=body, headers=headers))
        seen.add(response.status_code)
        assert str(response.status_code) in operation["responses"]
        assert response.status_code < 500
        answer = json.loads(response.content, parse_constant=pytest.fail)
        if response.status_code == 200:
            reply.validate_json(response.content)
            check_answer(answer)
        else:
            assert set(answer["error"]) == {"field", "message", "problems", "request_id"}
            assert answer["error"]["problems"]

    ask()
    assert {200, 422} <= seen


def check_answer(answer: dict[str, Any]) -> None:
    for one in answer.get("predictions", [answer]):
        if "lower_minutes" in one:
            assert 0 < one["lower_minutes"] <= one["prediction_minutes"] <= one["upper_minutes"]
            assert math.isfinite(one["upper_minutes"])


@pytest.mark.parametrize("path", ["/predict", "/explain", "/validate"])
def test_the_examples_of_the_document_are_answered(
    service: Service, document: dict[str, Any], path: str
) -> None:
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        response = asyncio.run(service.send("POST", path, json=example["value"]))
        assert response.status_code == 200, response.text
