"""A model of any declared dataset is compiled, stored without code, and answers the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlops.datasets.definition import DatasetDefinition
from mlops.errors import MlopsError
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.serving.model.encoders import TABLE_FILE, served
from tests.datasets.declared.deliveries import deliveries
from tests.serving.tables import AS_OF, TIMELESS, delivered, served_table, table_model


@pytest.fixture(params=["with histories", "without a time"])
def model(request: pytest.FixtureRequest) -> CompiledModel:
    timeless = request.param == "without a time"
    return compile_model(table_model(timeless=timeless), 3, {"run_id": "a"})


def test_together_and_one_by_one_answer_as_the_trained_model() -> None:
    trained, compiled = table_model(), served_table()
    rows = delivered(60)

    expected = trained.predict(rows).to_numpy()
    together = compiled.predict(rows)
    arrays = {name: rows[name].to_numpy() for name in compiled.encoder.columns}
    one_by_one = [compiled.predict_one(*row) for row in compiled.encoder.one_by_one(arrays)]

    np.testing.assert_allclose(together, expected, atol=1e-4)
    np.testing.assert_array_equal(compiled.predict(arrays), together)
    np.testing.assert_allclose(one_by_one, together, atol=1e-4)


def test_loaded_is_what_was_saved(model: CompiledModel, tmp_path: Path) -> None:
    model.save(tmp_path / "v3")

    loaded = CompiledModel.load(tmp_path / "v3")

    requests = model.encoder.golden_requests()
    np.testing.assert_array_equal(loaded.predict(requests), model.predict(requests))
    found, expected = loaded.explain(requests), model.explain(requests)
    np.testing.assert_array_equal(found.contributions, expected.contributions)
    assert loaded.features == model.features == model.encoder.layout.names
    assert (loaded.version, loaded.family, loaded.as_of) == (3, "squared_error", model.as_of)
    assert {path.suffix for path in (tmp_path / "v3").iterdir()} <= {".json", ".npz", ".ubj"}


def test_what_it_knows_of_the_past_is_stated() -> None:
    assert served_table().as_of == AS_OF
    assert served(table_model(timeless=True).encoder).as_of is None


@pytest.mark.parametrize("name", [TABLE_FILE, "histories.npz"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    served_table().save(tmp_path / "v1")
    (tmp_path / "v1" / name).write_bytes(b"{}")

    with pytest.raises(MlopsError, match=name):
        CompiledModel.load(tmp_path / "v1")


def test_other_features_are_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "v1"
    served_table().save(bundle)
    head = json.loads((bundle / "bundle.json").read_text())
    head["features"] = head["features"][1:]
    (bundle / "bundle.json").write_text(json.dumps(head))

    with pytest.raises(MlopsError, match="another version of the project"):
        CompiledModel.load(bundle)


def test_large_answers_are_compared_by_their_digits() -> None:
    model = served_table()

    assert model.head.tolerance == pytest.approx(1e-4)
    assert model.head.model_copy(update={"longest": 3e6}).tolerance == pytest.approx(3)


def test_a_definition_comes_back_from_json() -> None:
    for definition in (deliveries(), TIMELESS):
        again = DatasetDefinition.model_validate_json(definition.model_dump_json())
        assert again == definition
