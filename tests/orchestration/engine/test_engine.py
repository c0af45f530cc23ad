"""The engine on real Mage: order, outputs, failures, and what it leaves behind."""

import subprocess

import pytest

pytestmark = pytest.mark.mage


@pytest.fixture(scope="module")
def story(shared_toy):
    """One process: a product is built, then read by runs of every kind."""
    toy = shared_toy
    steps = {
        "stale": ("fresh", "numbers"),
        "unknown": ("run", [toy.request("prepare"), toy.request("nonesuch")]),
        "prepare": ("run", [toy.request("prepare", size=4)]),
        "fresh": ("fresh", "numbers"),
        "train": ("run", [toy.request("train")]),
        "two": ("run", [toy.request("gated"), toy.request("gated", open=True)]),
        "fail": ("run", [toy.request("train", fail="b")]),
        "die": ("run", [toy.request("train", die="c")]),
        "overrun": ("run", [toy.request("train", slow="a", seconds=60)]),
        "stale_runs": ("stale", None),
    }
    process = toy.done(*steps.values(), MLOPS_ENGINE__BLOCK_TIMEOUT_SECONDS="2")
    story = dict(zip(steps, process.results, strict=True))
    return story, process, toy


def test_a_product_is_built_before_it_is_read(story):
    results, *_ = story
    assert results["stale"] is False
    # When it is built, it is fresh.
    assert results["prepare"][0]["status"] == "completed"
    assert results["fresh"] is True


def test_a_request_that_cannot_be_met_starts_nothing(story):
    results, _, toy = story
    assert "nonesuch" in results["unknown"]["message"]
    assert "prepare" in results["unknown"]["message"]
    first = toy.rows("select min(pipeline_uuid), count(*) from pipeline_run where id = 1")
    assert first == [("prepare", 1)] and results["prepare"][0]["run_id"] == 1


def test_json_survives_unchanged(story):
    results, *_ = story
    assert results["prepare"][0]["outputs"]["publish"] == {
        "values": [0, 1, 2, 3],
        "nested": {"text": "é", "flag": True, "number": 0.1},
        "pipeline": "prepare",
        "block": "publish",
        "run": 1,
    }


def test_dynamic_children_fan_out_and_are_collected_in_order(story):
    results, *_ = story
    (train,) = results["train"]
    children = [{"name": name, "score": 6} for name in "abc"]
    assert train["status"] == "completed"
    assert list(train["blocks"]) == ["numbers", "families", "fit:a", "fit:b", "fit:c", "choose"]
    assert train["outputs"]["fit"] == children
    assert train["outputs"]["fit:b"] == children[1]
    assert train["outputs"]["choose"] == {"candidates": children}


def test_pipelines_run_side_by_side_and_a_false_condition_is_no_failure(story):
    results, process, _ = story
    shut, opened = results["two"]
    assert shut["status"] == opened["status"] == "completed"
    assert shut["blocks"]["only_if_open"]["status"] == "condition_failed"
    assert opened["blocks"]["only_if_open"]["status"] == "completed"
    names = [event["event"] for event in process.events if event.get("run_id") in (3, 4)]
    assert names == ["RunStarted", "RunStarted", "RunFinished", "RunFinished"]


def test_a_failing_child_keeps_its_siblings(story):
    results, *_ = story
    (fail,) = results["fail"]
    assert fail["status"] == "failed"
    statuses = {name: block["status"] for name, block in fail["blocks"].items()}
    assert statuses["fit:a"] == statuses["fit:c"] == "completed"
    assert statuses["fit:b"] == "failed"
    assert statuses["choose"] == "upstream_failed"
    assert fail["blocks"]["fit:b"]["error"] == "ValueError: family b has no data"
    assert fail["outputs"]["fit"] == [
        {"name": "a", "score": 6},
        None,
        {"name": "c", "score": 6},
    ]


def test_a_killed_or_overrunning_child_fails_with_the_reason_and_is_not_tried_again(story):
    results, _, toy = story
    died = results["die"][0]["blocks"]["fit:c"]
    assert died["status"] == "failed" and "SIGKILL" in died["error"]
    late = results["overrun"][0]["blocks"]["fit:a"]
    assert late["status"] == "failed" and "after 2 s" in late["error"]
    assert 1 < late["seconds"] < 10
    assert toy.ledger.read_text().split().count("fit:c") == 4  # train, fail, die, overrun


def test_every_event_is_told_once_and_in_order(story):
    _, process, _ = story
    run = [event for event in process.events if event.get("pipeline") == "train"]
    first = run[: 1 + [event["event"] for event in run].index("RunFinished")]
    kinds = [(event["event"], event.get("block")) for event in first]
    assert kinds[0] == ("RunStarted", None) and kinds[-1] == ("RunFinished", None)
    assert len(kinds) == len(set(kinds))
    for child in ("fit:a", "fit:b", "fit:c"):
        mine = [kind for kind, block in kinds if block == child]
        assert mine == ["BlockStarted", "BlockProgress", "BlockFinished"]
    progress = next(event for event in first if event["event"] == "BlockProgress")
    assert progress["message"] == "fitting" and progress["fields"]["trial"] == 1


def test_the_terminal_is_quiet_and_each_block_has_its_log(story):
    results, process, toy = story
    assert process.other == []
    log = results["fail"][0]["blocks"]["fit:b"]["log"]
    content = (toy.home / log).read_text()
    assert "fitting trial=1" in content and "ValueError: family b has no data" in content
    # Mage's own block logs, which its user interface shows, are there as well.
    assert list(toy.home.glob("mage/*/pipelines/train/.logs/*/*/fit_b.log"))


def test_runs_leave_no_mark_and_no_stale_run(story):
    results, _, toy = story
    assert results["stale_runs"] == []
    assert toy.rows("select distinct metrics from pipeline_run") == [("{}",)]
    assert toy.rows("select count(*) from block_run where status in ('RUNNING','QUEUED')") == [(0,)]


def test_nothing_is_written_into_the_project(story):
    *_, toy = story
    status = subprocess.run(
        ["git", "status", "--porcelain", "--ignored"],
        cwd=toy.project,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [line for line in status.splitlines() if not line.startswith("A ")] == []
