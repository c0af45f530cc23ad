"""What a second look at a test window finds, on models as they are trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.store.manifests import load_manifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.datasets.taxi.trips import TARGET
from mlops.registry.versions import Registry
from mlops.reports.examination import EXPLAINED_ROWS, Examination, examine
from mlops.settings import FeatureSettings
from mlops.training.artifact import TabularModel


@pytest.fixture(scope="module")
def looked(project: Any) -> tuple[TabularModel, pd.DataFrame, Examination]:
    model, info = Registry(project.settings).load(1)
    assert info.receipt is not None
    test = read_window(load_manifest(info.receipt.data_hash, project.settings), "test")
    return model, test, examine(model, test, 1, TaxiTrips())


def test_errors_are_those_of_the_model(
    looked: tuple[TabularModel, pd.DataFrame, Examination],
) -> None:
    model, test, found = looked
    absolute = np.abs(model.predict_point(test) - test[TARGET].to_numpy())

    assert found.overall.rows == len(test)
    assert found.overall.mae.value == pytest.approx(absolute.mean(), abs=1e-4)
    assert found.p90.value == pytest.approx(np.quantile(absolute, 0.9), abs=1e-4)
    assert found.p90.low < found.p90.value < found.p90.high
    assert sum(each.rows for each in found.bins) == len(test)
    assert [each.predicted for each in found.bins] == sorted(b.predicted for b in found.bins)


def test_contributions_add_up_to_the_prediction(
    looked: tuple[TabularModel, pd.DataFrame, Examination],
) -> None:
    model, _, found = looked
    assert found.explained is not None

    for example in found.explained.examples:
        total = example.base + sum(minutes for _, minutes in example.contributions)
        held = min(max(total, model.shortest), model.longest)
        assert held == pytest.approx(example.predicted, abs=1e-3)
        assert example.low is not None and example.low <= example.predicted
        assert "from " in example.described and " miles" in example.described


def test_examples_are_short_middling_and_long(
    looked: tuple[TabularModel, pd.DataFrame, Examination],
) -> None:
    _, test, found = looked
    assert found.explained is not None

    predicted = [example.predicted for example in found.explained.examples]

    assert predicted == sorted(predicted) and predicted[0] < predicted[2]
    assert found.explained.rows == min(EXPLAINED_ROWS, len(test))
    importance = [minutes for _, minutes in found.explained.importance]
    assert importance == sorted(importance, reverse=True)


def test_what_cannot_be_explained_says_why(trips: pd.DataFrame) -> None:
    from mlops.datasets.taxi.features.routes import RouteHistory

    known = pd.concat([trips, RouteHistory(FeatureSettings()).annotate(trips)], axis=1)
    statistics = RouteStatistics.of(known, trips["pickup_at"].max(), FeatureSettings())
    model = TabularModel.fit(
        "group_median", {}, known, FeatureEncoder(statistics), TARGET, seed=1, threads=1
    )

    found = examine(model, trips, 3, TaxiTrips())

    assert found.explained is None
    assert "group_median" in found.unexplained
    assert found.width is None
    assert found.overall.mae.value > 0
