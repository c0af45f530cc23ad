"""Every family answers the same after compilation, and its contributions add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops.datasets.taxi.features.encoding import FEATURES, FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.golden import odd_requests
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS, TARGET, VENDOR
from mlops.errors import MlopsError
from mlops.serving.model.bundle import PARITY
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.serving.model.kernels import TreeKernel
from mlops.settings import FeatureSettings
from mlops.training.artifact import TabularModel
from mlops.training.families import FAMILIES, OBJECTIVES

PARAMS: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 6},
    "extra_trees": {"n_estimators": 6},
    "hist_gradient_boosting": {"rounds": 12},
    "squared_error": {"rounds": 15},
    "absolute_error": {"rounds": 10},
    "quantiles": {"rounds": 10},
    "lasso": {"tol": 0.1},
}
SERVED = [name for name in (*FAMILIES, *OBJECTIVES) if name != "group_median"]
BOUNDARY = datetime(2024, 1, 20)
NAMES = [name for name in REQUEST_COLUMNS if name != VENDOR]
# Contributions are sums of float32 numbers, of as many terms as there are leaves.
SUM_MINUTES = 1e-3


@dataclass(frozen=True)
class Pair:
    """A model as trained and as compiled."""

    trained: TabularModel
    compiled: CompiledModel


@pytest.fixture(scope="module")
def pair_of(sample_history: Callable[..., pd.DataFrame]) -> Callable[[str, str], Pair]:
    """Return a maker of models of a family, calibrated on trips they never saw."""
    trips = sample_history("2023-12", "2024-01", rows=2_000)
    trips = pd.concat([trips, RouteHistory(FeatureSettings()).annotate(trips)], axis=1)
    later = trips["pickup_at"] >= BOUNDARY
    train, validation = trips[~later], trips[later]
    statistics = RouteStatistics.of(trips, BOUNDARY, FeatureSettings())

    @cache
    def fitted(family: str) -> TabularModel:
        return TabularModel.fit(
            family,
            PARAMS.get(family, {}),
            train,
            FeatureEncoder(statistics),
            TARGET,
            seed=1,
            threads=1,
        )

    @cache
    def make(family: str, interval: str) -> Pair:
        model = fitted(family)
        if interval == "residuals":
            model = model.with_residual_interval(model, validation)
        elif interval == "quantiles":
            quantiles = fitted("quantiles").with_own_quantiles(train, PICKUP_AT, seed=1, threads=1)
            model = model.with_interval_of(quantiles)
        return Pair(model, compile_model(model, 7))

    return make


def assert_parity(pair: Pair, requests: pd.DataFrame) -> None:
    """Compare all three answers; bounds from errors only where no bin begins or ends."""
    expected = pair.trained.predict(requests).to_numpy()
    found = pair.compiled.predict(requests)
    edges = np.array([np.inf, *pair.compiled.head.bounds.edges])
    certain = (np.abs(expected[:, :1] - edges) > PARITY).all(axis=1)
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=0, atol=PARITY)
    np.testing.assert_allclose(found[certain], expected[certain], rtol=0, atol=PARITY)


codes = st.one_of(st.none(), st.integers(-1, 9).map(float))
request_rows = st.tuples(
    st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31)),
    st.integers(-1, 267),
    st.integers(-1, 267),
    st.one_of(st.none(), st.floats(-1, 130), st.sampled_from([0.0, 1e6])),
    codes,
    codes,
    codes,
)


@pytest.mark.parametrize("interval", ["residuals", "quantiles"])
@pytest.mark.parametrize("family", SERVED)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(request_rows, min_size=1, max_size=20))
def test_any_request_gets_the_answer_of_the_trained_model(
    family: str, interval: str, pair_of: Callable[[str, str], Pair], rows: list[tuple[Any, ...]]
) -> None:
    pair = pair_of(family, interval)
    requests = pd.DataFrame(rows, columns=NAMES).astype({n: REQUEST_COLUMNS[n] for n in NAMES})

    assert_parity(pair, requests)

    arrays = {name: requests[name].to_numpy() for name in NAMES}
    found = pair.compiled.predict(arrays)
    np.testing.assert_array_equal(found, pair.compiled.predict(requests))
    assert (found[:, 1] <= found[:, 0]).all()
    assert (found[:, 0] <= found[:, 2]).all()
    one = np.array([pair.compiled.predict_one(*row) for row in rows])
    np.testing.assert_allclose(one[:, 0], found[:, 0], rtol=0, atol=1e-9)
    if isinstance(pair.compiled.kernel, TreeKernel):
        np.testing.assert_array_equal(one, found)


@pytest.mark.parametrize("family", SERVED)
def test_contributions_and_base_add_up_to_the_unclipped_prediction(
    family: str, pair_of: Callable[[str, str], Pair]
) -> None:
    pair = pair_of(family, "quantiles")
    requests = odd_requests(BOUNDARY)

    found = pair.compiled.explain(requests)

    assert found.features == FEATURES
    assert found.contributions.shape == (len(requests), len(FEATURES))
    unclipped = replace(pair.trained, shortest=-np.inf, longest=np.inf)
    np.testing.assert_allclose(
        found.minutes, unclipped.predict_point(requests), rtol=0, atol=SUM_MINUTES
    )
    np.testing.assert_allclose(
        found.base + found.contributions.sum(axis=1), found.minutes, rtol=0, atol=1e-9
    )
    held = np.clip(found.minutes, pair.trained.shortest, pair.trained.longest)
    np.testing.assert_allclose(
        pair.compiled.predict(requests)[:, 0], held, rtol=0, atol=SUM_MINUTES
    )


def test_a_feature_that_changes_nothing_contributes_nothing(
    pair_of: Callable[[str, str], Pair],
) -> None:
    mean = pair_of("global_mean", "quantiles").compiled.explain(odd_requests(BOUNDARY))
    assert not mean.contributions.any()

    model = pair_of("squared_error", "quantiles").compiled
    one = odd_requests(BOUNDARY).iloc[[9]]
    longer = model.explain(one.assign(trip_distance=20.0)).contributions
    shorter = model.explain(one.assign(trip_distance=0.6)).contributions
    of_distance = [i for i, name in enumerate(FEATURES) if "mile" in name or "minutes_at" in name]
    assert longer[0, of_distance].sum() > shorter[0, of_distance].sum() + 5


def test_contributions_of_a_linear_model_compare_with_an_average_trip(
    pair_of: Callable[[str, str], Pair],
) -> None:
    # given the same trip at every hour of a week
    model = pair_of("linear_regression", "quantiles").compiled
    hours = pd.date_range("2024-03-04", periods=7 * 24, freq="h")
    trips = pd.concat([odd_requests(BOUNDARY).iloc[[9]]] * len(hours)).assign(pickup_at=hours)

    found = model.explain(trips)

    # then what clock and weekday contribute is zero on average
    for name in ("minute_of_day", "weekday"):
        column = found.contributions[:, FEATURES.index(name)]
        assert abs(column.mean()) < 1e-9
        assert column.std() > 0.01


def test_an_uncalibrated_model_says_that_its_bounds_are_unknown(
    pair_of: Callable[[str, str], Pair],
) -> None:
    compiled = pair_of("squared_error", "none").compiled

    assert np.isnan(compiled.predict(odd_requests(BOUNDARY))[:, 1:]).all()
    assert np.isnan(compiled.predict_one(BOUNDARY, 74, 75)[1:]).all()


def test_a_family_that_cannot_be_served_is_named(
    pair_of: Callable[[str, str], Pair],
) -> None:
    with pytest.raises(MlopsError, match="group_median"):
        pair_of("group_median", "none")


def test_a_compilation_that_answers_differently_is_refused(
    pair_of: Callable[[str, str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pair_of("squared_error", "none").trained
    kernel = pair_of("absolute_error", "none").compiled.kernel
    monkeypatch.setattr("mlops.serving.model.compilation._kernel", lambda _: kernel)

    with pytest.raises(MlopsError, match=r"version 8 .* golden requests"):
        compile_model(model, 8)


@pytest.mark.real_data
@pytest.mark.parametrize("family", ["squared_error", "hist_gradient_boosting", "random_forest"])
def test_a_real_month_gets_the_answers_of_the_trained_model(
    family: str, pair_of: Callable[[str, str], Pair], real_data: Path
) -> None:
    month = read_trips(real_data / "green" / "green_tripdata_2024-02.parquet", "green")

    assert_parity(pair_of(family, "quantiles"), month)
