"""The application, without a process: every answer, every refusal, and who else is told."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES
from mlops.registry.rollout import Rollout
from mlops.serving.answers.answering import answer_many, answer_one
from mlops.serving.answers.requests import parse_body
from mlops.serving.answers.routing import Version, in_share
from mlops.serving.http.app import OPEN, Application
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.training.artifact import TabularModel

Service = Any  # see conftest


ROOT = Path(__file__).resolve().parents[3]


def call(service: Service, method: str, path: str, **options: Any) -> httpx.Response:
    response: httpx.Response = asyncio.run(service.send(method, path, **options))
    return response


def post(service: Service, content: Any, path: str = "/predict", **headers: str) -> httpx.Response:
    headers = {"X-API-Key": service.token, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return call(service, "POST", path, json=content, headers=headers)


def refused(response: httpx.Response, status: int, field: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["field"] == field
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert error["problems"][0] == {"field": error["field"], "message": error["message"]}
    return error


def expected_minutes(model: CompiledModel, trip: dict[str, Any]) -> list[float]:
    at, *rest = (trip.get(name) for name in (*_FIELDS,))
    return [round(value, 6) for value in model.predict_one(datetime.fromisoformat(str(at)), *rest)]


_FIELDS = (
    "pickup_at",
    "pickup_zone",
    "dropoff_zone",
    "trip_distance",
    "passenger_count",
    "rate_code",
    "trip_type",
)


def minutes_of(answer: dict[str, Any]) -> list[float]:
    return [answer[f"{name}_minutes"] for name in ("prediction", "lower", "upper")]


def test_one_trip_is_answered(
    service: Service, small_compiled: tuple[CompiledModel, ...], trip: dict[str, Any]
) -> None:
    response = post(service, {**trip, "trip_id": 'a"b'}, X_Request_Id="order-17")

    assert response.status_code == 200
    answer = response.json()
    assert minutes_of(answer) == pytest.approx(expected_minutes(small_compiled[0], trip), abs=1e-6)
    assert answer["trip_id"] == 'a"b'
    assert (answer["model_version"], answer["role"]) == (1, "champion")
    assert answer["request_id"] == response.headers["x-request-id"] == "order-17"
    assert "distance_source" not in answer
    assert "flags" not in answer


def test_a_list_is_answered_as_its_trips_are(service: Service, trip: dict[str, Any]) -> None:
    trips = [
        trip,
        {**trip, "trip_id": 5, "trip_distance": None},
        {**trip, "pickup_zone": 264, "trip_id": "é"},
        {key: trip[key] for key in ("pickup_at", "pickup_zone", "dropoff_zone")},
    ]
    together = post(service, {"trips": trips}).json()
    plain = post(service, {"trips": [trip, trip]}).json()
    one_by_one = [post(service, one).json() for one in trips]

    for answer, alone in zip(together["predictions"], one_by_one, strict=True):
        assert minutes_of(answer) == pytest.approx(minutes_of(alone), abs=1e-4)
        for name in ("trip_id", "distance_source", "miles", "flags"):
            assert answer.get(name) == alone.get(name)
    assert plain["predictions"][0] == plain["predictions"][1]
    unmeasured = {**trip, "trip_distance": None}
    measured = post(service, {"trips": [trip, unmeasured]}).json()["predictions"]
    assert [answer.get("distance_source") for answer in measured] == [None, "route_history"]
    assert minutes_of(plain["predictions"][0]) == pytest.approx(minutes_of(one_by_one[0]), abs=1e-4)


@pytest.mark.parametrize("distance", [None, 0])
def test_a_missing_distance_comes_from_the_route_and_is_said(
    service: Service,
    small_compiled: tuple[CompiledModel, ...],
    trip: dict[str, Any],
    distance: float | None,
) -> None:
    answer = post(service, {**trip, "trip_distance": distance}).json()
    assert answer["distance_source"] == "route_history"
    miles = small_compiled[0].encoder.route_miles(trip["pickup_zone"], trip["dropoff_zone"])
    assert answer["miles"] == pytest.approx(miles, abs=1e-3)


def test_what_the_contract_flags_is_said(service: Service, trip: dict[str, Any]) -> None:
    answer = post(service, {**trip, "dropoff_zone": 265, "rate_code": 77}).json()
    assert answer["flags"] == ["zone_unknown", "rate_code_unknown"]


def test_an_explanation_adds_up(service: Service, trip: dict[str, Any]) -> None:
    predicted = post(service, trip).json()
    explained = post(service, trip, "/explain").json()
    both = post(service, {"trips": [trip, trip]}, "/explain").json()

    total = explained["base_minutes"] + sum(explained["contributions"].values())
    assert total == pytest.approx(explained["sum_minutes"], abs=1e-4)
    assert explained["prediction_minutes"] == pytest.approx(
        predicted["prediction_minutes"], abs=1e-4
    )
    assert both["explanations"][1]["contributions"] == explained["contributions"]
    refused(post(service, {"trips": [trip] * 101}, "/explain"), 413, "trips")


def test_a_request_can_be_checked_without_an_answer(service: Service, trip: dict[str, Any]) -> None:
    trips = {"trips": [trip, {**trip, "pickup_zone": 264}]}
    assert post(service, trips, "/validate").json() == {"trips": 2, "flagged": 1}
    assert post(service, trip, "/validate").json() == {"trips": 1, "flagged": 0}
    assert not service.log.answers


@pytest.mark.parametrize("sane", ["abc-1.2:3_4", "x" * 128])
@pytest.mark.parametrize("strange", ["", "x" * 129, 'a"b', "a b", "é"])
def test_request_ids_are_kept_only_if_they_are_sane(
    service: Service, sane: str, strange: str
) -> None:
    def answered(given: str) -> str:
        headers = [(b"X-Request-Id", given.encode())]
        return str(call(service, "GET", "/healthz", headers=headers).headers["x-request-id"])

    assert answered(sane) == sane
    made = answered(strange)
    assert made != strange
    assert len(made) == 32
    assert made != answered(strange)


def test_bodies_that_are_too_large_are_refused_announced_or_not(
    make_service: Callable[..., Service], trip: dict[str, Any]
) -> None:
    service = make_service(**{"serving.max_body_bytes": 2_000, "serving.max_trips": 5})
    refused(post(service, {"trips": [trip] * 6}), 413, "trips")
    refused(post(service, {"trips": [trip] * 50}), 413, "body")

    async def chunks() -> Any:
        for _ in range(50):
            yield json.dumps(trip).encode()

    headers = {"X-API-Key": service.token, "Content-Type": "application/json"}

    async def unannounced() -> httpx.Response:
        response: httpx.Response = await service.send(
            "POST", "/predict", content=chunks(), headers=headers
        )
        return response

    response = asyncio.run(unannounced())
    refused(response, 413, "body")
    assert response.headers["connection"] == "close"


def test_one_trip_of_many_bytes_is_refused(service: Service, trip: dict[str, Any]) -> None:
    padded = json.dumps(trip) + " " * 20_000
    response = call(service, "POST", "/predict", content=padded.encode())
    refused(response, 413, "body")


@pytest.mark.parametrize(
    ("header", "value"), [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")]
)
def test_what_is_not_json_by_its_headers_is_refused(
    service: Service, header: str, value: str
) -> None:
    headers = {"X-API-Key": service.token, header: value}
    refused(call(service, "POST", "/predict", content=b"{}", headers=headers), 415, header)


def test_wrong_paths_and_methods(service: Service) -> None:
    refused(call(service, "GET", "/nothing"), 404, "path")
    refused(call(service, "GET", "/predict"), 405, "method")
    wrong = call(service, "DELETE", "/model")
    refused(wrong, 405, "method")
    assert wrong.json()["error"]["message"] == "send GET"
    refused(call(service, "POST", "/healthz"), 405, "method")


def test_every_path_but_the_open_ones_needs_a_key(service: Service) -> None:
    document = call(service, "GET", "/openapi.json").json()
    asked = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    others = ("/openapi.json", "/docs", "/", "/docs/", "/zones/1", "/nothing", "/metrics")
    asked |= {("GET", path) for path in others}
    open_to_all = {*OPEN, "/zones"}
    assert {path for _, path in asked} >= open_to_all
    for method, path in asked:
        response = call(service, method, path, headers={})
        if path in open_to_all:
            assert response.status_code == 200
        else:
            refused(response, 401, "X-API-Key")


def test_before_a_champion_is_loaded_the_reason_is_given(
    service: Service, trip: dict[str, Any]
) -> None:
    service.application.lineup = None
    service.application.reason = "no version is champion yet"
    refused(call(service, "GET", "/readyz"), 503, "model")
    refused(post(service, trip), 503, "model")
    assert "champion" in post(service, trip).json()["error"]["message"]
    assert call(service, "GET", "/healthz").status_code == 200


def test_the_model_tells_who_it_is(
    service: Service,
    small_compiled: tuple[CompiledModel, ...],
    make_rollout: Callable[..., Rollout],
) -> None:
    service.swap(small_compiled[0], make_rollout(), small_compiled[1])
    told = call(service, "GET", "/model").json()
    assert (told["champion"]["version"], told["beside"]["version"]) == (1, 2)
    assert told["champion"]["info"] == {"run_id": "run-1"}
    assert told["beside"]["role"] == told["rollout"]["mode"] == "canary"


def test_every_answer_of_a_synthetic_model_says_so(
    service: Service, small_models: tuple[TabularModel, ...], trip: dict[str, Any]
) -> None:
    for receipt, expected in (({"synthetic": True}, True), ({"synthetic": False}, False)):
        service.swap(compile_model(small_models[0], 4, {"receipt": json.dumps(receipt)}))
        for path, body in (("/predict", trip), ("/predict", {"trips": [trip]}), ("/explain", trip)):
            answer = post(service, body, path).json()
            assert answer.get("synthetic", False) is expected, (path, answer)
        told = call(service, "GET", "/model", headers={"X-API-Key": service.token}).json()[
            "champion"
        ]
        assert told["synthetic"] is expected


def test_a_canary_answers_its_share_and_only_that(
    service: Service,
    small_compiled: tuple[CompiledModel, ...],
    make_rollout: Callable[..., Rollout],
    trip: dict[str, Any],
) -> None:
    service.swap(small_compiled[0], make_rollout(percent=30), small_compiled[1])
    expected = {m.version: expected_minutes(m, trip)[0] for m in small_compiled[:2]}
    seen = set()
    for number in range(60):
        request_id = f"request-{number}"
        answer = post(service, trip, X_Request_Id=request_id).json()
        version = 2 if in_share(request_id, 30) else 1
        seen.add(version)
        assert answer["model_version"] == version
        assert answer["role"] == ("canary" if version == 2 else "champion")
        assert answer["prediction_minutes"] == pytest.approx(expected[version], abs=1e-6)
    assert seen == {1, 2}
    assert [a["version"] for a in service.log.answers].count(2) == sum(
        in_share(f"request-{n}", 30) for n in range(60)
    )


@pytest.mark.parametrize(
    ("answers", "kind"), [(None, "exception"), (float("nan"), "not_finite"), (1e999, "not_finite")]
)
@pytest.mark.parametrize("many", [False, True])
def test_where_a_canary_fails_the_champion_answers(
    service: Service,
    small_compiled: tuple[CompiledModel, ...],
    make_rollout: Callable[..., Rollout],
    broken_model: Any,
    trip: dict[str, Any],
    answers: float | None,
    kind: str,
    many: bool,
) -> None:
    broken = broken_model(version=2, answers=answers)
    service.swap(small_compiled[0], make_rollout(percent=100), broken)

    response = post(service, {"trips": [trip]} if many else trip)

    assert response.status_code == 200
    assert (response.json()["model_version"], response.json()["role"]) == (1, "champion")
    failures = service.metrics.errors.labels("2", "canary", kind)
    assert failures._value.get() == 1


def test_a_champion_that_fails_is_an_answer_too(
    service: Service, broken_model: Any, trip: dict[str, Any]
) -> None:
    service.swap(broken_model(version=9))
    refused(post(service, trip), 500, "server")
    assert service.metrics.errors.labels("9", "champion", "exception")._value.get() == 1


@pytest.mark.parametrize("many", [False, True])
def test_a_shadow_is_logged_and_never_returned(
    service: Service,
    small_compiled: tuple[CompiledModel, ...],
    make_rollout: Callable[..., Rollout],
    trip: dict[str, Any],
    many: bool,
) -> None:
    service.swap(small_compiled[0], make_rollout(mode="shadow", percent=100), small_compiled[1])

    response = post(service, {"trips": [trip, trip]} if many else trip, X_Request_Id="r-1")
    service.application.close()

    assert response.json()["model_version"] == 1
    logged = {answer["role"]: answer for answer in service.log.answers}
    assert set(logged) == {"champion", "shadow"}
    assert (logged["shadow"]["version"], logged["shadow"]["request_id"]) == (2, "r-1")
    expected = expected_minutes(small_compiled[1], trip)
    assert list(logged["shadow"]["minutes"][0]) == pytest.approx(expected, abs=1e-4)


def test_a_shadow_that_hangs_or_fails_disturbs_nobody(
    service: Service,
    small_compiled: tuple[CompiledModel, ...],
    make_rollout: Callable[..., Rollout],
    trip: dict[str, Any],
) -> None:
    waiting = threading.Event()

    class Hanging:
        version = 2

        def predict_one(self, *trip: Any) -> Any:
            waiting.wait(60)
            raise RuntimeError("broken")

    service.swap(small_compiled[0], make_rollout(mode="shadow", percent=100), Hanging())

    async def many() -> list[httpx.Response]:
        return [await service.send("POST", "/predict", json=trip) for _ in range(300)]

    answers = asyncio.run(many())
    dropped = service.metrics.shadow_dropped._value.get()
    waiting.set()
    service.application.close()

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["model_version"] for answer in answers} == {1}
    assert dropped == 300 - 256
    assert len(service.log.answers) == 300


def test_the_log_gets_what_was_asked_and_answered(service: Service, trip: dict[str, Any]) -> None:
    post(service, {**trip, "trip_distance": None}, X_Request_Id="r-7")
    (logged,) = service.log.answers
    assert (logged["request_id"], logged["caller"], logged["endpoint"]) == (
        "r-7",
        "tester",
        "predict",
    )
    assert logged["columns"]["trip_distance"] == (None,)
    assert logged["columns"]["pickup_at"] == (datetime(2024, 3, 1, 17, 45),)
    assert logged["miles"][0] > 0


def test_a_log_that_fails_does_not_take_the_answer_back(
    service: Service, trip: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.log, "append", lambda **answer: 1 / 0)
    assert post(service, trip).status_code == 200


def test_requests_are_counted(service: Service, trip: dict[str, Any]) -> None:
    post(service, trip)
    post(service, {"trips": [trip] * 3})
    post(service, {})
    call(service, "GET", "/some/path")
    service.metrics.flush()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in service.metrics.registry.collect()
        for sample in metric.samples
    }
    assert samples["mlops_serving_requests_total", "/predict", "200"] == 2
    assert samples["mlops_serving_requests_total", "/predict", "422"] == 1
    assert samples["mlops_serving_requests_total", "other", "404"] == 1
    assert samples["mlops_serving_answers_total", "1", "champion"] == 2
    assert samples["mlops_serving_seconds_count", "1", "champion"] == 2
    assert 0 < samples["mlops_serving_seconds_sum", "1", "champion"] < 60
    assert samples["mlops_serving_prediction_count", "1", "champion"] == 4
    assert samples["mlops_serving_model_info", "1", "champion"] == 1


def test_only_http_is_spoken(service: Service) -> None:
    application: Application = service.application
    with pytest.raises(RuntimeError):
        asyncio.run(application({"type": "websocket"}, None, None))


def test_what_cannot_be_read_and_what_breaks_a_rule_come_in_one_answer(
    service: Service, trip: dict[str, Any]
) -> None:
    bad = {"pickup_at": "soon", "dropoff_zone": 266, "passenger_count": 200, "trip_distance": -1}
    error = refused(post(service, {**trip, **bad}), 422, "pickup_at")
    assert [problem["field"] for problem in error["problems"]] == [
        "pickup_at",
        "dropoff_zone",
        "trip_distance",
        "passenger_count",
    ]
    assert "passengers_impossible" in error["problems"][-1]["message"]

    trips = [trip, {**trip, "passenger_count": -1}, {**trip, "pickup_zone": 0, "dropoff_zone": 0}]
    error = refused(post(service, {"trips": trips}), 422, "trips.1.passenger_count")
    assert [problem["field"] for problem in error["problems"]] == [
        "trips.1.passenger_count",
        "trips.2.pickup_zone",
        "trips.2.dropoff_zone",
    ]


def test_a_time_that_the_clocks_skip_is_flagged(service: Service, trip: dict[str, Any]) -> None:
    # Given a pickup in the hour that no clock in New York shows
    skipped = {**trip, "pickup_at": "2024-03-10T02:30:00"}
    # Then one answer and each of a list say so
    assert post(service, skipped).json()["flags"] == ["pickup_time_skipped"]
    answer = post(service, {"trips": [trip, skipped]}).json()
    assert [a.get("flags") for a in answer["predictions"]] == [None, ["pickup_time_skipped"]]


def test_a_person_can_read_what_is_answered_without_a_key_or_a_network(service: Service) -> None:
    document = call(service, "GET", "/openapi.json", headers={}).json()
    for path in ("/", "/docs"):
        page = call(service, "GET", path, headers={})
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        # Nothing is loaded from anywhere
        assert not re.search(r"<script|<link|<img|src=|https?://|@import|url\(", page.text)
        # Every path and every field of the requests and answers is on the page
        for name in document["paths"]:
            assert f"<code>{name}</code>" in page.text
        for schema in ("TripRequest", "SinglePrediction", "ErrorReply"):
            assert schema in page.text
        for field in document["components"]["schemas"]["TripRequest"]["properties"]:
            assert f"<code>{field}</code>" in page.text


def test_the_server_the_form_and_the_page_know_the_same_zones(
    service: Service, trip: dict[str, Any]
) -> None:
    # Given the zones that the server names
    zones = call(service, "GET", "/zones", headers={}).json()
    assert [zone["zone"] for zone in zones] == [*range(1, 266)]
    # Then it answers each of them, and flags those that are no place
    for name in ("pickup_zone", "dropoff_zone"):
        answer = post(service, {"trips": [{**trip, name: zone["zone"]} for zone in zones]}).json()
        flagged = ["zone_unknown" in found.get("flags", ()) for found in answer["predictions"]]
        assert flagged == [not zone["known"] for zone in zones]
    # And no other
    for zone in (0, 266, -1):
        refused(post(service, {**trip, "pickup_zone": zone}), 422, "pickup_zone")
    # And the form of the playground offers those that are a place, by the same names
    form = yaml.safe_load((ROOT / "interactions" / "trip.yaml").read_text())
    offered = {option["value"]: option["label"] for option in form["inputs"]["zone"]["options"]}
    assert set(offered) == {zone["zone"] for zone in zones if zone["known"]}
    assert all(zone["name"] in offered[zone["zone"]] for zone in zones if zone["known"])


def test_a_shadow_that_fails_is_counted_under_its_own_name(
    service: Service,
    small_compiled: tuple[CompiledModel, ...],
    make_rollout: Callable[..., Rollout],
    broken_model: Any,
    trip: dict[str, Any],
) -> None:
    service.swap(small_compiled[0], make_rollout(mode="shadow", percent=100), broken_model(2))
    assert post(service, trip).status_code == 200

    failed = service.metrics.errors.labels("2", "shadow", "exception")
    deadline = time.monotonic() + 60
    while not failed._value.get():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    service.application.close()
    assert failed._value.get() == 1


def test_trips_of_a_list_keep_their_own_ids(service: Service, trip: dict[str, Any]) -> None:
    answers = post(service, {"trips": [{**trip, "trip_id": "a"}, trip, {**trip, "trip_id": 7}]})

    assert [one.get("trip_id") for one in answers.json()["predictions"]] == ["a", None, 7]


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("miles", "imputed"),
    [(MIN_MILES, True), (MIN_MILES + 0.001, False), (MAX_MILES, False), (None, True)],
)
def test_a_distance_that_cannot_be_is_the_routes(
    small_compiled: tuple[CompiledModel, ...],
    trip: dict[str, Any],
    many: bool,
    miles: float | None,
    imputed: bool,
) -> None:
    version = Version(1, "v1", small_compiled[0], datetime(2024, 3, 1))
    asked = {**trip, "trip_distance": miles}
    body: Any = parse_body(json.dumps({"trips": [trip, asked]} if many else asked).encode(), 9)

    answer = answer_many(version, body) if many else answer_one(version, body)

    assert list(answer.imputed) == ([False, imputed] if many else [imputed])
    if not imputed:
        assert answer.miles[-1] == miles
