"""The candidates: a family is a name, a builder, defaults and a search space.

A project adds others in ``extensions/families/``. Spaces stay where a fit takes seconds and serving
stays fast. Builders import what they need when they are called: a name is checked without loading
any library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlops import extensions
from mlops.errors import ConfigurationError
from mlops.training.family import Build, Family, Params
from mlops.training.spaces import Choice, Integer, LogUniform, Space, Uniform

if TYPE_CHECKING:
    from mlops.datasets.dataset import FeatureLayout
    from mlops.training.estimators import Estimator

QUANTILES: Final = (0.1, 0.5, 0.9)
QUANTILES_FAMILY: Final = "quantiles"  # gives the others their prediction interval


def _global_mean(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from mlops.training.estimators import GlobalMean

    return GlobalMean()


def _group_median(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from mlops.training.estimators import GroupMedian

    return GroupMedian(layout, **params)


def _linear_regression(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from sklearn.linear_model import LinearRegression

    return _on_linear_encoding(layout, LinearRegression(**params))


def _lasso(params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int) -> Estimator:
    from sklearn.linear_model import Lasso

    return _on_linear_encoding(layout, Lasso(random_state=seed, **params))


def _linear_svr(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from sklearn.svm import LinearSVR

    return _on_linear_encoding(layout, LinearSVR(random_state=seed, **params))


def _on_linear_encoding(layout: FeatureLayout, model: Any) -> Estimator:
    from sklearn.pipeline import make_pipeline

    from mlops.training.linear import LinearEncoding

    return make_pipeline(LinearEncoding(layout), model)  # type: ignore[no-any-return]


def _random_forest(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(  # type: ignore[no-any-return]
        bootstrap=True, random_state=seed, n_jobs=threads, **params
    )


def _extra_trees(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(  # type: ignore[no-any-return]
        random_state=seed, n_jobs=threads, **params
    )


def _hist_gradient_boosting(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from mlops.training.boosting import HistogramTrees

    return HistogramTrees(seed=seed, **params)


def _boosted(objective: str, **constants: Any) -> Build:
    def build(
        params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
    ) -> Estimator:
        from mlops.training.boosting import BoostedTrees

        return BoostedTrees(objective, threads=threads, seed=seed, **constants, **params)

    return build


def _trend_and_trees(
    params: Mapping[str, Any], layout: FeatureLayout, seed: int, threads: int
) -> Estimator:
    from mlops.training.trend import TrendAndTrees

    return TrendAndTrees(threads=threads, seed=seed, **params)


_TREES_DEFAULTS: Final[Params] = {
    "n_estimators": 30,
    "min_samples_leaf": 6,
    "max_features": 0.4,
    "max_leaf_nodes": 4_000,  # bounds the artifact: about 0.6 MB per tree
}

# Rounds and depth are what a prediction costs; with its interval, half a million rows per second
# on two cores is the aim. Four times the rounds would gain 0.06 minutes of RMSE.
_BOOSTED_DEFAULTS: Final[Params] = {
    "rounds": 100,  # at most: the search stops early and keeps the best
    "learning_rate": 0.16,
    "max_depth": 8,
    "min_child_weight": 20.0,
    "subsample": 0.9,
    "colsample_bytree": 0.8,
    "reg_lambda": 10.0,
    "max_bin": 256,
}
_BOOSTED_SPACE: Final[Space] = {
    "learning_rate": LogUniform(0.1, 0.22),
    "max_depth": Integer(7, 8),
    "min_child_weight": LogUniform(5, 60),
    "subsample": Uniform(0.7, 1.0),
    "colsample_bytree": Uniform(0.5, 1.0),
    "reg_lambda": LogUniform(1, 50),
}

FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family("global_mean", "baseline", _global_mean),
        Family("group_median", "baseline", _group_median, {"min_rows": 3}),
        Family("linear_regression", "sklearn", _linear_regression, {"tol": 1e-4}, cost=0.5),
        Family(
            "lasso",
            "sklearn",
            _lasso,
            {"alpha": 0.005, "max_iter": 2_000, "tol": 1e-2},
            {"alpha": LogUniform(0.003, 0.1)},
            cost=2,
        ),
        Family(
            "linear_svr",
            "sklearn",
            _linear_svr,
            {
                "C": 0.01,
                "epsilon": 0.0,
                # Solved in the primal, which is both fast and exact for this loss.
                "loss": "squared_epsilon_insensitive",
                "dual": False,
                "max_iter": 200,
            },
            {"C": LogUniform(0.0003, 1), "epsilon": Uniform(0, 2)},
            cost=0.5,
        ),
        Family(
            "random_forest",
            "sklearn",
            _random_forest,
            {**_TREES_DEFAULTS, "max_samples": 0.4},
            {
                "min_samples_leaf": Integer(4, 20),
                "max_features": Uniform(0.2, 0.6),
                "max_samples": Uniform(0.3, 0.7),
            },
            cost=12,
        ),
        Family(
            "extra_trees",
            "sklearn",
            _extra_trees,
            {**_TREES_DEFAULTS, "max_features": 0.7},
            {"min_samples_leaf": Integer(3, 15), "max_features": Uniform(0.3, 0.9)},
            cost=8,
        ),
        Family(
            "hist_gradient_boosting",
            "sklearn",
            _hist_gradient_boosting,
            {
                # Its trees cost three times what XGBoost's do to serve: fewer and smaller ones.
                "rounds": 50,
                "learning_rate": 0.25,
                "max_leaf_nodes": 40,
                "min_samples_leaf": 20,
                "l2_regularization": 1.0,
                "max_features": 0.6,
                "max_bins": 255,
            },
            {
                "learning_rate": LogUniform(0.15, 0.4),
                "max_leaf_nodes": Integer(20, 48),
                "min_samples_leaf": Integer(10, 60),
                "l2_regularization": LogUniform(0.1, 30),
                "max_features": Choice(0.4, 0.6, 0.8, 1.0),
            },
            cost=5,
        ),
    )
}

OBJECTIVES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family(
            "squared_error",
            "xgboost",
            _boosted("reg:squarederror"),
            _BOOSTED_DEFAULTS,
            _BOOSTED_SPACE,
            cost=2,
        ),
        Family(
            "absolute_error",
            "xgboost",
            _boosted("reg:absoluteerror"),
            _BOOSTED_DEFAULTS,
            _BOOSTED_SPACE,
            cost=2,
        ),
        Family(
            QUANTILES_FAMILY,
            "xgboost",
            _boosted("reg:quantileerror", quantile_alpha=list(QUANTILES)),
            # Three trees a round, and a bound needs less detail than the centre: serve it fast.
            {**_BOOSTED_DEFAULTS, "rounds": 40, "learning_rate": 0.3, "max_depth": 5},
            {
                **_BOOSTED_SPACE,
                "learning_rate": LogUniform(0.2, 0.5),
                "max_depth": Integer(4, 5),
            },
            cost=3,
        ),
        Family(
            "trend_and_trees",
            "xgboost",
            _trend_and_trees,
            {
                "rounds": 600,  # at most: the search stops early and keeps the best
                "learning_rate": 0.05,
                "max_depth": 5,
                "min_child_weight": 100.0,
                "subsample": 0.7,
                "colsample_bytree": 0.5,
                "reg_lambda": 30.0,
                "max_bin": 64,
            },
            {
                "learning_rate": LogUniform(0.02, 0.2),
                "max_depth": Integer(3, 8),
                "min_child_weight": LogUniform(5, 300),
                "colsample_bytree": Uniform(0.3, 1.0),
                "reg_lambda": LogUniform(1, 100),
            },
            cost=3,
        ),
    )
}


def families() -> Mapping[str, Family]:
    """Return every family by its name: those of the library, then those that the project adds.

    Raises:
        ConfigurationError: If an added one cannot be loaded, or has a name that is taken.
    """
    known = dict(FAMILIES)
    for family in extensions.added("families", Family):
        if family.name in known or family.name in OBJECTIVES:
            raise ConfigurationError(
                f"extensions/families: {family.name}: another family has this name",
                "give the family a name of its own",
            )
        known[family.name] = family
    return known


def family_of(name: str) -> Family:
    """Return a family or objective by its name.

    Raises:
        ConfigurationError: If there is none of this name, listing those that exist.
    """
    found = FAMILIES.get(name) or OBJECTIVES.get(name) or families().get(name)
    if found is None:
        raise ConfigurationError(
            f"{name}: there is no such family or objective",
            f"families: {', '.join(families())}; objectives: {', '.join(OBJECTIVES)}",
        )
    return found
