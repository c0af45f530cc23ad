"""The trend takes what is linear and continues it; the trees take the rest."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from mlops.datasets.dataset import FeatureLayout
from mlops.training.families import OBJECTIVES
from mlops.training.trend import LinearTrend, TrendAndTrees

ROWS = 3_000


def table(seed: int = 0) -> tuple[Any, Any]:
    """Return features (a trend, a step, noise, one that is always missing) and a target."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(ROWS, 4)).astype(np.float32)
    features[:, 0] *= 50
    features[:, 3] = np.nan
    target = 3 * features[:, 0] + 10 * (features[:, 1] > 1) + rng.normal(size=ROWS)
    return features, target.astype(np.float64)


def rmse(predicted: Any, target: Any) -> float:
    return float(np.sqrt(np.mean((predicted - target) ** 2)))


def model(**params: Any) -> TrendAndTrees:
    family = OBJECTIVES["trend_and_trees"]
    complete = family.complete({"rounds": 120, "min_child_weight": 20.0, **params})
    return family.build(complete, FeatureLayout(()), 1, 1)  # type: ignore[return-value]


def test_the_trend_continues_where_no_row_has_been() -> None:
    features, target = table()
    far = np.array([[1_000, 0, 0, np.nan]], dtype=np.float32)

    predicted = model().fit(features, target).predict(far)

    assert predicted == pytest.approx([3_000], abs=15)


def test_the_trees_add_what_is_not_linear() -> None:
    features, target = table()
    later, actual = table(seed=1)

    trend = LinearTrend().fit(features, target)
    both = model().fit(features, target)

    assert rmse(trend.predict(later), actual) > 2
    assert rmse(both.predict(later), actual) < 1.3


def test_a_feature_that_does_not_help_on_unseen_rows_is_left_out() -> None:
    # Given a feature that is a different number in each block, as a day's number is
    features, target = table()
    features[:, 2] = np.repeat(np.arange(6), ROWS // 6)
    target = target + np.repeat([0, 9, 2, 7, 1, 8], ROWS // 6)

    chosen = LinearTrend().fit(features, target).chosen_

    assert chosen[0] == 0
    assert 2 not in chosen and 3 not in chosen


def test_missing_values_count_as_the_mean() -> None:
    features, target = table()
    trend = LinearTrend().fit(features, target)
    missing = np.full((1, 4), np.nan, dtype=np.float32)

    average = np.where(np.isnan(trend.means_), 0, trend.means_)[None].astype(np.float32)

    np.testing.assert_allclose(trend.predict(missing), trend.predict(average), rtol=1e-4)


def test_held_out_rows_stop_the_trees() -> None:
    features, target = table()
    later = table(seed=1)

    fitted = model(rounds=300).fit(features, target, later)

    assert 0 < fitted.rounds < 300
    assert pickle.loads(pickle.dumps(fitted)).predict(later[0]).tolist() == pytest.approx(
        fitted.predict(later[0]).tolist()
    )


def test_few_rows_and_a_target_that_never_changes() -> None:
    features, target = table()

    assert np.isfinite(LinearTrend().fit(features[:3], target[:3]).predict(features[:9])).all()
    constant = LinearTrend().fit(features[:50], np.full(50, 7.0))
    np.testing.assert_allclose(constant.predict(features), 7.0)
