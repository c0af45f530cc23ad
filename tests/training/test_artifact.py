"""The artifact: raw requests in, minutes and honest bounds out, the same after saving."""

from __future__ import annotations

import pickle
import pickletools
import subprocess
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.answers import ANSWER
from mlops.datasets.taxi.features.encoding import FEATURES, FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS, TARGET
from mlops.errors import ConfigurationError, DataQualityError, MlopsError
from mlops.settings import FeatureSettings
from mlops.training import artifact
from mlops.training.artifact import TabularModel
from mlops.training.families import FAMILIES, OBJECTIVES
from mlops.training.stored_classes import FORMER_FORMAT

SMALL = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "hist_gradient_boosting": {"rounds": 10},
    "squared_error": {"rounds": 20},
    "absolute_error": {"rounds": 10},
    "quantiles": {"rounds": 20},
}


def fitted(family: str, problem: object, **params: object) -> TabularModel:
    return TabularModel.fit(
        family,
        {**SMALL.get(family, {}), **params},
        problem.train,
        FeatureEncoder(problem.statistics),
        TARGET,
        seed=1,
        threads=1,
    )


@pytest.fixture(scope="module")
def model(problem: object) -> TabularModel:
    return fitted("squared_error", problem)


@pytest.fixture(scope="module")
def requests(problem: object) -> pd.DataFrame:
    return problem.validation[list(REQUEST_COLUMNS)]


@pytest.mark.parametrize("family", [*FAMILIES, *OBJECTIVES])
def test_saved_and_loaded_predicts_to_the_bit(
    family: str, problem: object, requests: pd.DataFrame, tmp_path: Path
) -> None:
    model = fitted(family, problem)
    model = model.with_residual_interval(model, problem.validation)

    model.save(tmp_path / "model")
    loaded = TabularModel.load(tmp_path / "model", threads=1)

    pd.testing.assert_frame_equal(
        loaded.predict(requests), model.predict(requests), check_exact=True
    )
    assert loaded.threads == 1
    assert dict(loaded.params) == dict(model.params)


@pytest.mark.parametrize("interval", ["residual", "quantile"])
def test_bounds_enclose_the_prediction_and_stay_in_what_was_taught(
    interval: str, model: TabularModel, problem: object, requests: pd.DataFrame
) -> None:
    if interval == "residual":
        model = model.with_residual_interval(model, problem.validation)
    else:
        quantiles = fitted("quantiles", problem)
        quantiles = quantiles.with_own_quantiles(problem.train, PICKUP_AT, seed=1, threads=1)
        model = model.with_interval_of(quantiles)

    found = model.predict(requests)

    assert tuple(found) == ANSWER
    assert (found["lower_minutes"] <= found["prediction_minutes"]).all()
    assert (found["prediction_minutes"] <= found["upper_minutes"]).all()
    assert found.to_numpy().min() >= model.shortest
    assert found.to_numpy().max() <= model.longest
    actual = problem.validation["duration_minutes"]
    covered = (found["lower_minutes"] <= actual) & (actual <= found["upper_minutes"])
    # Errors were calibrated on these very trips, quantiles on others: within 3 standard errors.
    low, high = (0.79, 0.86) if interval == "residual" else (0.76, 0.84)
    assert low < covered.mean() < high


def test_bounds_are_unknown_before_calibration(model: TabularModel, requests: pd.DataFrame) -> None:
    found = model.predict(requests)

    assert found[["lower_minutes", "upper_minutes"]].isna().all(axis=None)
    np.testing.assert_array_equal(found["prediction_minutes"], model.predict_point(requests))


