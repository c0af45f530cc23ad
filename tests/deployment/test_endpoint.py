"""The endpoint as a deployment sees it: tokens, answers, and everything that is no answer."""

from __future__ import annotations

import json
import re
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from mlops.deployment.endpoint import TIMEOUT_SECONDS, Endpoint, deployment_token
from mlops.serving.http.keys import hash_of, read_keys
from mlops.settings import ServingSettings, Settings


class Handler(BaseHTTPRequestHandler):
    """Says what the test has put into `replies`, by path; remembers the keys and bodies shown."""

    replies: ClassVar[dict[str, tuple[int, str]]] = {}
    keys: ClassVar[list[str | None]] = []
    bodies: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.keys.append(self.headers.get("X-API-Key"))
        status, text = self.replies.get(self.path, (404, "{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Settings, type[Handler]]]:
    handler = type("Fresh", (Handler,), {"replies": {}, "keys": [], "bodies": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{running.server_port}"
        yield Settings(home=tmp_path, serving=ServingSettings(url=url, metrics_url=url)), handler
        running.shutdown()
        thread.join()


def test_an_answer_names_its_version_and_minutes(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a proxy that nobody runs, and a note of how long is waited
    settings, handler = server
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    waits: list[float | None] = []
    send = requests.Session.send

    def noting(session: requests.Session, request: Any, **options: Any) -> Any:
        waits.append(options["timeout"])
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", noting)
    body = {"prediction_minutes": 12.5, "model_version": 3, "request_id": "r"}
    handler.replies = {
        "/predict": (200, json.dumps(body)),
        "/healthz": (200, '{"dataset": "taxi"}'),
    }
    endpoint = Endpoint(settings)

    answer = endpoint.ask({"pickup_zone": 74})

    assert (answer.version, answer.prediction, answer.problem) == (3, 12.5, "")
    assert not endpoint.absence()
    assert handler.keys[0] == deployment_token(settings.served)
    assert json.loads(handler.bodies[0]) == {"pickup_zone": 74}
    assert waits == [TIMEOUT_SECONDS] * 2


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ((401, '{"error": {"message": "the API key is missing"}}'), "401: .*key is missing"),
        ((500, "Internal Server Error"), "Error"),
        ((200, "<html>"), "Error"),
        ((200, '{"answer": 42}'), "model_version"),
        ((200, "[]"), "TypeError"),
    ],
)
def test_what_is_no_answer_is_a_problem_and_no_exception(
    server: Any, reply: tuple[int, str], named: str
) -> None:
    settings, handler = server
    handler.replies = {"/predict": reply}

    answer = Endpoint(settings).ask({})

    assert answer.version is None
    assert answer.problem

    assert re.search(named, answer.problem), answer.problem


def test_a_server_that_is_not_there_is_said_to(tmp_path: Path, free_ports: Any) -> None:
    (port,) = free_ports(1)
    serving = ServingSettings(port=port, metrics_port=port)
    settings = Settings(home=tmp_path, serving=serving)
    endpoint = Endpoint(settings)

    assert endpoint.absence() == f"no online server answers at {settings.serving_url}"
    assert endpoint.scrape() is None
    assert endpoint.problem() == ""
    assert "ConnectionError" in endpoint.ask({}).problem


def test_something_else_on_the_port_is_no_online_server(server: Any) -> None:
    settings, handler = server
    handler.replies = {"/metrics": (200, "<html>{</html>")}

    assert "no online server answers" in Endpoint(settings).absence()
    assert Endpoint(settings).scrape() is None


def test_a_server_of_another_dataset_is_not_asked(server: Any) -> None:
    settings, handler = server
    handler.replies = {"/healthz": (200, '{"status": "ok", "dataset": "flights"}')}

    absence = Endpoint(settings).absence()

    assert absence == f"the online server at {settings.serving_url} serves flights, not taxi"


def test_a_deployments_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    token = deployment_token(tmp_path)

    assert deployment_token(tmp_path) == token
    # Given one that is damaged, or a file of keys that somebody made anew: it would open no door
    for damaged in (tmp_path / "deployment.token", tmp_path / "keys.json"):
        content = damaged.read_bytes()
        damaged.unlink() if damaged.suffix == ".json" else damaged.write_bytes(content[:20])
        token = deployment_token(tmp_path)
        assert hash_of(token).hex() in [key.sha256 for key in read_keys(tmp_path)]
    (key,) = read_keys(tmp_path)
    assert (key.name, key.sha256) == ("deployment", hash_of(token).hex())
    file = tmp_path / "deployment.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} >= {"deployment.token", "keys.json"}


def test_a_token_in_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_SERVING_TOKEN", "mlops_given")

    assert deployment_token(tmp_path) == "mlops_given"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ((200, '{"problem": "the bundle is broken"}'), "the bundle is broken"),
        ((503, '{"problem": "no model yet"}'), "no model yet"),
        ((200, '{"problem": null}'), ""),
        ((200, '["problem"]'), ""),
        ((200, "<html>"), ""),
    ],
)
def test_the_server_says_itself_why_it_does_not_follow(
    server: Any, reply: tuple[int, str], problem: str
) -> None:
    settings, handler = server
    handler.replies = {"/model": reply}

    assert Endpoint(settings).problem() == problem
    assert handler.keys == [deployment_token(settings.served)]


def test_metrics_are_read_unless_the_server_refuses(server: Any) -> None:
    settings, handler = server
    text = 'mlops_serving_answers_total{role="champion",version="1"} 9.0\n'
    handler.replies = {"/metrics": (200, text)}
    scrape = Endpoint(settings).scrape()
    assert scrape is not None and scrape.of(1, "champion").answers == 9
    handler.replies = {"/metrics": (503, text)}
    assert Endpoint(settings).scrape() is None
