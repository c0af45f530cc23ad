"""A search never ends worse than it began, loses no parameter, and survives a failing trial."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.trips import TARGET
from mlops.errors import ConfigurationError, MlopsError
from mlops.settings import TrainingSettings
from mlops.training import families
from mlops.training.artifact import TabularModel
from mlops.training.estimators import GlobalMean
from mlops.training.families import FAMILIES, OBJECTIVES, family_of
from mlops.training.family import Family
from mlops.training.spaces import Choice, Uniform
from mlops.training.tuning import SearchResult, Trial, tune

FAST = {"rounds": 15}


def search(
    family: str, problem: object, on_trial: object = None, **settings: object
) -> SearchResult:
    return tune(
        family,
        problem.train,
        problem.validation,
        FeatureEncoder(problem.statistics),
        TARGET,
        TrainingSettings(**{"max_evals": 4, "time_budget_seconds": 120, **settings}),
        threads=1,
        on_trial=on_trial,
    )


def fake(monkeypatch: pytest.MonkeyPatch, measure: object) -> None:
    """Make a family ``fake`` with one free and two constant hyperparameters."""

    class Fake(GlobalMean):
        def __init__(self, **params: object) -> None:
            self.params = params

        def predict(self, features: np.ndarray) -> np.ndarray:
            return np.full(len(features), measure(self.params))

    family = Family(
        "fake",
        "sklearn",
        lambda params, layout, seed, threads: Fake(**params),
        {"x": 5.0, "kind": "a", "constant": 7, "nothing": None},
        {"x": Uniform(0, 30), "kind": Choice("b", "a")},
    )
    monkeypatch.setattr(families, "FAMILIES", {**FAMILIES, "fake": family})


def test_defaults_come_first_and_the_best_wins(problem: object) -> None:
    result = search("lasso", problem)

    assert len(result.trials) == 4
    assert result.trials[0].params == dict(family_of("lasso").defaults)
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3]
    assert len({trial.params["alpha"] for trial in result.trials}) == 4
    assert result.best_trial.rmse == min(trial.rmse for trial in result.trials)
    assert result.best_params == result.best_trial.params


def test_constants_and_overrides_survive(problem: object) -> None:
    fixed = {"squared_error": {"rounds": 12, "subsample": 0.77}}

    result = search("squared_error", problem, overrides=fixed)

    for trial in result.trials:
        assert set(trial.params) == set(OBJECTIVES["squared_error"].defaults)
        assert (trial.params["rounds"], trial.params["subsample"]) == (12, 0.77)
        assert trial.params["max_bin"] == 256
        assert json.loads(json.dumps(trial.params)) == trial.params
    assert dict(result.model.params) == result.best_params


def test_rounds_found_are_part_of_the_best_and_repeat_its_score(problem: object) -> None:
    result = search("squared_error", problem, max_evals=2)

    predicted = result.model.predict_point(problem.validation)
    rmse = np.sqrt(np.mean((predicted - problem.validation["duration_minutes"]) ** 2))
    assert rmse == pytest.approx(result.best_trial.rmse, rel=1e-6)
    assert result.best_params["rounds"] <= OBJECTIVES["squared_error"].defaults["rounds"]
    assert 1 < len(result.learning_curve) == len(result.curve_rounds) <= 100
    assert min(result.learning_curve) >= result.best_trial.rmse - 1e-6
    assert len(result.training_curve) == len(result.learning_curve)


@pytest.mark.parametrize("family", ["squared_error", "extra_trees", "linear_svr"])
def test_the_same_seed_finds_the_same(family: str, problem: object) -> None:
    small = {"squared_error": {"rounds": 10}, "extra_trees": {"n_estimators": 3}}

    first, second = (search(family, problem, overrides=small, max_evals=3) for _ in range(2))

    assert [t.params for t in first.trials] == [t.params for t in second.trials]
    assert [t.rmse for t in first.trials] == [t.rmse for t in second.trials]
    np.testing.assert_array_equal(
        first.model.predict_point(problem.validation),
        second.model.predict_point(problem.validation),
    )


def test_another_seed_searches_elsewhere(problem: object) -> None:
    first, second = (search("lasso", problem, seed=seed, max_evals=2) for seed in (1, 2))

    assert first.trials[1].params != second.trials[1].params


def test_validation_is_encoded_as_when_served(problem: object) -> None:
    # given validation trips without the history of their own day
    bare = replace(problem, validation=problem.validation.drop(columns="route_minutes"))

    assert search("lasso", bare, max_evals=1).best_trial.rmse == (
        search("lasso", problem, max_evals=1).best_trial.rmse
    )


def test_a_failing_trial_costs_only_itself(
    problem: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Trial] = []

    def measure(params: dict[str, object]) -> float:
        if not seen:
            raise RuntimeError("the first one breaks")
        return float("nan") if len(seen) == 1 else params["x"]

    fake(monkeypatch, measure)
    result = search("fake", problem, seen.append, max_evals=5)

    assert [trial.status for trial in result.trials] == ["failed", "failed", "ok", "ok", "ok"]
    assert "the first one breaks" in result.trials[0].error
    assert result.trials[0].rmse is None
    assert seen == list(result.trials)
    assert isinstance(result.model, TabularModel)


def test_when_every_trial_fails_the_cause_is_told(
    problem: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(params: dict[str, object]) -> float:
        raise RuntimeError("out of luck")

    fake(monkeypatch, measure)

    with pytest.raises(MlopsError, match=r"fake: none of 3 trials succeeded.*out of luck"):
        search("fake", problem, max_evals=3)


def test_the_search_stops_when_trials_bring_nothing(
    problem: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, lambda params: 10.0)

    result = search("fake", problem, max_evals=30, no_progress_trials=3)

    assert len(result.trials) == 4
    assert result.best_trial.number == 0


def test_choices_and_constants_come_back_as_values(
    problem: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, lambda params: params["x"])

    result = search("fake", problem, max_evals=12)

    assert result.trials[0].params == {"x": 5.0, "kind": "a", "constant": 7, "nothing": None}
    assert {trial.params["kind"] for trial in result.trials} == {"a", "b"}
    assert result.best_trial.rmse < result.trials[0].rmse  # the mean is far from 5 minutes


def test_the_time_budget_ends_the_search(problem: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    fake(monkeypatch, lambda params: time.sleep(0.3) or params["x"])

    assert 1 <= len(search("fake", problem, max_evals=50, time_budget_seconds=1).trials) < 10


def test_nothing_to_search_is_one_trial(problem: object) -> None:
    assert len(search("global_mean", problem).trials) == 1
    assert len(search("lasso", problem, overrides={"lasso": {"alpha": 0.1}}).trials) == 1


@pytest.mark.parametrize(
    ("overrides", "named"),
    [({"prophet": {}}, "prophet"), ({"lasso": {"alhpa": 1}}, r"lasso\.alhpa")],
)
def test_an_override_of_nothing_is_refused(
    problem: object, overrides: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        search("global_mean", problem, overrides=overrides)
