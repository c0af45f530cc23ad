"""What is told of a candidate is true: contributions add up, curves end where the score begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.features.encoding import FEATURES, FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.trips import TARGET
from mlops.evaluation.explanation import MAX_EXPLAINED, gain_insight, mean_contributions
from mlops.evaluation.insight import Insight, summarise_contributions
from mlops.evaluation.metrics import regression_metrics
from mlops.serving.model.compilation import contributions_of
from mlops.settings import FeatureSettings, TrainingSettings
from mlops.training.artifact import TabularModel
from mlops.training.tuning import SearchResult, tune

BOUNDARY = datetime(2024, 1, 20)
SMALL: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 6},
    "extra_trees": {"n_estimators": 6},
    "hist_gradient_boosting": {"learning_rate": 0.3},
    "squared_error": {"learning_rate": 0.3},
    "quantiles": {"learning_rate": 0.4},
    "lasso": {"tol": 0.1},
}
EXPLAINED = (*SMALL, "linear_regression", "absolute_error")
BASELINES = ("global_mean", "group_median")


@dataclass(frozen=True)
class Searched:
    """A finished search, the trips that judged it, and what was told of it."""

    search: SearchResult
    validation: pd.DataFrame
    insight: Insight

    @property
    def model(self) -> TabularModel:
        return self.search.model


@pytest.fixture(scope="module")
def searched(sample_history: Callable[..., pd.DataFrame]) -> Callable[[str], Searched]:
    """Return a maker of searched candidates, one per family."""
    features = FeatureSettings()
    trips = sample_history("2023-12", "2024-01", rows=2_000)
    trips = pd.concat([trips, RouteHistory(features).annotate(trips)], axis=1)
    later = trips["pickup_at"] >= BOUNDARY
    statistics = RouteStatistics.of(trips, BOUNDARY, features)
    train, validation = trips[~later], trips[later]

    @cache
    def make(family: str) -> Searched:
        wanted = TrainingSettings(max_evals=2, overrides={family: SMALL.get(family, {})})
        search = tune(
            family, train, validation, FeatureEncoder(statistics), TARGET, wanted, threads=1
        )
        predicted = search.model.predict_point(validation)
        insight = gain_insight(
            search.model, validation, TaxiTrips(), predicted, "validation", search
        )
        return Searched(search, validation, insight)

    return make


@pytest.mark.parametrize("family", EXPLAINED)
def test_every_learned_family_is_explained_in_minutes(
    family: str, searched: Callable[[str], Searched]
) -> None:
    found = searched(family).insight.contributions

    assert found is not None
    assert set(found.means) == set(FEATURES)
    assert list(found.means.values()) == sorted(found.means.values(), reverse=True)
    assert 32 <= found.rows <= MAX_EXPLAINED
    # an average trip takes a quarter of an hour, and the distance says most of how it differs
    assert 5 < found.base < 30
    assert next(iter(found.means.values())) > 0.5


@pytest.mark.parametrize("family", BASELINES)
def test_a_baseline_has_nothing_to_explain(
    family: str, searched: Callable[[str], Searched]
) -> None:
    insight = searched(family).insight

    assert insight.contributions is None
    assert insight.curve is None
    assert len(insight.trials) == 1


@given(
    rows=st.lists(st.integers(0, 600), min_size=1, max_size=20),
    family=st.sampled_from(sorted(SMALL)),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_contributions_and_base_add_up_to_the_prediction(
    rows: list[int], family: str, searched: Callable[[str], Searched]
) -> None:
    # given any trips
    model, trips = searched(family).model, searched(family).validation.iloc[rows]
    unclipped = replace(model, shortest=-np.inf, longest=np.inf)

    values, base = contributions_of(model, lambda nodes: model.encoder.encode(trips))

    # then what their features add explains the whole prediction
    np.testing.assert_allclose(
        base + values.sum(axis=1), unclipped.predict_point(trips), rtol=0, atol=1e-3
    )


def test_fewer_trips_of_a_bigger_model_are_explained(searched: Callable[[str], Searched]) -> None:
    def rows(family: str) -> int:
        case = searched(family)
        many = pd.concat([case.validation] * 4)
        found = mean_contributions(case.model, many, case.model.predict_point(many))
        assert found is not None
        return found.rows

    assert rows("extra_trees") < rows("hist_gradient_boosting") < rows("lasso") == MAX_EXPLAINED


def test_the_trips_explained_stand_for_all(searched: Callable[[str], Searched]) -> None:
    # given a model small enough to explain every trip
    case = searched("quantiles")
    predicted = case.model.predict_point(case.validation)
    values, base = contributions_of(
        case.model, lambda _: case.model.encoder.encode(case.validation)
    )
    everything = summarise_contributions(values, base, FEATURES)

    # when only one in ten is affordable
    some = mean_contributions(case.model, case.validation.iloc[::10], predicted[::10])

    # then the features that matter are the same, and matter about as much
    assert some is not None
    assert some.base == everything.base
    for name in list(everything.means)[:3]:
        assert some.means[name] == pytest.approx(everything.means[name], rel=0.25)


@pytest.mark.parametrize("family", ["hist_gradient_boosting", "squared_error", "quantiles"])
def test_a_boosted_curve_falls_to_the_loss_of_the_best_trial(
    family: str, searched: Callable[[str], Searched]
) -> None:
    case = searched(family)
    curve = case.insight.curve

    assert curve is not None and curve.unit == "rounds"
    assert curve.loss == ("pinball loss" if family == "quantiles" else "RMSE")
    assert len(curve.steps) == len(curve.validation) == len(curve.training)
    assert curve.validation[0] > min(curve.validation)
    if family != "quantiles":  # whose library computes its loss in another scale
        assert min(curve.validation) == pytest.approx(case.search.best_trial.loss, rel=0.01)


@pytest.mark.parametrize("family", ["random_forest", "extra_trees"])
def test_the_curve_of_a_forest_ends_at_its_error(
    family: str, searched: Callable[[str], Searched]
) -> None:
    case = searched(family)
    curve = case.insight.curve
    assert curve is not None

    assert curve.unit == "trees"
    assert curve.steps == tuple(range(1, 7))
    actual = case.validation[TARGET].to_numpy()
    final = regression_metrics(actual, case.model.predict_point(case.validation))
    assert curve.validation[-1] == pytest.approx(final.rmse, abs=1e-6)
    assert curve.validation[0] > curve.validation[-1]


def test_slices_of_each_dimension_hold_all_trips(searched: Callable[[str], Searched]) -> None:
    case = searched("lasso")

    rows: dict[str, int] = {}
    for part in case.insight.slices:
        rows[part.dimension] = rows.get(part.dimension, 0) + part.rows
        assert part.rmse >= abs(part.bias) - 1e-9  # mean² + spread² = RMSE²
    assert set(rows.values()) == {len(case.validation)}


def test_insight_survives_the_record(searched: Callable[[str], Searched]) -> None:
    insight = searched("squared_error").insight

    assert Insight.model_validate_json(insight.model_dump_json()) == insight
    assert len(insight.model_dump_json()) < 20_000
    assert [trial.number for trial in insight.trials] == [0, 1]
