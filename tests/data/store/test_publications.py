"""Whether the training set in use answers a request, whoever had it built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops import fingerprints
from mlops.data.store.publications import last_publication, reason_to_build, recipe_in_force
from mlops.settings import Settings, load_settings
from mlops.steps import data_preparation

ASKED = {
    "source.kind": "path",
    "source.months": "2024-01..2024-02",
    "windows.validation_days": 5,
    "validation.min_rows": 1,
    "validation.min_days_covered": 0,
}


@pytest.fixture
def asked(tmp_path: Path, make_trips: Any, write_source: Any, monkeypatch: Any) -> dict[str, Any]:
    """A request that has been answered."""
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    for month in ("2024-01", "2024-02"):
        name = f"green_tripdata_{month}.parquet"
        write_source(make_trips(300, month), tmp_path / name, month)
    asked = {**ASKED, "source.location": str(tmp_path)}
    assert reason_to_build(load_settings(asked)) == "first build"
    build(asked)
    return asked


def build(variables: dict[str, Any]) -> str:
    """Build the training set as the blocks of the pipeline do; return its hash."""
    validated = data_preparation.validate(data_preparation.extract(variables), variables)
    features = data_preparation.build(validated, variables)
    return str(data_preparation.publish(features, variables)["sha256"])


def settings_with(asked: dict[str, Any], **changes: Any) -> Settings:
    return load_settings({**asked, **changes})


def test_an_answered_request_needs_no_build(asked: dict[str, Any]) -> None:
    assert reason_to_build(load_settings(asked)) == ""
    # Settings that do not decide what it holds do not count.
    assert reason_to_build(settings_with(asked, **{"training.max_evals": 3})) == ""


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("source.months", "2024-02"),
        ("validation.max_minutes", 59),
        ("windows.validation_days", 6),
        ("features.route_smoothing", 11),
    ],
)
def test_any_setting_that_decides_what_it_holds_asks_for_another(
    asked: dict[str, Any], setting: str, value: Any
) -> None:
    found = reason_to_build(settings_with(asked, **{setting: value}))
    assert found == f"the request changed: {setting}"


def test_a_mended_file_asks_for_another_and_the_same_bytes_do_not(
    asked: dict[str, Any], tmp_path: Path, make_trips: Any, write_source: Any
) -> None:
    file = tmp_path / "green_tripdata_2024-02.parquet"
    content = file.read_bytes()
    write_source(make_trips(310, "2024-02"), file, "2024-02")
    assert reason_to_build(load_settings(asked)) == f"source files changed: {file}"
    file.write_bytes(content)
    assert reason_to_build(load_settings(asked)) == ""
    file.unlink()  # away: nothing is known of it
    assert reason_to_build(load_settings(asked)) == ""


def test_other_code_asks_for_another(asked: dict[str, Any], monkeypatch: Any) -> None:
    sources = {**fingerprints.sources(), "datasets/taxi/contract/rules.py": "as edited"}
    monkeypatch.setattr(fingerprints, "sources", lambda: sources)
    assert reason_to_build(load_settings(asked)) == "the code that prepares the data changed"


def test_the_same_content_by_another_request_counts_for_that_one(asked: dict[str, Any]) -> None:
    # Given a limit that no trip comes near
    other = {**asked, "validation.max_distance_miles": 99.5}
    before = last_publication(load_settings(asked))
    assert build(other) == (before and before.training_set)
    # Then the last request is the answered one.
    assert reason_to_build(load_settings(other)) == ""
    assert "max_distance_miles" in reason_to_build(load_settings(asked))


def test_a_damaged_record_means_that_nothing_is_known(asked: dict[str, Any]) -> None:
    config = load_settings(asked)
    for content in ("", "{}", "[1", "null"):
        (config.store / "training_sets" / "request.json").write_text(content)
        assert last_publication(config) is None
        assert "unknown" in reason_to_build(config)
        assert recipe_in_force(config, {"months": "2024-01"}) == {"source.months": "2024-01"}


def test_a_build_for_a_consumer_repeats_the_last_unless_told_otherwise(
    asked: dict[str, Any], monkeypatch: Any
) -> None:
    monkeypatch.setenv("MLOPS_WINDOWS__VALIDATION_DAYS", "9")
    found = recipe_in_force(load_settings(), {"months": "2024-02", "families": "lasso"})
    assert found["source.kind"] == "path"
    assert found["source.location"] == asked["source.location"]
    assert found["source.months"] == "2024-02"  # given to the consumer
    assert found["training.families"] == "lasso"
    assert "windows.validation_days" not in found  # given by the environment
    repeated = load_settings(found, strict=False)
    assert repeated.source.kind == "path" and repeated.windows.validation_days == 9
