"""What a person expects of any model of trip durations, whatever its score.

After Ribeiro et al., "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020:
invariance, directional expectation, minimum functionality.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET
from mlops.settings import FeatureSettings
from mlops.training.artifact import TabularModel
from mlops.training.families import FAMILIES, OBJECTIVES

LEARNERS = [name for name, family in {**FAMILIES, **OBJECTIVES}.items() if not family.baseline]
FEATURES = FeatureSettings()


def annotated(trips: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([trips, RouteHistory(FEATURES).annotate(trips)], axis=1)


def fit(family: str, trips: pd.DataFrame, end: datetime, **params: object) -> TabularModel:
    statistics = RouteStatistics.of(trips, end, FEATURES)
    return TabularModel.fit(
        family, params, annotated(trips), FeatureEncoder(statistics), TARGET, seed=3, threads=1
    )


@pytest.fixture(scope="module")
def synthetic(sample_history: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return sample_history("2023-12", "2024-01", rows=5_000)


@pytest.fixture(scope="module")
def real(real_data: Path) -> pd.DataFrame:
    trips = read_trips(real_data / "green" / "green_tripdata_2024-01.parquet", "green")
    trips["duration_minutes"] = (trips["dropoff_at"] - trips["pickup_at"]) / pd.Timedelta(minutes=1)
    kept = trips["duration_minutes"].between(1, 60) & (trips["pickup_at"] >= "2024-01-01")
    return trips[kept].sort_values("pickup_at", ignore_index=True)


@pytest.fixture(
    scope="module",
    params=["synthetic", pytest.param("real", marks=pytest.mark.real_data)],
)
def trips(request: pytest.FixtureRequest) -> pd.DataFrame:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=["squared_error", "linear_svr", "extra_trees"])
def model(request: pytest.FixtureRequest, trips: pd.DataFrame) -> TabularModel:
    small = {"extra_trees": {"n_estimators": 15}, "squared_error": {"rounds": 60}}
    return fit(request.param, trips, datetime(2024, 2, 1), **small.get(request.param, {}))


@pytest.fixture(scope="module")
def requests(trips: pd.DataFrame) -> pd.DataFrame:
    """Ordinary trips of the last week: a plausible distance between two different zones."""
    last = trips[trips["pickup_at"] >= "2024-01-25"]
    ordinary = last["trip_distance"].between(1, 8) & (last["pickup_zone"] != last["dropoff_zone"])
    return last.loc[ordinary, list(REQUEST_COLUMNS)].head(2_000)


def test_invariance_to_the_vendor(model: TabularModel, requests: pd.DataFrame) -> None:
    predictions = [
        model.predict_point(requests.assign(vendor_id=vendor)) for vendor in (1.0, 2.0, np.nan)
    ]

    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(predictions[0], predictions[2])


def test_a_longer_distance_does_not_take_less(model: TabularModel, requests: pd.DataFrame) -> None:
    shorter = model.predict_point(requests)
    longer = model.predict_point(requests.assign(trip_distance=requests["trip_distance"] * 1.5))

    assert np.median(longer - shorter) > 0
    assert (longer >= shorter).mean() > 0.8


def test_rush_hour_is_not_faster_than_night(model: TabularModel, requests: pd.DataFrame) -> None:
    # given the same trips on a Wednesday, at three in the morning and at half past five
    night, rush = (
        model.predict_point(requests.assign(pickup_at=pd.Timestamp(f"2024-01-31 {time}")))
        for time in ("03:00", "17:30")
    )

    assert np.median(rush - night) > 0


def test_an_unknown_distance_is_guessed_from_the_route(
    model: TabularModel, requests: pd.DataFrame
) -> None:
    given = model.predict_point(requests)
    guessed = model.predict_point(requests.assign(trip_distance=0.0))

    assert np.corrcoef(given, guessed)[0, 1] > 0.5
    assert abs(np.median(guessed - given)) < 4


def test_a_rare_route_gets_a_sensible_answer(model: TabularModel) -> None:
    # given zones that no trip connects, and a distance of five miles
    request = pd.DataFrame(
        {
            "pickup_at": [pd.Timestamp("2024-02-01 12:00")] * 2,
            "pickup_zone": [2, 99],
            "dropoff_zone": [110, 105],
            "trip_distance": [5.0, 5.0],
        }
    )

    assert ((model.predict_point(request) > 5) & (model.predict_point(request) < 60)).all()


@pytest.mark.parametrize("family", LEARNERS)
def test_the_same_seed_gives_the_same_model(family: str, synthetic: pd.DataFrame) -> None:
    some = synthetic.head(1_500)
    small = {"rounds": 8, "n_estimators": 4}
    params = {k: v for k, v in small.items() if k in {**FAMILIES, **OBJECTIVES}[family].defaults}

    first, second = (fit(family, some, datetime(2024, 2, 1), **params) for _ in range(2))

    np.testing.assert_array_equal(first.predict_point(some), second.predict_point(some))


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("squared_error", {"min_child_weight": 0.0, "reg_lambda": 0.0, "subsample": 1.0}),
        ("hist_gradient_boosting", {"min_samples_leaf": 1, "l2_regularization": 0.0}),
        ("extra_trees", {"min_samples_leaf": 1, "max_features": 1.0}),
    ],
)
def test_a_model_that_may_overfits_a_tiny_set(
    family: str, params: dict[str, object], synthetic: pd.DataFrame
) -> None:
    tiny = annotated(synthetic.head(60))
    # given statistics under which the trips look in serving as they did in training
    statistics = RouteStatistics.of(tiny, datetime(2023, 12, 1), FEATURES)
    tiny = tiny.assign(**statistics.lookup(tiny))

    model = TabularModel.fit(
        family, params, tiny, FeatureEncoder(statistics), TARGET, seed=1, threads=1
    )

    error = model.predict_point(tiny) - tiny["duration_minutes"]
    assert np.sqrt(np.mean(error**2)) < 1.0
    assert tiny["duration_minutes"].std() > 5
