"""Data products on real Mage: every door builds the same one, once, and nobody waits in vain."""

from __future__ import annotations

from datetime import datetime

import pytest

pytestmark = pytest.mark.mage

# Far more than a busy machine needs to notice the end of a build, far less than the 30 s after
# which Mage's own block would look again.
PROMPT_SECONDS = 10


@pytest.fixture(scope="module")
def up(shared_toy, helpers):
    server = helpers.start_server(shared_toy).wait_until_up()
    yield server
    server.kill()


def post(up, toy, pipeline, trigger, **variables):
    """Start a run by its API trigger; return its number."""
    number = toy.trigger(pipeline, trigger)
    return up.post(number, ledger=str(toy.ledger), **variables)["pipeline_run"]["id"]


def completed(toy, run):
    toy.wait_for(lambda: toy.status(run) not in ("INITIAL", "RUNNING"))
    return toy.status(run) == "COMPLETED"


def builds(toy):
    return toy.rows("select id, status from pipeline_run where pipeline_uuid = 'prepare'")


def moments(toy, query):
    return [datetime.fromisoformat(text) for (text,) in toy.rows(query)]


def test_consumers_at_the_same_moment_build_once_and_go_on_at_once(up, shared_toy):
    toy = shared_toy
    # Given a product that was never built, and three consumers at the same moment: two in the
    # server's scheduler and one in an engine beside it
    engine = toy.drive(("run", [toy.request("train", pause=6)]))
    engine.read(until="RunStarted", pipeline="train")
    runs = [post(up, toy, "train", "train over the network", pause=6) for _ in range(2)]
    assert engine.end() == 0
    # When all are done
    assert all(completed(toy, run) for run in runs)
    assert engine.results[0][0]["status"] == "completed"
    # Then it was built once.
    assert [state for _, state in builds(toy)] == ["COMPLETED"]
    assert toy.ran().count("publish") == 1
    # And each that waited went on promptly.
    ended = moments(toy, "select completed_at from pipeline_run where pipeline_uuid = 'prepare'")[0]
    waits = "select {} from block_run where block_uuid = 'numbers' order by id"
    started, went_on = (moments(toy, waits.format(of)) for of in ("started_at", "completed_at"))
    assert len(started) == 3 and min(started) < ended
    for began, moment in zip(started, went_on, strict=True):
        assert (moment - max(began, ended)).total_seconds() < PROMPT_SECONDS


def test_a_build_by_post_is_what_everybody_uses(up, shared_toy):
    toy = shared_toy
    before = len(builds(toy))
    # Given a build that a person started
    build = post(up, toy, "prepare", "over the network", size=5)
    assert completed(toy, build)
    # When consumers follow, in the server and headless
    run = post(up, toy, "train", "train over the network", names="x")
    assert completed(toy, run)
    (result,) = toy.done(("run", [toy.request("train", names="y")]), ("fresh", "numbers")).results[
        0
    ]
    # Then they use it, and nobody builds another.
    assert result["outputs"]["choose"]["candidates"] == [{"name": "y", "score": 10}]
    assert len(builds(toy)) == before + 1
    # And the product's page, which lists its builds, begins with it.
    _, answer = up.enter().ask("/api/pipeline_runs?global_data_product_uuid=numbers&_limit=5")
    assert answer["pipeline_runs"][0]["id"] == build


def test_a_build_that_ends_with_another_consumer_is_made_again(toy, helpers):
    # Given a consumer that waits for the build of an engine
    server = helpers.start_server(toy).wait_until_up()
    try:
        engine = toy.drive(("run", [toy.request("train", pause=60)]))
        engine.read(until="BlockStarted", block="extract")
        run = post(server, toy, "train", "train over the network")
        waits = f"select 1 from block_run where pipeline_run_id = {run} and block_uuid = 'numbers'"
        toy.wait_for(lambda: toy.rows(f"{waits} and status = 'RUNNING'"))
        # When that engine is killed, and its build will never end
        engine.popen.kill()
        engine.popen.wait()
        # Then the consumer builds its own.
        assert completed(toy, run)
        assert [state for _, state in builds(toy)][-1] == "COMPLETED"
    finally:
        server.kill()


def test_a_failed_build_fails_its_consumer_in_its_own_words(toy):
    done = toy.done(("run", [toy.request("train", pause="soon")]))
    (result,) = done.results[0]
    assert result["status"] == "failed"
    error = result["blocks"]["numbers"]["error"]
    assert "prepare: block extract failed" in error and "could not convert" in error


def test_a_build_counts_for_its_own_dataset_only(toy):
    # Given two datasets, and runs of each that need a product
    first, second = (
        ("run", [toy.request("train", names="x", **given)])
        for given in ({}, {"dataset": "flights"})
    )
    # When they run in turn, twice
    results = toy.done(first, second, first, second).results
    assert [result["status"] for (result,) in results] == ["completed"] * 4
    # Then each dataset has one build of its own.
    assert toy.ran().count("publish") == 2
    query = "select json_extract(variables, '$.dataset') from pipeline_run where pipeline_uuid = {}"
    assert toy.rows(query.format("'prepare'")) == [("taxi",), ("flights",)]
    assert [name for (name,) in toy.rows(query.format("'train'"))] == ["taxi", "flights"] * 2


def test_runs_belong_to_the_dataset_that_their_process_works_on(toy):
    # Given a process that works on another dataset, and a run whose blocks start others
    steps = ("run", [toy.request("family", names="a")]), ("fresh", "numbers")
    done = toy.done(*steps, MLOPS_DATASET="flights")
    # Then they are all that dataset's.
    given = toy.rows("select json_extract(variables, '$.dataset') from pipeline_run")
    assert given == [("flights",)] * 3
    assert done.results[-1] is True
