"""Baselines answer with means and medians of what they saw."""

from __future__ import annotations

import numpy as np

from mlops.datasets.taxi.features.encoding import COLUMN, FEATURES, LAYOUT
from mlops.training.estimators import GlobalMean, GroupMedian


def rows(*routes: tuple[int, int]) -> np.ndarray:
    matrix = np.zeros((len(routes), len(FEATURES)), dtype=np.float32)
    matrix[:, [COLUMN["pickup_zone"], COLUMN["dropoff_zone"]]] = routes
    return matrix


def test_global_mean() -> None:
    model = GlobalMean().fit(rows((1, 2), (3, 4)), np.array([10.0, 20.0]))

    assert model.predict(rows((9, 9), (1, 2))).tolist() == [15, 15]


def test_median_of_the_route_of_its_pickup_zone_of_the_city() -> None:
    seen = rows((1, 2), (1, 2), (1, 2), (1, 3), (5, 6))
    minutes = np.array([10.0, 11.0, 60.0, 30.0, 4.0])

    model = GroupMedian(LAYOUT, min_rows=3).fit(seen, minutes)

    asked = rows((1, 2), (1, 3), (5, 6))
    assert model.predict(asked).tolist() == [11, 20.5, 11]


def test_a_route_is_not_its_way_back() -> None:
    model = GroupMedian(LAYOUT, min_rows=1).fit(rows((1, 2), (2, 1)), np.array([5.0, 50.0]))

    assert model.predict(rows((2, 1), (1, 2))).tolist() == [50, 5]