def test_blocks_and_threads_change_nothing(
    model: TabularModel, requests: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.predict(requests)

    monkeypatch.setattr(artifact, "_BLOCK_ROWS", 64)
    in_blocks = replace(model, threads=3).predict(requests)

    pd.testing.assert_frame_equal(in_blocks, whole, check_exact=True)


def test_index_of_the_requests_is_kept(model: TabularModel, requests: pd.DataFrame) -> None:
    some = requests.iloc[[5, 3]]

    assert model.predict(some).index.tolist() == some.index.tolist()
    assert model.predict(requests[:0]).shape == (0, 3)


def test_a_better_model_than_the_mean(model: TabularModel, problem: object) -> None:
    actual = problem.validation["duration_minutes"].to_numpy()
    error = model.predict_point(problem.validation) - actual

    assert np.sqrt(np.mean(error**2)) < 0.7 * actual.std()


def test_serving_does_not_read_history_columns(
    model: TabularModel, problem: object, requests: pd.DataFrame
) -> None:
    # given validation trips that carry what was known on their own day
    np.testing.assert_array_equal(
        model.predict_point(problem.validation), model.predict_point(requests)
    )


def test_quantiles_of_other_statistics_are_refused(model: TabularModel, problem: object) -> None:
    other = RouteStatistics.of(
        problem.train, problem.statistics.as_of, FeatureSettings(route_smoothing=1)
    )
    stranger = TabularModel.fit(
        "quantiles", {"rounds": 2}, problem.train, FeatureEncoder(other), TARGET, seed=1, threads=1
    )

    with pytest.raises(ValueError, match="other histories"):
        model.with_interval_of(stranger)


def test_what_cannot_be_fitted_is_named(problem: object) -> None:
    with pytest.raises(ConfigurationError, match="prophet"):
        fitted("prophet", problem)
    with pytest.raises(ConfigurationError, match="alhpa"):
        fitted("lasso", problem, alhpa=1)
    with pytest.raises(DataQualityError, match="none"):
        TabularModel.fit(
            "lasso",
            {},
            problem.train[:0],
            FeatureEncoder(problem.statistics),
            TARGET,
            seed=1,
            threads=1,
        )


@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", pickle.dumps({"a": 1}), pickle.dumps(("other", 1))]
)
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "winner.model"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(MlopsError, match=r"winner\.model"):
        TabularModel.load(path)


def saved_formerly(model: TabularModel) -> bytes:
    """Return what the first version of the project wrote of a model."""
    former = copy(model)
    vars(former)["features"] = FEATURES
    del vars(former)["target"]
    with pytest.MonkeyPatch.context() as past:
        for kind in (FeatureEncoder, RouteStatistics):
            old = kind.__module__.replace("mlops.datasets.taxi.features.", "mlops.features.")
            past.setitem(sys.modules, old, sys.modules[kind.__module__])
            past.setattr(kind, "__module__", old)
        past.setattr(artifact, "TripDurationModel", TabularModel, raising=False)
        name, TabularModel.__qualname__ = TabularModel.__qualname__, "TripDurationModel"
        try:
            return pickle.dumps((FORMER_FORMAT, former), protocol=5)
        finally:
            TabularModel.__qualname__ = name


def test_a_model_that_was_saved_before_modules_moved_still_loads(
    model: TabularModel, requests: pd.DataFrame
) -> None:
    content = saved_formerly(model)
    assert {"mlops.features.encoding", "mlops.features.routes"} <= modules_of(content)
    assert b"TripDurationModel" in content

    loaded = TabularModel.loads(content, "a version")

    pd.testing.assert_frame_equal(loaded.predict(requests), model.predict(requests))
    assert loaded.target == TARGET


def test_a_former_model_that_learned_in_another_form_is_named(problem: object) -> None:
    content = saved_formerly(fitted("lasso", problem))

    with pytest.raises(MlopsError, match=r"version 3: .* the family lasso"):
        TabularModel.loads(content, "version 3")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stored_model_names_only_modules_that_stay_where_they_are(
    family: str, problem: object, tmp_path: Path
) -> None:
    fitted(family, problem).save(tmp_path / "model")

    # Whoever moves one of these names its old place in `mlops.training.stored_classes.MOVED`.
    assert modules_of((tmp_path / "model").read_bytes()) <= {
        *("mlops.datasets.taxi.features.encoding", "mlops.datasets.taxi.features.routes"),
        "mlops.datasets.dataset",
        *(f"mlops.training.{name}" for name in ("artifact", "estimators", "intervals")),
        *(f"mlops.training.{name}" for name in ("boosting", "linear", "trend")),
        "mlops.tabular_model/1",  # the format
    }


def modules_of(content: bytes) -> set[str]:
    """Return the texts in a pickle that name modules of this library."""
    texts = (argument for _, argument, _ in pickletools.genops(content))
    return {text for text in texts if isinstance(text, str) and text.startswith("mlops.")}


def test_a_failed_save_leaves_the_old_model(
    model: TabularModel, requests: pd.DataFrame, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    broken = replace(model, estimator=lambda: None)  # a lambda cannot be pickled

    with pytest.raises(Exception, match="pickle"):
        broken.save(tmp_path / "model")

    loaded = TabularModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_point(requests), model.predict_point(requests))
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_serving_needs_neither_search_nor_tracking_nor_mage(
    model: TabularModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    script = (
        "import sys; from pathlib import Path;"
        "from mlops.training.artifact import TabularModel;"
        "from mlops.registry.flavor import example;"
        f"TabularModel.load(Path({str(tmp_path / 'model')!r})).predict(example());"
        "print([m for m in ('hyperopt', 'mlflow', 'mage_ai') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
