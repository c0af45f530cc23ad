"""Starting a pipeline by its API trigger: what is sent, and what becomes of each kind of answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.errors import ServerError
from mlops.orchestration.triggers import client as trigger_client
from mlops.orchestration.triggers.client import start_pipeline
from mlops.orchestration.triggers.tokens import api_token
from mlops.settings import Settings, load_settings

STARTED = (200, '{"pipeline_run": {"id": 12}}')


class Mage:
    """Answers as it is told; None: not at all."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] | None = STARTED
        self.asked: list[Any] = []
        self.release = threading.Event()
        self.port = 0


@pytest.fixture
def mage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mage]:
    known = {("retraining", "api"): SimpleNamespace(id=5)}
    monkeypatch.setattr(trigger_client, "trigger_states", lambda settings: known)
    # A proxy that is set for the world outside is not for us.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = Mage()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append((self.path, self.headers["Authorization"], body))
            if server.answer is None:
                server.release.wait(60)
                return
            status, text = server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.release.set()
        http.shutdown()
        thread.join()


@pytest.fixture
def settings(mage: Mage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("MLOPS_API_TOKEN", "MLOPS_API_TOKEN_RETRAINING"):
        monkeypatch.delenv(name, raising=False)
    return load_settings({"home": tmp_path, "server.mage_port": mage.port})


def test_it_is_what_a_person_would_post(mage: Mage, settings: Settings) -> None:
    run = start_pipeline(settings, "retraining", {"force": True, "reason": "drift"})

    assert run == 12
    [(path, authorization, body)] = mage.asked
    assert path == "/api/pipeline_schedules/5/api_trigger"
    assert authorization == f"Bearer {api_token(settings, 'retraining')}"
    given = {"dataset": "taxi", "force": True, "reason": "drift"}
    assert body == {"pipeline_run": {"variables": given}}


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        # Mage itself answers errors with 200
        (200, '{"error": {"code": 404, "message": "Pipeline not found"}}', "Pipeline not found"),
        (200, '{"error": "no such schedule"}', "no such schedule"),
        (401, '{"error": {"code": 401, "message": "no API trigger has this token"}}', "this token"),
        (409, '{"error": {"code": 409, "message": "\'api\' is switched off"}}', "is switched off"),
        # and what stands in front of it, or in its place, in its own words
        (502, "<html>Bad Gateway</html>", "it answered 502"),
        (200, "hello", "it answered 200"),
        (200, "[]", "it answered 200"),
        (200, '{"pipeline_run": {}}', "it answered 200"),
        (302, "", "it answered 302"),
        (500, '{"pipeline_run": {"id": 12}}', "it answered 500"),
    ],
)
def test_whatever_else_is_answered_is_an_error_that_says_so(
    mage: Mage, settings: Settings, status: int, text: str, said: str
) -> None:
    mage.answer = (status, text)

    with pytest.raises(ServerError, match="did not start retraining") as raised:
        start_pipeline(settings, "retraining", {})

    assert said in raised.value.message
    assert raised.value.hint == "see the state of the triggers: mlops triggers"


def test_a_server_that_does_not_answer_is_not_waited_for(mage: Mage, settings: Settings) -> None:
    mage.answer = None

    with pytest.raises(ServerError, match=r"does not answer within 0\.2 s"):
        start_pipeline(settings, "retraining", {}, timeout_seconds=0.2)


def test_without_a_server_it_says_how_to_start_one(
    mage: Mage, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = settings.server.model_copy(update={"mage_port": 1})
    with pytest.raises(ServerError, match="no server answers at http") as raised:
        start_pipeline(settings.model_copy(update={"server": nowhere}), "retraining", {})
    assert raised.value.hint == "start the servers: mlops up"

    monkeypatch.setattr(trigger_client, "trigger_states", lambda settings: {})
    with pytest.raises(ServerError, match="no server has ever run"):
        start_pipeline(settings, "retraining", {})
    assert mage.asked == []
