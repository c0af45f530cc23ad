"""`mlops up` on real Mage: who may enter, what is repaired, what else may run, what is left."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.mage

SCRIPT = Path(__file__).parent / "serve_toy.py"
# Mage's constant, in its package and in its pages; not a secret.
API_KEY = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2"


@dataclass
class Server:
    popen: subprocess.Popen
    port: int
    mlflow_port: int
    said: str = ""
    cookie: str = ""

    def wait_until_up(self):
        for line in self.popen.stdout:
            self.said += line
            if "Ctrl-C" in line:
                return self
        raise AssertionError(self.said)

    @property
    def password(self):
        return re.search(r"password (\S+)", self.said)[1]

    def call(self, path, body=None, method=None, headers=None, port=None):
        """Return the status and the body's JSON, or its text."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def sign_in(self, email, password):
        _, answer = self.call(
            "/api/sessions", {"api_key": API_KEY, "session": {"email": email, "password": password}}
        )
        return answer

    def ask(self, path, **options):
        """Call as the owner."""
        separator = "&" if "?" in path else "?"
        return self.call(
            f"{path}{separator}api_key={API_KEY}", headers={"Cookie": self.cookie}, **options
        )

    def upgrade(self, path, cookie="", origin=None):
        """Try to open a websocket; return the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Origin": origin or f"http://127.0.0.1:{self.port}",
        }
        connection.request(
            "GET", path, headers={**headers, **({"Cookie": cookie} if cookie else {})}
        )
        status = connection.getresponse().status
        connection.close()
        return status

    def stop(self, number=signal.SIGINT):
        self.popen.send_signal(number)
        self.said += self.popen.stdout.read()
        return self.popen.wait(60)


def start(toy, helpers, **settings):
    ports = {
        "MLOPS_SERVER__MAGE_PORT": helpers.free_port(),
        "MLOPS_SERVER__MLFLOW_PORT": helpers.free_port(),
    }
    ports.update({k: v for k, v in settings.items() if k in ports})
    environment = toy.environment(
        MLOPS_SERVER__SCHEDULER_INTERVAL_SECONDS="1",
        **{k: str(v) for k, v in {**settings, **ports}.items()},
    )
    popen = subprocess.Popen(
        [sys.executable, SCRIPT, toy.project],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=toy.folder,
        env=environment,
    )
    return Server(popen, *ports.values())


@pytest.fixture(scope="module")
def up(shared_toy, helpers):
    server = start(shared_toy, helpers).wait_until_up()
    answer = server.sign_in("owner@mlops.local", server.password)
    server.cookie = f"oauth_token={answer['session']['token']}"
    yield server
    if server.popen.poll() is None:
        pids = helpers.descendants(server.popen.pid)
        server.popen.kill()
        helpers.gone(pids)


def test_only_the_owner_enters_and_the_generated_password_is_not_admin(up):
    assert "owner@mlops.local" in up.said and len(up.password) >= 16
    assert "error" in up.sign_in("owner@mlops.local", "wrong")
    assert "error" in up.sign_in("admin@admin.com", "admin")
    assert "error" in up.call(f"/api/pipelines?api_key={API_KEY}")[1]
    _, answer = up.ask("/api/pipelines")
    pipelines = {pipeline["uuid"] for pipeline in answer["pipelines"]}
    assert pipelines == {"prepare", "train", "gated", "family"}


def test_secrets_are_private_and_the_password_is_stored_nowhere(up, shared_toy):
    home = shared_toy.home
    assert (home / "server" / "jwt_secret").stat().st_mode & 0o777 == 0o600
    assert (home / "mage" / "secrets").stat().st_mode & 0o777 == 0o700
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in files if up.password.encode() in path.read_bytes()] == []


def test_routes_that_mage_leaves_open_are_shut(up):
    for path, body in (
        ("/api/events", {"event": 1}),
        ("/api/event_matchers", {"event_matcher": {}}),
        ("/api/event_matchers/1?include_pipeline_schedules=1", None),
        ("/metrics", None),
        ("/api/pipelines/prepare/blocks/extract/analyses", None),
        ("/event-streams/any", None),
    ):
        assert up.call(path, body)[0] == 403, path
    for path in ("/websocket/", "/websocket/terminal"):
        assert up.upgrade(path) == 403
        assert up.upgrade(path, up.cookie) == 101
        assert up.upgrade(path, up.cookie, origin="http://elsewhere.example") == 403
        assert up.upgrade(path, "oauth_token=forged") == 403


def test_dashboards_reach_their_charts(up):
    status, answer = up.ask(
        "/api/page_block_layouts/pipelines%2Fprepare%2Fdashboard/block_layout_items/sizes"
    )
    assert status == 200
    data = answer["block_layout_item"]["data"]
    assert dict(zip(data["x"], data["y"][0], strict=True)) == {"small": 3, "large": 4}


def test_the_page_and_mlflow_answer_and_the_scheduler_is_shown_as_running(up):
    assert up.call("/")[0] == 200
    assert up.call("/health", port=up.mlflow_port) == (200, "OK")
    assert up.call("/api/status")[1]["statuses"][0]["scheduler_status"] == "running"


def test_a_run_started_over_the_network_runs_each_block_once(up, shared_toy):
    schedule = wait_for(
        lambda: shared_toy.rows("select id from pipeline_schedule where name = 'over the network'")
    )[0][0]
    shared_toy.ran()
    variables = {"ledger": str(shared_toy.ledger)}
    _, answer = up.call(
        f"/api/pipeline_schedules/{schedule}/api_trigger",
        {"pipeline_run": {"variables": variables}},
        headers={"Authorization": "Bearer toy-token"},
    )
    run = answer["pipeline_run"]["id"]
    status = f"select status from pipeline_run where id = {run}"
    wait_for(lambda: shared_toy.rows(status) == [("COMPLETED",)])
    assert shared_toy.ran() == ["extract", "publish"]


def test_a_headless_run_beside_the_scheduler_runs_each_block_once(up, shared_toy):
    shared_toy.ran()
    names = [f"n{i}" for i in range(8)]
    # Given a scheduler that looks at all runs every second
    done = shared_toy.done(
        ("run", [shared_toy.request("prepare", "numbers")]),
        ("run", [shared_toy.request("train", names=",".join(names), slow="n3", seconds=4)]),
    )
    assert [result[0]["status"] for result in done.results] == ["completed", "completed"]
    # Then no block had two drivers.
    expected = ["extract", "publish", "families", *(f"fit:{name}" for name in names), "choose"]
    assert sorted(shared_toy.ran()) == sorted(expected)


def test_a_headless_run_can_be_cancelled_in_the_user_interface(up, shared_toy, helpers):
    process = shared_toy.drive(
        ("run", [shared_toy.request("prepare", "numbers")]),
        ("run", [shared_toy.request("train", slow="b", seconds=60)]),
    )
    process.read(until="BlockProgress", block="fit:b")
    run = process.named("RunStarted")[-1]["run_id"]
    up.ask(
        f"/api/pipeline_runs/{run}", method="PUT", body={"pipeline_run": {"status": "cancelled"}}
    )
    assert process.end() == 0
    assert process.results[-1][0]["status"] == "cancelled"
    assert process.results[-1][0]["blocks"]["fit:b"]["status"] == "cancelled"


def test_a_second_server_and_a_taken_port_are_refused_by_name(up, toy, shared_toy, helpers):
    second = start(shared_toy, helpers)
    assert second.popen.wait(60) == 1
    said = second.popen.stdout.read()
    assert said.startswith("BusyError") and "`mlops up` runs already" in said
    taken = start(toy, helpers, MLOPS_SERVER__MAGE_PORT=up.port)
    assert taken.popen.wait(60) == 1
    said = taken.popen.stdout.read()
    assert "server.mage_port" in said and str(up.port) in said


def test_no_process_outlives_its_server_and_the_password_is_told_only_once(up, shared_toy, helpers):
    pids = helpers.descendants(up.popen.pid)
    assert len(pids) >= 4
    password = up.password
    assert up.stop() == 0
    assert helpers.gone(pids)
    # When it starts again, the password is not told, and still the same.
    again = start(shared_toy, helpers).wait_until_up()
    assert "password" not in again.said
    assert "session" in again.sign_in("owner@mlops.local", password)
    # When one of its processes dies, all stop and say why.
    pids = helpers.descendants(again.popen.pid)
    scheduler = json.loads((shared_toy.home / "scheduler.lock").read_text())["pid"]
    os.kill(scheduler, signal.SIGKILL)
    said = again.popen.stdout.read()
    assert again.popen.wait(60) == 1
    assert "ServerError: scheduler ended by itself" in said
    assert helpers.gone(pids)
    # When a person chooses a password, it replaces the lost one and is not told.
    third = start(shared_toy, helpers, MLOPS_OWNER_PASSWORD="chosen by a person").wait_until_up()
    assert "chosen" not in third.said
    assert "session" in third.sign_in("owner@mlops.local", "chosen by a person")
    assert "error" in third.sign_in("owner@mlops.local", password)
    # When the whole is killed without a chance to clean up, nothing is left either.
    pids = helpers.descendants(third.popen.pid)
    third.popen.kill()
    third.popen.wait()
    assert helpers.gone(pids)
    # And nothing was written into the project.
    status = subprocess.run(
        ["git", "status", "--porcelain", "--ignored"],
        cwd=shared_toy.project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [line for line in status.splitlines() if not line.startswith("A ")] == []


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)
    return value
