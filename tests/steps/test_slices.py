"""Slices of the pipelines without Mage: steps hand references to each other, as blocks would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from mlops.data.store.snapshots import read_window
from mlops.datasets.taxi.trips import PICKUP_AT
from mlops.errors import PipelineFailureError, RegistryError
from mlops.monitoring.measures import building
from mlops.registry.profiles import load_profile
from mlops.settings import load_settings
from mlops.steps import (
    batch_inference,
    candidates,
    data_preparation,
    model_selection,
    profiles,
    training,
)
from mlops.steps.products import training_set_from

ROOT = Path(__file__).resolve().parents[2]
VARIABLES: dict[str, Any] = {
    "source.sample_rows": 3_000,
    "source.months": "2024-01..2024-02",
    "training.max_evals": 2,
    "training.families": "global_mean,linear_regression,nothing_fits",
    "execution_date": "what Mage adds",
}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(folder))
        yield folder


def prepared() -> dict[str, Any]:
    """Run the steps of `data_preparation`, through JSON as Mage would store it."""
    extraction = json.loads(json.dumps(data_preparation.extract(VARIABLES)))
    validated = json.loads(json.dumps(data_preparation.validate(extraction, VARIABLES)))
    features = json.loads(json.dumps(data_preparation.build(validated, VARIABLES)))
    manifest: dict[str, Any] = json.loads(json.dumps(data_preparation.publish(features, VARIABLES)))
    return manifest


@pytest.fixture(scope="module")
def training_set(home: Path) -> dict[str, Any]:
    return prepared()


@pytest.fixture(scope="module")
def route_statistics(training_set: dict[str, Any]) -> dict[str, Any]:
    return data_preparation.publish_route_statistics([training_set], VARIABLES)


def contract(name: str) -> dict[str, Any]:
    """Read the contract of a data product."""
    content: dict[str, Any] = yaml.safe_load(
        (ROOT / "global_data_products" / f"{name}.yaml").read_text(encoding="utf-8")
    )
    return content


def test_training_set_keeps_its_contract(training_set: dict[str, Any]) -> None:
    promised = contract("training_set")["columns"]
    for part in training_set["parts"]:
        schema = pq.read_schema(part["uri"])
        found = {name: str(schema.field(name).type) for name in promised}
        assert found == {name: column["type"] for name, column in promised.items()}

    # windows touch, in order, and hold every row
    windows = [training_set[name] for name in ("train", "validation", "test")]
    assert windows[0]["end"] == windows[1]["start"] and windows[1]["end"] == windows[2]["start"]
    assert sum(window["rows"] for window in windows) == training_set["rows"]
    manifest = training_set_from(training_set, {})
    for name in ("train", "validation", "test"):
        assert read_window(manifest, name)[PICKUP_AT].is_monotonic_increasing


def test_the_same_input_gives_the_same_training_set(training_set: dict[str, Any]) -> None:
    assert prepared() == training_set


def test_route_statistics_keep_their_contract(
    route_statistics: dict[str, Any], training_set: dict[str, Any]
) -> None:
    folder = Path(route_statistics["uri"])

    assert sorted(path.name for path in folder.glob("*.npz")) == sorted(
        contract("route_statistics")["files"]
    )
    assert route_statistics["training_set"] == training_set["sha256"]


def test_statistics_of_an_older_training_set_are_replaced(
    route_statistics: dict[str, Any], training_set: dict[str, Any]
) -> None:
    # given products that expired at different times
    stale = {**route_statistics, "training_set": "0" * 64, "at_validation": "/gone"}
    known = {**VARIABLES, "training.families": "linear_regression"}

    # when a training pipeline fans out
    items, _ = training.families([training_set], [stale], known)

    # then its children get the statistics of the training set they learn from
    assert items[0]["history"] == route_statistics["at_validation"]


def test_an_unknown_family_is_refused_before_any_child_starts(
    route_statistics: dict[str, Any], training_set: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match="nothing_fits"):
        training.families([training_set], [route_statistics], VARIABLES)


def test_search_selection_and_predictions(
    route_statistics: dict[str, Any], training_set: dict[str, Any], home: Path, web: Any
) -> None:
    # given two families searched on the training set, and the other baseline
    known = {**VARIABLES, "training.families": "global_mean,linear_regression"}
    items, names = training.families([training_set], [route_statistics], known)
    reports = [training.tune_and_train(item, known) for item in items]
    ranked = training.collect(reports)["candidates"]
    assert [report["family"] for report in ranked] == [
        "linear_regression",
        "group_median",
        "global_mean",
    ]
    # the longest comes first, or it would run alone at the end
    assert [name["block_uuid"] for name in names] == [
        "linear_regression",
        "global_mean",
        "group_median",
    ]

    # when they are refitted, judged and registered
    items, _ = candidates.newest_candidates([training_set], [route_statistics], known)
    reports = [candidates.refit_and_evaluate(item, known) for item in items]
    judgement = model_selection.judge_candidates(reports, known)
    telling = {**known, "notifications.webhooks": web.url("/hook")}
    registered = model_selection.register(json.loads(json.dumps(judgement)), telling)

    # then the learned model won, is champion, and predicts
    assert judgement["winner"] == "linear_regression"
    assert registered["promoted"], judgement["verdict"]["summary"]
    summary = batch_inference.score_trips(batch_inference.load(known), known)
    assert summary["rows"] > 2_500
    assert Path(summary["uri"]).is_relative_to(home)

    # and its world is remembered, for monitoring; as if it had been asked for later
    settings = load_settings(known, strict=False)
    later = building.build_for(settings, registered["version"])
    profiled = profiles.profile_version(json.loads(json.dumps(registered)), known)
    assert profiled["profiled"], profiled["summary"]
    profile = load_profile(settings, registered["version"])
    assert profile == later.model_copy(update={"created_at": profile.created_at})
    assert profile.version == str(registered["version"])
    quality = training_set["quality"]
    assert profile.rows == quality["rows_read"] > quality["rows_kept"]
    assert profile.tested_from.isoformat() == training_set["test"]["start"]

    # and people were told, as they are when the gate refuses a model
    judgement["verdict"]["passed"] = False
    refused = model_selection.register(judgement, telling)
    assert refused["version"] is None
    assert not profiles.profile_version(refused, known)["profiled"]
    assert [body["title"] for body in web.bodies("/hook")] == [
        "version 1 is champion",
        "linear_regression was refused",
    ]


def test_when_every_child_fails_the_causes_are_listed() -> None:
    failed = {
        "family": "lasso",
        "status": "failed",
        "baseline": False,
        "seconds": 0.1,
        "error": "ValueError: no trips",
    }

    with pytest.raises(PipelineFailureError, match="lasso: ValueError: no trips"):
        training.collect([failed])


def test_a_hiccup_of_the_record_does_not_cost_the_search(
    route_statistics: dict[str, Any],
    training_set: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # given a registry that fails twice and then recovers
    record, failures = training.log_candidate, iter(("locked", "still locked"))

    def hiccup(*args: Any, **kwargs: Any) -> str:
        for failure in failures:
            raise RegistryError(failure)
        return record(*args, **kwargs)

    monkeypatch.setattr(training, "log_candidate", hiccup)
    monkeypatch.setattr(training, "RECORD_PAUSES_SECONDS", (0, 0, 0))
    items, _ = training.families(
        [training_set], [route_statistics], {**VARIABLES, "training.families": "global_mean"}
    )

    # when a child has searched
    report = training.tune_and_train(items[0], VARIABLES)

    # then its candidate is recorded, and the log says what happened
    assert report["status"] == "finished" and report["run_id"]
    assert "still locked; trying again" in capsys.readouterr().out
