"""Who gets an answer from Mage's server: every route and resource, asked by strangers."""

from __future__ import annotations

import http.client
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.mage

SCRIPT = Path(__file__).parents[1] / "list_routes.py"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What stands for a group of a route's pattern.
SAMPLES = {"pipeline_uuid": "prepare", "block_uuid": "extract", "pk": "prepare", "uuid": "prepare"}
ONE_PAGE = "the front end: one file for every address, which asks to sign in"
FILES = "the front end's files, as Mage publishes them"
CHANGED = "/_next/static/chunks/6362-78fe21a880d615f1.js"
CHARTS = "/_next/static/chunks/6065-0893edae462093a7.js"
# All that answers strangers, and why that is harmless.
OPEN = {
    **dict.fromkeys(
        (
            *("/", "/files", "/overview", "/oauth", "/pipelines", "/pipelines/1", "/pipeline-runs"),
            *("/settings", "/settings/1", "/sign-in", "/terminal", "/triggers", "/manage"),
            *("/manage/1", "/templates", "/templates/prepare", "/version-control"),
            *("/global-data-products", "/global-data-products/prepare"),
            *("/global-hooks", "/global-hooks/prepare"),
        ),
        ONE_PAGE,
    ),
    **dict.fromkeys(
        ("/_next/static/…", "/fonts/…", "/images/…", "/monaco-editor/…", "/favicon.ico"), FILES
    ),
    CHANGED: "one of these files, with the dashboard's tab back",
    CHARTS: "another one, which says of a chart that loads that it loads",
    **dict.fromkeys(("/api/status", "/api/statuses"), "is the server well, is a sign-in needed"),
    "POST /api/sessions": "signing in: answers an error, and only a few times a minute",
}
KEPT = ("pipelines", "users", "secrets", "files", "projects", "pipeline_schedules", "roles")


@pytest.fixture(scope="module")
def up(
    tmp_path_factory: pytest.TempPathFactory, shared_toy: Any, helpers: SimpleNamespace
) -> Iterator[Any]:
    server = helpers.start_server(shared_toy, MLOPS_SERVER__SIGN_INS_PER_MINUTE=12)
    yield server.wait_until_up().enter()
    server.kill()


@pytest.fixture(scope="module")
def addresses(shared_toy: Any, up: Any) -> dict[str, str]:
    """Every address worth asking, with the short form it is known by in `OPEN`."""
    listed = subprocess.run(
        [sys.executable, SCRIPT, shared_toy.project],
        env=shared_toy.environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(listed.stdout.splitlines()[-1])
    assert len(found["routes"]) > 50 and len(found["resources"]) > 70
    addresses = {}
    for route in found["routes"]:
        pattern = route["pattern"].removesuffix("$")
        for resource, child in combinations(pattern, found["resources"]):
            path = example(pattern, {**SAMPLES, "resource": resource, "child": child})
            full = path.replace("/1", "/" + route["file"]) if route["file"] else path
            assert re.fullmatch(pattern, full), (pattern, full)
            addresses[full] = path.replace("/1", "/…") if route["file"] else path
    return addresses


def combinations(pattern: str, resources: list[str]) -> list[tuple[str, str]]:
    """Each resource by itself, above another and below another."""
    if "<resource>" not in pattern:
        return [("", "")]
    fixed = re.search(r"<resource>([a-z_]+)\)", pattern)
    if fixed or "<child>" not in pattern:
        return [(r, "block_layout_items") for r in ([fixed[1]] if fixed else resources)]
    return [(r, "blocks") for r in resources] + [("pipelines", r) for r in resources]


def example(pattern: str, samples: dict[str, str]) -> str:
    """Return an address that a pattern of the application matches."""
    optional = r"\((?:\?:)?(?:[^()]|\([^()]*\))*\)\?|/\?"
    group = r"\((?:\?P<(\w+)>)?((?:[^()]|\([^()]*\))*)\)"
    path = re.sub(optional, "", pattern) or "/"
    path = re.sub(
        group,
        lambda m: m[2] if re.fullmatch(r"[a-z_.]+", m[2]) else samples.get(m[1] or "", "1"),
        path,
    )
    return path.replace("\\", "")


class Stranger:
    """Somebody without a session, on one connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> tuple[int, str]:
        self.connection.request(method, path, body or None, headers or {})
        response = self.connection.getresponse()
        return response.status, response.read().decode(errors="replace")


def rows(toy: Any) -> dict[str, int]:
    """How much Mage's database holds."""
    tables = [name for (name,) in toy.rows("select name from sqlite_master where type = 'table'")]
    return {name: toy.rows(f"select count(*) from {name}")[0][0] for name in tables}


def test_strangers_get_the_sign_in_page_and_nothing_else(
    up: Any, shared_toy: Any, addresses: dict[str, str], helpers: SimpleNamespace
) -> None:
    # Given every route and resource of the application
    before = rows(shared_toy)
    stranger = Stranger(up.port)
    body = json.dumps({"api_key": helpers.api_key})

    # When somebody without credentials tries every method on each
    answered = {}
    for path, short in addresses.items():
        for method in METHODS:
            status, text = stranger.ask(method, path, body="" if method == "GET" else body)
            if status < 400:
                answered[short if method == "GET" else f"{method} {short}"] = text

    # Then what answers is this list, and nothing was written
    assert set(answered) == set(OPEN)
    assert len({text for short, text in answered.items() if OPEN[short] == ONE_PAGE}) <= 3
    assert "error" in json.loads(answered["POST /api/sessions"])
    [status] = json.loads(answered["/api/status"])["statuses"]
    assert not any("repo" in name or "process" in name or "uuid" in name for name in status)
    assert rows(shared_toy) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": "oauth_token=forged"},
        {"Cookie": "oauth_token=eyJhbGciOiJub25lIn0.eyJ0b2tlbiI6IngifQ."},
        {"Authorization": "Bearer forged"},
        {"Authorization": "Bearer toy-token-of-tests"},  # of a trigger
        {"OAUTH-TOKEN": "forged"},
        {"X-API-KEY": "forged"},
    ],
    ids=lambda headers: " ".join(headers.values())[:30] or "the key alone",
)
def test_the_public_key_and_forged_credentials_open_nothing(
    up: Any, addresses: dict[str, str], helpers: SimpleNamespace, headers: dict[str, str]
) -> None:
    stranger = Stranger(up.port)

    answered = {
        short
        for path, short in addresses.items()
        if stranger.ask("GET", f"{path}?api_key={helpers.api_key}", headers)[0] < 400
    }

    assert answered == {short for short in OPEN if not short.startswith("POST")}


