"""The test of the artifact: real models pass, broken ones are refused by what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.datasets.declared.dataset import DeclaredDataset
from mlops.datasets.taxi.contract.validation import split_requests
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.golden import ROWS
from mlops.deployment import artifact, world
from mlops.deployment.artifact import artifact_verdict
from mlops.errors import MlopsError, RegistryError
from mlops.inference.trip import TripRequest
from mlops.registry.versions import Registry
from mlops.settings import Settings
from tests.datasets.declared.deliveries import deliveries
from tests.serving.tables import table_model


class Loaded:
    """A registry that gives a certain model out."""

    def __init__(self, model: Any, info: Any) -> None:
        self._found = model, info

    def load(self, version: int) -> Any:
        return self._found


def verdict_of(settings: Settings, model: Any, compiled: Any = world._compiled) -> Any:
    info = Registry(settings).get(1)
    return artifact_verdict(settings, Loaded(model, info), 1, compiled)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(stocked: Settings) -> Any:
    return Registry(stocked).load(1)[0]


def test_a_stored_model_passes_every_rule(stocked: Settings) -> None:
    found = artifact_verdict(stocked, Registry(stocked), 1, world._compiled)

    assert found.passed, found.table()
    assert [rule.rule for rule in found.rules] == [
        "works",
        "finite",
        "plausible",
        "parity",
        "latency",
        "size",
    ]
    assert f"{ROWS} golden requests answered" in found.summary


def test_a_model_of_a_declared_dataset_passes_by_requests_of_its_own(
    stocked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "dataset_of", lambda settings: DeclaredDataset(deliveries()))

    found = verdict_of(stocked, table_model())

    assert found.passed, found.table()
    parity = next(rule for rule in found.rules if rule.rule == "parity")
    assert parity.value < 1e-4 and parity.unit == deliveries().task.unit


def test_golden_requests_are_within_the_contract_and_what_the_server_takes(model: Any) -> None:
    golden = TaxiTrips().golden_requests(model.encoder)
    requests = golden.rows

    _, bad = split_requests(requests, Settings())
    assert len(bad) == 0
    assert len(requests) == ROWS
    assert not requests.isna().any().any()
    assert requests.equals(TaxiTrips().golden_requests(model.encoder).rows)
    for trip, row in zip(golden.bodies, requests.itertuples(), strict=True):
        assert TripRequest.model_validate(trip).pickup_at == row.pickup_at


def test_a_model_that_cannot_be_loaded_does_not_work(
    stocked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: Registry, version: int) -> None:
        raise MlopsError("the file is damaged", "train it again")

    monkeypatch.setattr(Registry, "load", missing)

    found = artifact_verdict(stocked, Registry(stocked), 1, world._compiled)

    assert found.refused_by == ("works",)
    assert "the file is damaged" in found.summary


def test_a_compilation_that_fails_in_any_way_does_not_work(stocked: Settings, model: Any) -> None:
    def broken(m: Any, info: Any) -> Any:
        raise RuntimeError("no such opcode")

    assert "no such opcode" in verdict_of(stocked, model, broken).summary


def test_a_registry_that_is_away_says_nothing_about_the_artifact(
    stocked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Registry, version: int) -> None:
        raise RegistryError("no connection")

    monkeypatch.setattr(Registry, "load", away)

    with pytest.raises(RegistryError):
        artifact_verdict(stocked, Registry(stocked), 1, world._compiled)


class NotANumber:
    """An estimator gone wrong."""

    def predict(self, features: Any) -> Any:
        return np.full(len(features), np.nan)


def test_answers_that_are_no_numbers_are_refused(stocked: Settings, model: Any) -> None:
    broken = replace(model, estimator=NotANumber())

    found = verdict_of(stocked, broken, lambda m, i: lambda f: m.predict(f).to_numpy())

    assert "finite" in found.refused_by


def test_a_compiled_form_that_answers_otherwise_is_refused(stocked: Settings, model: Any) -> None:
    def off(m: Any, info: Any) -> Any:
        return lambda requests: m.predict(requests).to_numpy() + 0.01

    assert verdict_of(stocked, model, off).refused_by == ("parity",)
    assert verdict_of(stocked, model, lambda m, i: lambda f: np.ones(3)).refused_by == ("parity",)


@pytest.mark.parametrize(
    ("limits", "rule"), [({"max_latency_ms": 1e-6}, "latency"), ({"max_size_mb": 1e-6}, "size")]
)
def test_slow_and_large_models_are_refused(
    stocked: Settings, model: Any, limits: dict[str, float], rule: str
) -> None:
    settings = stocked.model_copy(update={"gate": stocked.gate.model_copy(update=limits)})

    assert verdict_of(settings, model).refused_by == (rule,)


@pytest.mark.parametrize(
    ("row", "finite", "plausible"),
    [
        ((5.0, 1.0, 60.0), 0, 0),
        ((1.0, 1.0, 1.0), 0, 0),
        ((60.0, 60.0, 60.0), 0, 0),
        ((0.99, 0.5, 2.0), 0, 1),
        ((60.01, 5.0, 61.0), 0, 1),
        ((5.0, 5.01, 6.0), 0, 1),
        ((5.0, 4.0, 4.99), 0, 1),
        ((5.0, 1.0, np.inf), 1, 0),
        ((np.nan, np.nan, 6.0), 1, 0),
    ],
)
def test_each_answer_that_cannot_be_is_counted_once(
    row: tuple[float, float, float], finite: int, plausible: int
) -> None:
    minutes = np.array([(5.0, 4.0, 6.0), row, row])

    assert artifact._finite(minutes).value == 2 * finite
    assert artifact._plausible(minutes, 1.0, 60.0, "min").value == 2 * plausible


def test_the_compiled_form_may_differ_by_what_rounding_makes() -> None:
    minutes = np.array([(5.0, 4.0, 6.0), (9.0, 8.0, 11.0)])
    most = 1e-4

    def parity(bundle: Any) -> Any:
        return artifact._parity(minutes, bundle, most, "min")

    near, far = minutes.copy(), minutes.copy()
    near[1, 2] -= most * 0.999
    far[1, 2] -= most * 1.001

    assert parity(near).passed
    assert not parity(far).passed
    assert not parity(minutes[:1]).passed
    assert not parity(minutes * np.nan).passed
