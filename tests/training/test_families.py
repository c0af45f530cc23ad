"""Every family is complete, can be built from every point of its space, and is found by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mlops.datasets.dataset import training_matrix
from mlops.datasets.taxi.features.encoding import LAYOUT
from mlops.datasets.taxi.trips import TARGET
from mlops.errors import ConfigurationError
from mlops.settings import Settings
from mlops.training.families import FAMILIES, OBJECTIVES, family_of

ALL = {**FAMILIES, **OBJECTIVES}


def test_the_configuration_names_all_of_them() -> None:
    worked_case, other = (Settings(dataset=name).training for name in ("taxi", "flights"))

    for settings in (worked_case, other):
        assert set(settings.families) == set(FAMILIES)
    assert set(other.objectives) == set(OBJECTIVES)
    # A trend through time in one number of the request; trips have none.
    assert set(worked_case.objectives) == set(OBJECTIVES) - {"trend_and_trees"}


@pytest.mark.parametrize("name", ALL)
def test_defaults_are_json_scalars_and_cover_the_space(name: str) -> None:
    family = family_of(name)

    assert family.name == name
    assert set(family.space) <= set(family.defaults)
    assert json.loads(json.dumps(dict(family.defaults))) == dict(family.defaults)


@pytest.mark.parametrize("name", [n for n in ALL if ALL[n].space])
def test_defaults_and_samples_lie_in_the_space(name: str) -> None:
    from hyperopt.pyll.stochastic import sample

    family = family_of(name)
    space = {n: d.expression(n) for n, d in family.space.items()}
    for n, dimension in family.space.items():
        low = getattr(dimension, "low", None)
        if low is not None:
            assert low <= family.defaults[n] <= dimension.high, n
        dimension.point(family.defaults[n])  # a choice that is no option raises

    for seed in range(5):
        drawn = sample(space, rng=np.random.default_rng(seed))
        family.build(family.complete(drawn), LAYOUT, seed, 1)


@pytest.mark.parametrize("name", ALL)
def test_a_family_fits_and_predicts_minutes(name: str, problem: object) -> None:
    from mlops.datasets.taxi.features.encoding import FeatureEncoder

    features, minutes = training_matrix(
        FeatureEncoder(problem.statistics), problem.train[:400], TARGET
    )
    family = family_of(name)
    small = {
        key: value
        for key, value in {"rounds": 5, "n_estimators": 3}.items()
        if key in family.defaults
    }

    estimator = family.build(family.complete(small), LAYOUT, 0, 1)
    with threadpool_limits(1):
        estimator.fit(features, minutes)
    predicted = np.asarray(estimator.predict(features))

    assert predicted.shape == ((400, 3) if name == "quantiles" else (400,))
    assert np.isfinite(predicted).all()


def test_an_unknown_name_lists_what_exists() -> None:
    with pytest.raises(ConfigurationError, match="prophet") as caught:
        family_of("prophet")
    assert all(name in str(caught.value) for name in ALL)


def test_an_unknown_hyperparameter_lists_what_exists() -> None:
    with pytest.raises(ConfigurationError, match=r"lasso\.alhpa") as caught:
        family_of("lasso").complete({"alhpa": 1})
    assert "alpha" in str(caught.value)


def test_given_hyperparameters_win_over_defaults() -> None:
    assert family_of("lasso").complete({"alpha": 9})["alpha"] == 9
