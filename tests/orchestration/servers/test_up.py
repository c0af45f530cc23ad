"""`mlops up` on real Mage: who may enter, what is repaired, what else may run, what is left."""

import json
import os
import signal
import subprocess

import pytest

pytestmark = pytest.mark.mage


def start(toy, helpers, **settings):
    return helpers.start_server(toy, **settings)


@pytest.fixture(scope="module")
def up(shared_toy, helpers):
    server = start(shared_toy, helpers).wait_until_up().enter()
    yield server
    server.kill()


def test_only_the_owner_enters_and_the_generated_password_is_not_admin(up, helpers):
    assert "owner@mlops.local" in up.said and len(up.password) >= 16
    assert "error" in up.sign_in("owner@mlops.local", "wrong")
    assert "error" in up.sign_in("admin@admin.com", "admin")
    assert "error" in up.call(f"/api/pipelines?api_key={helpers.api_key}")[1]
    _, answer = up.ask("/api/pipelines")
    pipelines = {pipeline["uuid"] for pipeline in answer["pipelines"]}
    assert pipelines == {"chain", "prepare", "train", "gated", "family"}


def test_secrets_are_private_and_the_password_is_stored_nowhere(up, shared_toy):
    home = shared_toy.home
    assert (home / "server" / "jwt_secret").stat().st_mode & 0o777 == 0o600
    # A secret of Mage's: it keeps the key beside it, and would let everybody read it.
    body = {"secret": {"name": "toy", "value": "treasure"}}
    status, answer = up.ask("/api/secrets", body=body)
    assert (status, "error" in answer) == (200, False)
    kept = [home / "mage" / "secrets", *(home / "mage" / "secrets").rglob("*")]
    assert any(path.is_file() for path in kept)
    assert {(path.is_dir(), path.stat().st_mode & 0o777) for path in kept} == {
        (True, 0o700),
        (False, 0o600),
    }
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in files if up.password.encode() in path.read_bytes()] == []


def test_other_users_cannot_look_into_the_home(up, shared_toy, open_to_others):
    assert (shared_toy.home / "mage" / "mage.db").exists()
    assert (shared_toy.home / "mlflow" / "mlflow.db").exists()
    assert open_to_others(shared_toy.home) == []


def test_mlflow_answers_only_who_names_it(up):
    assert up.call("/health", port=up.mlflow_port, headers={"Host": "evil.example"})[0] == 403
    assert up.call("/api/2.0/mlflow-artifacts/artifacts", port=up.mlflow_port)[0] == 403


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


def test_the_observer_tells_what_ran_and_nothing_but_metrics(up, shared_toy):
    assert f"metrics http://127.0.0.1:{up.metrics_port}/metrics" in up.said
    assert up.call("/", port=up.metrics_port)[0] == 404
    # The toy has never run a pipeline; what the project promises of its own is known.
    status, text = up.call("/metrics", port=up.metrics_port)
    assert status == 200
    assert 'mlops_pipeline_promised_seconds{pipeline="retraining"}' in text
    assert "mlops_observer_problems 0.0" in text


def test_runs_started_over_the_network_run_each_block_once(up, shared_toy):
    schedule = shared_toy.trigger("prepare", "over the network")
    shared_toy.ran()
    # Several, because the web server and the scheduler could both give a run its blocks.
    answers = [up.post(schedule, ledger=str(shared_toy.ledger)) for _ in range(4)]
    numbers = [str(answer["pipeline_run"]["id"]) for answer in answers]
    status = f"select distinct status from pipeline_run where id in ({', '.join(numbers)})"
    shared_toy.wait_for(lambda: shared_toy.rows(status) == [("COMPLETED",)])
    assert sorted(shared_toy.ran()) == ["extract"] * 4 + ["publish"] * 4


def test_a_headless_run_beside_the_scheduler_runs_each_block_once(up, shared_toy):
    shared_toy.ran()
    names = [f"n{i}" for i in range(8)]
    # Given a scheduler that looks at all runs every second
    done = shared_toy.done(
        ("run", [shared_toy.request("prepare")]),
        ("run", [shared_toy.request("train", names=",".join(names), slow="n3", seconds=4)]),
    )
    assert [result[0]["status"] for result in done.results] == ["completed", "completed"]
    # Then no block had two drivers.
    expected = ["extract", "publish", "families", *(f"fit:{name}" for name in names), "choose"]
    assert sorted(shared_toy.ran()) == sorted(expected)


def test_a_headless_run_can_be_cancelled_in_the_user_interface(up, shared_toy, helpers):
    process = shared_toy.drive(
        ("run", [shared_toy.request("prepare")]),
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
    taken = start(toy, helpers, MLOPS_OBSERVABILITY__METRICS_PORT=up.metrics_port)
    assert taken.popen.wait(60) == 1
    assert "observability.metrics_port" in taken.popen.stdout.read()


def test_no_process_outlives_its_server_and_the_password_is_told_only_once(up, shared_toy, helpers):
    pids = helpers.descendants(up.popen.pid)
    assert len(pids) >= 5
    password = up.password
    assert up.stop() == 0
    assert helpers.gone(pids)
    # When it starts again, the password is not told, and still the same.
    again = start(shared_toy, helpers).wait_until_up()
    assert password not in again.said
    assert "session" in again.sign_in("owner@mlops.local", password)
    assert "mlops up --reset-password" in again.said
    # When one of its processes dies, it is started again, and that is said.
    lock = shared_toy.home / "scheduler.lock"
    scheduler = json.loads(lock.read_text())["pid"]
    os.kill(scheduler, signal.SIGKILL)
    said = iter(again.popen.stdout.readline, "")
    assert "scheduler was killed by SIGKILL" in next(said)
    assert "restarts in 1 s" in next(said)
    assert "scheduler is running again" in next(said)
    assert json.loads(lock.read_text())["pid"] != scheduler
    assert again.stop() == 0
    # When the owner's password is lost, a new one is given and told.
    reset = start(shared_toy, helpers, arguments=["--reset-password"]).wait_until_up()
    assert reset.password != password
    assert "session" in reset.sign_in("owner@mlops.local", reset.password)
    assert "error" in reset.sign_in("owner@mlops.local", password)
    password = reset.password
    assert reset.stop() == 0
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
