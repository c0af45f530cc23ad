"""A bundle on disk: the same model after loading, or a clear no."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.features.encoding import FEATURES, FeatureEncoder
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.golden import odd_requests
from mlops.datasets.taxi.trips import PICKUP_AT, TARGET
from mlops.errors import DataQualityError, MlopsError
from mlops.serving.model import compiled as module
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.settings import FeatureSettings
from mlops.training.artifact import TabularModel

AS_OF = datetime(2024, 2, 1)


@pytest.fixture(scope="module", params=["squared_error", "linear_regression"])
def model(
    request: pytest.FixtureRequest, sample_history: Callable[..., pd.DataFrame]
) -> CompiledModel:
    trips = sample_history("2024-01", rows=1_500)
    trips = pd.concat([trips, RouteHistory(FeatureSettings()).annotate(trips)], axis=1)
    statistics = RouteStatistics.of(trips, AS_OF, FeatureSettings())

    def fitted(family: str, **params: int) -> TabularModel:
        return TabularModel.fit(
            family, params, trips, FeatureEncoder(statistics), TARGET, seed=1, threads=1
        )

    quantiles = fitted("quantiles", rounds=4).with_own_quantiles(
        trips, PICKUP_AT, seed=1, threads=1
    )
    rounds = {"rounds": 8} if request.param == "squared_error" else {}
    trained = fitted(request.param, **rounds).with_interval_of(quantiles)
    return compile_model(trained, 12, {"run": "abc"})


@pytest.fixture
def bundle(model: CompiledModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "v12")
    return tmp_path / "v12"


def test_loaded_is_what_was_saved(model: CompiledModel, bundle: Path) -> None:
    loaded = CompiledModel.load(bundle)

    requests = odd_requests(AS_OF)
    np.testing.assert_array_equal(loaded.predict(requests), model.predict(requests))
    one = (datetime(2024, 3, 1, 8, 30), 74, 75, 2.5)
    assert loaded.predict_one(*one) == model.predict_one(*one)
    assert loaded.encoder.route_miles(74, 75) == model.encoder.route_miles(74, 75)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(
        loaded.explain(requests).contributions, model.explain(requests).contributions
    )
    assert (loaded.version, loaded.family, loaded.as_of) == (12, model.family, AS_OF)
    assert loaded.features == FEATURES
    assert loaded.head.info == {"run": "abc"}


def test_the_same_model_gives_the_same_bytes(
    model: CompiledModel, bundle: Path, tmp_path: Path
) -> None:
    CompiledModel.load(bundle).save(tmp_path / "again")

    heads = [json.loads((tmp_path / n / "bundle.json").read_text()) for n in ("v12", "again")]
    assert heads[0] == heads[1]


def test_a_bundle_holds_nothing_that_runs(bundle: Path) -> None:
    assert {path.suffix for path in bundle.iterdir()} <= {".json", ".npz", ".ubj"}
    for path in bundle.glob("*.npz"):
        with np.load(path, allow_pickle=False) as tables:
            assert all(table.dtype != object for table in tables.values())


@pytest.mark.parametrize("fault", ["cut", "gone", "flipped"])
@pytest.mark.parametrize("name", ["bundle.json", "routes.npz", "trees.ubj"])
def test_a_damaged_file_is_named(bundle: Path, name: str, fault: str) -> None:
    file = bundle / name
    content = bytearray(file.read_bytes())
    if fault == "gone":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[0] ^= 1
        file.write_bytes(content)

    with pytest.raises(MlopsError, match=rf"{bundle}.*{name}"):
        CompiledModel.load(bundle)


def changed_head(bundle: Path, change: Callable[[dict], None]) -> None:
    head = json.loads((bundle / "bundle.json").read_text())
    change(head)
    (bundle / "bundle.json").write_text(json.dumps(head))


@pytest.mark.parametrize("key", ["format", "features"])
def test_a_bundle_of_another_version_of_the_project_is_refused(bundle: Path, key: str) -> None:
    changed_head(bundle, lambda head: head.update({key: ["x"] if key == "features" else "other/2"}))

    with pytest.raises(MlopsError, match="another version of the project"):
        CompiledModel.load(bundle)


def test_a_bundle_that_answers_differently_is_refused(bundle: Path) -> None:
    changed_head(bundle, lambda head: head["bounds"].update(margin=head["bounds"]["margin"] + 1))

    with pytest.raises(MlopsError, match="golden answers are off by"):
        CompiledModel.load(bundle)


def test_a_failed_save_leaves_the_old_bundle(model: CompiledModel, bundle: Path) -> None:
    class Broken:
        def save(self, folder: Path) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace(model, kernel=Broken()).save(bundle)

    assert CompiledModel.load(bundle).version == 12
    assert [path.name for path in bundle.parent.iterdir()] == ["v12"]


def test_blocks_change_nothing(model: CompiledModel, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = odd_requests(AS_OF)
    whole = model.predict(requests)

    monkeypatch.setattr(module, "_BLOCK_ROWS", 7)

    arrays = {name: requests[name].to_numpy() for name in requests}
    np.testing.assert_allclose(model.predict(requests), whole, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.predict(arrays), whole, rtol=0, atol=1e-9)


def test_no_requests_and_too_few_columns(model: CompiledModel) -> None:
    requests = odd_requests(AS_OF)

    assert model.predict(requests[:0]).shape == (0, 3)
    assert model.explain(requests[:0]).contributions.shape == (0, len(FEATURES))
    with pytest.raises(DataQualityError, match="pickup_at"):
        model.predict(requests.drop(columns="pickup_at"))


def test_threads_do_not_mix_their_answers(model: CompiledModel) -> None:
    # given trips that are asked one by one and together from several threads at once
    requests = odd_requests(AS_OF)
    trips = [
        (row[0].to_pydatetime(), *(None if value != value else value for value in row[1:]))
        for row in requests.astype(object).itertuples(index=False)
    ]
    expected = [model.predict_one(*trip) for trip in trips]
    together = model.predict(requests)

    def ask(turn: int) -> bool:
        if turn % 4 == 0:
            return bool((model.predict(requests) == together).all())
        return model.predict_one(*trips[turn % len(trips)]) == expected[turn % len(trips)]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(800)))