def test_the_front_end_gets_its_dashboard_back_while_the_installed_file_stays(up: Any) -> None:
    package = importlib.util.find_spec("mage_ai")
    assert package and package.origin
    published = Path(package.origin).parent / "server" / "frontend_dist" / CHANGED.lstrip("/")
    before = published.read_text()

    status, sent = Stranger(up.port).ask("GET", CHANGED)

    assert status == 200 and published.read_text() == before
    # The dashboard is the first tab and the one that is opened; nothing else is different.
    tabs = ('uuid:"Dashboard"},s=[c,a,d]', 'uuid:"Dashboard"},s=[l,c,a,d]')
    first = ("xM:function(){return c}", "xM:function(){return l}")
    assert sent == before.replace(*tabs).replace(*first) and len(sent) == len(before) + 2


def test_a_chart_that_loads_is_not_said_to_be_wrong(up: Any) -> None:
    package = importlib.util.find_spec("mage_ai")
    assert package and package.origin
    folder = Path(package.origin).parent / "server/frontend_dist/_next/static/chunks"
    wrong = "Chart hasn’t been configured"
    (published,) = (path for path in folder.glob("*.js") if wrong in path.read_text())

    status, sent = Stranger(up.port).ask("GET", f"/_next/static/chunks/{published.name}")

    assert status == 200
    assert wrong not in sent and "Loading …" in sent
    assert sent.partition('"Loading …')[0] == published.read_text().partition(f'"{wrong}')[0]


def test_what_strangers_are_refused_is_there_for_the_owner(up: Any) -> None:
    for resource in KEPT:
        status, answer = up.ask(f"/api/{resource}")
        assert (status, "error" in answer) == (200, False), resource


@pytest.mark.parametrize("path", ["/websocket/", "/websocket/terminal"])
def test_websockets_open_for_the_signed_in_on_our_own_pages_only(up: Any, path: str) -> None:
    here = f"http://127.0.0.1:{up.port}"

    def shake(origin: str, cookie: str = "") -> int:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=30)
        connection.request("GET", path, headers={**upgrade, "Origin": origin, "Cookie": cookie})
        status = connection.getresponse().status
        connection.close()
        return status

    assert shake(here, up.cookie) == 101
    assert shake(here) == 401
    assert shake(here, "oauth_token=forged") == 401
    assert shake("http://elsewhere.example", up.cookie) == 403
    assert shake(f"http://127.0.0.1:{up.mlflow_port}", up.cookie) == 403
    assert shake("null", up.cookie) == 403


