"""The stored model is one that MLflow's own tools can check and serve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.datasets.taxi.trips import REQUEST_COLUMNS
from mlops.registry import flavor
from mlops.registry.connection import load_mlflow
from mlops.registry.flavor import artifact_bytes, example, signature, write_model
from mlops.training.artifact import TabularModel
from tests.serving.tables import table_model


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what MLflow writes beside a model out of the checkout."""
    load_mlflow()
    uri = (tmp_path / "tracking").as_uri()
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", uri)


@pytest.fixture
def folder(tmp_path: Path, constant_model: Any) -> Path:
    load_mlflow()
    write_model(constant_model(7.5), tmp_path / "model", {"numpy": "1.26.4"})
    return tmp_path / "model"


def test_the_native_model_comes_back(folder: Path, constant_model: Any) -> None:
    assert flavor.unpickled(artifact_bytes(folder), "a test") == constant_model(7.5)


def test_mlflow_can_serve_it_with_its_own_checks(folder: Path) -> None:
    import mlflow.pyfunc

    served = mlflow.pyfunc.load_model(str(folder))

    assert served.predict(example())["prediction_minutes"].tolist() == [7.5]
    # A request may leave out what it does not know …
    short = example()[["pickup_at", "pickup_zone", "dropoff_zone"]]
    assert served.predict(short)["upper_minutes"].tolist() == [8.5]
    # … but not where and when it starts
    with pytest.raises(Exception, match="pickup_zone"):
        served.predict(example().drop(columns="pickup_zone"))


def test_the_signature_and_the_example_are_those_of_a_request(folder: Path) -> None:
    import mlflow.models

    info = mlflow.models.get_model_info(str(folder))

    assert info.signature == signature()
    assert info.signature.inputs.input_names() == list(REQUEST_COLUMNS)
    assert example().dtypes.astype(str).to_dict() == REQUEST_COLUMNS
    assert "numpy==1.26.4" in (folder / "requirements.txt").read_text()
    assert info.metadata["mlops_version"]


def test_a_declared_dataset_has_its_own_signature_and_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pyfunc

    model = table_model()
    monkeypatch.setattr(flavor, "unpickled", TabularModel.loads)
    load_mlflow()
    write_model(model, tmp_path / "model", {"numpy": "1.26.4"})

    served = mlflow.pyfunc.load_model(str(tmp_path / "model"))

    inputs = served.metadata.signature.inputs
    columns = model.encoder.definition.request_columns  # type: ignore[attr-defined]
    assert inputs.input_names() == list(columns)
    assert set(inputs.required_input_names()) == {"ordered_at", "quoted", "city"}
    request = example(model.encoder)
    expected = model.predict(request)
    pd.testing.assert_frame_equal(served.predict(request), expected)
    short = request[["ordered_at", "quoted", "city"]]
    assert served.predict(short)["prediction_minutes"].notna().all()
    with pytest.raises(Exception, match="quoted"):
        served.predict(request.drop(columns="quoted"))
