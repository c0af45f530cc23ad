"""Triggers on a real `mlops up`: put in place from files, started by POST, none of them lost."""

import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.mage

MANY = 30


@pytest.fixture(scope="module")
def up(shared_toy, helpers):
    server = helpers.start_server(shared_toy, MLOPS_API_TOKEN="").wait_until_up()
    yield server
    server.kill()


def token_of(toy, pipeline):
    return (toy.home / "server" / "api_tokens" / pipeline).read_text()


def trigger(toy, pipeline, name="api"):
    """Return a trigger's row once it is there: id, status, token and when it was switched on."""
    query = (
        "select id, status, token, last_enabled_at from pipeline_schedule "
        f"where pipeline_uuid = '{pipeline}' and name = '{name}'"
    )
    return toy.wait_for(lambda: toy.rows(query))[0]


def post(up, toy, pipeline, token=None, **variables):
    """Start a pipeline as anybody with its token can."""
    number = trigger(toy, pipeline)[0]
    token = token or token_of(toy, pipeline)
    return up.post(number, token, ledger=str(toy.ledger), **variables)


def test_a_post_with_the_generated_token_runs_and_with_another_does_not(up, shared_toy):
    shared_toy.ran()
    run = post(up, shared_toy, "chain")["pipeline_run"]["id"]
    shared_toy.wait_for(lambda: shared_toy.status(run) == "COMPLETED")
    assert shared_toy.ran() == [f"{run}:one", f"{run}:two", f"{run}:three"]
    assert "error" in post(up, shared_toy, "chain", token=token_of(shared_toy, "family"))
    assert shared_toy.rows(f"select count(*) from pipeline_run where id > {run}") == [(0,)]


def test_in_development_schedules_wait_and_requests_are_answered(up, shared_toy):
    assert trigger(shared_toy, "chain", "yearly")[1] == "INACTIVE"
    assert trigger(shared_toy, "chain", "api")[1] == "ACTIVE"
    tokens = {name: trigger(shared_toy, name)[2] for name in ("chain", "family")}
    assert tokens == {name: token_of(shared_toy, name) for name in tokens}


def test_a_run_starts_runs_of_other_pipelines_and_takes_them_along_when_cancelled(up, shared_toy):
    shared_toy.ran()
    run = post(up, shared_toy, "family", names="a", slow="")["pipeline_run"]["id"]
    shared_toy.wait_for(lambda: shared_toy.status(run) == "COMPLETED", 60)
    assert sorted(shared_toy.ran()) == ["choose", "extract", "families", "fit:a", "publish"]
    # When one is cancelled while its child works
    run = post(up, shared_toy, "family", names="a", slow="a", seconds=60)["pipeline_run"]["id"]
    shared_toy.wait_for(lambda: "fit:a" in shared_toy.ledger.read_text(), 60)
    up.enter()
    body = {"pipeline_run": {"status": "cancelled"}}
    up.ask(f"/api/pipeline_runs/{run}", method="PUT", body=body)
    # Then its child is cancelled as well, and nothing of it runs on.
    (child,) = shared_toy.rows(f"select max(id) from pipeline_run where id > {run}")[0]
    shared_toy.wait_for(lambda: shared_toy.status(child) == "CANCELLED")
    running = "select count(*) from block_run where status in ('RUNNING', 'QUEUED', 'INITIAL')"
    shared_toy.wait_for(lambda: shared_toy.rows(running) == [(0,)])


def test_of_many_runs_at_once_none_is_lost_and_no_block_runs_twice(up, shared_toy):
    shared_toy.ran()
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2)]
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda _: post(up, shared_toy, "chain"), range(MANY))
            ids = [answer["pipeline_run"]["id"] for answer in answers]
        some = ", ".join(map(str, ids))
        done = f"select count(*) from pipeline_run where status = 'COMPLETED' and id in ({some})"
        shared_toy.wait_for(lambda: shared_toy.rows(done) == [(MANY,)], 200)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    expected = Counter(f"{run}:{step}" for run in ids for step in ("one", "two", "three"))
    assert Counter(shared_toy.ran()) == expected
    (blocks,) = shared_toy.rows(f"select count(*) from block_run where pipeline_run_id in ({some})")
    assert blocks == (3 * MANY,)


def test_files_are_followed_and_never_written(up, shared_toy):
    path = shared_toy.project / "pipelines" / "chain" / "triggers.yaml"
    before = path.read_text()
    # When a person switches a trigger on in the pages, the file stays as it is.
    up.enter()
    yearly = trigger(shared_toy, "chain", "yearly")[0]
    body = {"pipeline_schedule": {"id": yearly, "status": "active"}}
    up.ask(f"/api/pipeline_schedules/{yearly}", method="PUT", body=body)
    shared_toy.wait_for(lambda: trigger(shared_toy, "chain", "yearly")[1] == "ACTIVE")
    assert path.read_text() == before
    # When a trigger is taken out of the file, and another has become wrong
    path.write_text(
        before.replace("name: yearly", "name: wrong").replace("0 0 1 1 *", "0 99 1 1 *")
    )
    # Then it is switched off, the wrong one is not put in place, and the good one still works.
    shared_toy.wait_for(lambda: trigger(shared_toy, "chain", "yearly")[1] == "INACTIVE")
    assert shared_toy.rows("select id from pipeline_schedule where name = 'wrong'") == []
    run = post(up, shared_toy, "chain")["pipeline_run"]["id"]
    shared_toy.wait_for(lambda: shared_toy.status(run) == "COMPLETED")
    path.write_text(before)


def test_a_wrong_file_keeps_the_server_from_starting(toy, helpers):
    path = toy.project / "pipelines" / "chain" / "triggers.yaml"
    path.write_text(path.read_text().replace("0 0 1 1 *", "0 99 1 1 *"))
    server = helpers.start_server(toy)
    said = server.popen.stdout.read()
    assert server.popen.wait(60) == 1
    assert "pipelines/chain/triggers.yaml: 'yearly'" in said and "0 99 1 1 *" in said


def test_in_production_schedules_are_active_and_nothing_missed_is_made_up_for(toy, helpers):
    server = helpers.start_server(toy, MLOPS_ENVIRONMENT="prod").wait_until_up()
    try:
        _, active, _, since = trigger(toy, "chain", "yearly")
        assert active == "ACTIVE" and since > "2024-02"
        toy.wait_for(lambda: post_one(server, toy) == "COMPLETED")
        assert toy.rows("select count(*) from pipeline_run") == [(1,)]
    finally:
        server.kill()


def post_one(server, toy):
    if not toy.rows("select id from pipeline_run"):
        server.post(trigger(toy, "chain")[0], ledger=str(toy.ledger))
    return toy.status(1)