def test_other_sites_pages_can_neither_read_nor_write(up: Any, helpers: SimpleNamespace) -> None:
    elsewhere = {"Cookie": up.cookie, "Origin": "http://elsewhere.example"}
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=30)
    connection.request("GET", f"/api/pipelines?api_key={helpers.api_key}", headers=elsewhere)
    response = connection.getresponse()

    assert response.status == 403
    assert "elsewhere" not in response.read().decode()
    connection.request("OPTIONS", "/api/pipelines", headers=elsewhere)
    refused = connection.getresponse()
    assert not any(name.lower().startswith("access-control") for name in refused.headers)
    status, _ = up.call("/api/sessions", {}, headers={"Origin": "http://elsewhere.example"})
    assert status == 403


def test_the_head_of_a_request_decides_whether_it_is_answered(up: Any) -> None:
    def status(method: str, path: str, **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=30)
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()  # the body is never sent
        return connection.getresponse().status

    assert status("GET", "/", Host=f"localhost:{up.port}") == 200
    for path in ("/", "/api/status", "/favicon.ico", "/websocket/"):
        assert status("GET", path, Host=f"evil.example:{up.port}", Cookie=up.cookie) == 403
    assert status("POST", "/api/files", Content_Length="60000000") == 413
    assert status("POST", "/api/files", Content_Length="600000000", Cookie=up.cookie) == 413


@pytest.fixture(scope="module")
def trigger(up: Any, shared_toy: Any) -> int:
    """The number of the toy's API trigger."""
    return int(shared_toy.trigger("prepare", "over the network"))


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", "Bearer None", "Basic dG95"])
def test_without_its_token_a_trigger_starts_nothing(
    up: Any, shared_toy: Any, trigger: int, token: str
) -> None:
    before = rows(shared_toy)["pipeline_run"]
    headers = {"Authorization": token} if token else {}

    for path in (f"/api/pipeline_schedules/{trigger}/api_trigger", "/api/runs"):
        status, answer = up.call(path, {"pipeline_run": {}}, headers=headers)
        assert status in (401, 403) and "Traceback" not in str(answer)
    in_address = f"/api/pipeline_schedules/{trigger}/pipeline_runs/toy-token-of-tests"
    assert up.call(in_address, {}, headers=headers)[0] == 401  # addresses end up in logs

    assert rows(shared_toy)["pipeline_run"] == before


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"pipeline_run": {"status": "completed"}}, "status"),  # would never run
        ({"months": "2024-01"}, "months"),  # would rank below the trigger's own
        ({"pipeline_run": {"variables": [1]}}, "variables"),
        ({"pipeline_run": 3}, "form"),
        ([], "form"),
    ],
)
def test_a_trigger_says_what_is_wrong_with_its_body(
    up: Any, shared_toy: Any, helpers: SimpleNamespace, trigger: int, body: Any, problem: str
) -> None:
    before = rows(shared_toy)["pipeline_run"]

    address = f"/api/pipeline_schedules/{trigger}/api_trigger"
    status, answer = up.call(address, body, headers=helpers.bearer())

    assert status == 400 and problem in answer["error"]["message"]
    assert rows(shared_toy)["pipeline_run"] == before


def test_a_trigger_that_is_switched_off_stays_off(
    up: Any, shared_toy: Any, helpers: SimpleNamespace
) -> None:
    _, created = up.ask(
        "/api/pipelines/prepare/pipeline_schedules",
        body={"pipeline_schedule": {"name": "off", "schedule_type": "api", "status": "inactive"}},
    )
    number = created["pipeline_schedule"]["id"]
    [(token,)] = shared_toy.rows(f"select token from pipeline_schedule where id = {number}")

    address = f"/api/pipeline_schedules/{number}/api_trigger"
    status, _ = up.call(address, {}, headers=helpers.bearer(token))

    assert token and status == 409
    [(after,)] = shared_toy.rows(f"select status from pipeline_schedule where id = {number}")
    assert after == "INACTIVE"


def test_passwords_cannot_be_guessed_at_speed(up: Any) -> None:
    """The last test: nobody can sign in for a while afterwards."""
    tries = [
        up.call(
            "/api/sessions",
            {"session": {"email": f"{attempt}@example.com", "password": "guess"}},
            headers={"X-Forwarded-For": f"10.0.0.{attempt}"},  # believed of no stranger
        )
        for attempt in range(14)
    ]

    assert tries[-1][0] == 429
    assert "try again in" in tries[-1][1]["error"]["message"]
