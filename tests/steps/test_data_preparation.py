"""The steps prepare whatever dataset the variables name, and notice when a training set is old."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.references import RouteStatisticsManifest, TrainingSetManifest
from mlops.data.store.manifests import current_hash
from mlops.data.store.publications import reason_to_build
from mlops.data.store.snapshots import read_window
from mlops.datasets.opening import dataset_of
from mlops.errors import DataQualityError
from mlops.registry import remembered
from mlops.registry.remembered import source_in_force
from mlops.settings import load_settings
from mlops.steps.data_preparation import (
    build,
    extract,
    publish,
    publish_route_statistics,
    validate,
)
from tests.datasets.declared.deliveries import DELIVERIES
from tests.datasets.declared.preparing.conftest import rows_of_days, written

Variables = Mapping[str, Any]

HOUSES = """
name: houses
title: What does a house cost?
source: {location: ../../houses.csv}
task: {target: price}
key: [id]
features: {area: number}
context: {id: category}
split: {by: random, validation: 0.2, test: 0.2}
"""


@pytest.fixture
def variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declare: Callable[[str], Path]
) -> dict[str, Any]:
    """Declare the dataset in the working directory, with its files, and no champion anywhere."""
    split = DELIVERIES.replace("{validation: 2d, test: 2d}", "{validation: 2d, test: 18d}")
    written(declare(split), rows_of_days())
    monkeypatch.setattr(remembered, "find_version", lambda *_: None)
    return {
        "home": str(tmp_path / "home"),
        "dataset": "deliveries",
        "validation.min_rows": 1,
        "validation.min_days_covered": 0,
        "execution_partition": "of Mage",  # which adds names of its own
    }


def prepared(variables: Variables) -> TrainingSetManifest:
    table = build(validate(extract(variables), variables), variables)
    return TrainingSetManifest.model_validate(publish(table, variables))


def test_a_declared_dataset_is_prepared_and_frozen(variables: dict[str, Any]) -> None:
    manifest = prepared(variables)

    assert manifest.dataset == "deliveries" and manifest.rows == 240
    assert manifest.recipe["source"]["months"] == "2024-02..2024-03"
    frozen = RouteStatisticsManifest.model_validate(
        publish_route_statistics([manifest.model_dump(mode="json")], variables)
    )
    settings = load_settings(variables, strict=False)
    dataset = dataset_of(settings)
    found = dataset.past_at_test(manifest, settings)
    assert dataset.history(Path(frozen.at_test)).sha256 == found.sha256


def test_a_table_without_times_is_split_by_its_rows_whatever_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declare: Callable[[str], Path]
) -> None:
    declare(HOUSES)
    monkeypatch.setattr(remembered, "find_version", lambda *_: None)
    rows = pd.DataFrame({"id": range(400), "area": np.arange(400) % 90, "price": 1.5})

    def prepared_from(rows: pd.DataFrame, home: str) -> TrainingSetManifest:
        rows.to_csv(tmp_path / "houses.csv", index=False)
        return prepared(
            {"home": str(tmp_path / home), "dataset": "houses", "validation.min_rows": 1}
        )

    manifest = prepared_from(rows, "one")
    again = prepared_from(rows[::-1], "two")

    assert manifest.sha256 == again.sha256
    assert sum(window.rows for window in manifest.windows.values()) == manifest.rows == 400
    assert {window.start for window in manifest.windows.values()} == {None}
    train, test = read_window(manifest, "train"), read_window(manifest, "test")
    assert len(train) == manifest.train.rows and len(test) == manifest.test.rows > 50
    assert not {*train["id"]} & {*test["id"]}
    settings = load_settings({"home": str(tmp_path / "one"), "dataset": "houses"})
    frozen = dataset_of(settings).freeze(manifest, settings)
    assert dataset_of(settings).history(Path(frozen.at_test)).tables == {}


def test_what_is_old_is_noticed(
    variables: dict[str, Any], tmp_path: Path, make_reason: Callable[[], str]
) -> None:
    folder = tmp_path / "datasets" / "deliveries"
    assert make_reason() == "first build"
    prepared(variables)
    assert make_reason() == ""

    # When the definition is edited, and when a file of rows is
    definition = folder / "dataset.yaml"
    before = definition.read_text()
    definition.write_text(before.replace("label_delay: 6h", "label_delay: 7h"))
    assert make_reason() == f"source files changed: {definition}"
    definition.write_text(before)
    assert make_reason() == ""
    rows = rows_of_days()
    rows.loc[0, "minutes"] += 1
    written(folder, rows)
    assert make_reason() == f"source files changed: {folder / 'deliveries_2024-02.csv'}"


@pytest.fixture
def make_reason(variables: dict[str, Any]) -> Callable[[], str]:
    """Return what tells why the training set does not answer the request."""
    return lambda: reason_to_build(source_in_force(load_settings(variables, strict=False)).settings)


def test_a_refused_batch_leaves_the_training_set_as_it_was(
    variables: dict[str, Any], tmp_path: Path
) -> None:
    first = prepared(variables)
    rows = rows_of_days()
    rows["weight"] = 51.0
    written(tmp_path / "datasets" / "deliveries", rows)
    with pytest.raises(DataQualityError, match=r"100\.0% of the rows are bad"):
        prepared(variables)
    assert current_hash(load_settings(variables, strict=False)) == first.sha256
