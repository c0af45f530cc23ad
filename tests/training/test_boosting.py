"""Boosted trees keep the rounds that later trips justify."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mlops.training.boosting import BoostedTrees, HistogramTrees


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def noisy(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, 5)).astype(np.float32)
    return features, 10 + 3 * features[:, 0] + random.normal(0, 3, rows)


def xgboost(rounds: int) -> BoostedTrees:
    return BoostedTrees("reg:squarederror", rounds, threads=1, seed=0, max_bin=64)


def sklearn(rounds: int) -> HistogramTrees:
    return HistogramTrees(rounds, seed=0)


@pytest.mark.parametrize("make", [xgboost, sklearn])
def test_rounds_stop_where_held_out_trips_gain_no_more(make: object) -> None:
    # given far more rounds than the noise justifies
    model = make(200).fit(*noisy(500, 1), noisy(500, 2))

    curve = model.curves_["validation"]
    assert model.rounds == int(np.argmin(curve)) + 1 < 100
    rmse = np.sqrt(np.mean((model.predict(noisy(500, 2)[0]) - noisy(500, 2)[1]) ** 2))
    assert rmse == pytest.approx(min(curve), rel=1e-5)
    assert model.curves_["train"][-1] < model.curves_["train"][0]


@pytest.mark.parametrize("make", [xgboost, sklearn])
def test_rounds_found_give_the_same_model_again(make: object) -> None:
    searched = make(200).fit(*noisy(500, 1), noisy(500, 2))

    again = make(searched.rounds).fit(*noisy(500, 1))

    np.testing.assert_array_equal(again.predict(noisy(50, 3)[0]), searched.predict(noisy(50, 3)[0]))


def test_quantiles_are_ordered_on_the_whole() -> None:
    model = BoostedTrees(
        "reg:quantileerror", 40, threads=1, seed=0, max_depth=3, quantile_alpha=[0.1, 0.5, 0.9]
    ).fit(*noisy(2_000, 1), noisy(500, 2))

    low, middle, high = model.predict(noisy(2_000, 3)[0]).T

    assert (low <= middle).mean() > 0.95 and (middle <= high).mean() > 0.95
    assert 0.7 < ((low <= noisy(2_000, 3)[1]) & (noisy(2_000, 3)[1] <= high)).mean() < 0.9
