"""Two small homes, each with a version made by the steps of the pipelines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops.registry import catalogue
from mlops.registry.receipts import Receipt
from mlops.settings import Settings, load_settings
from mlops.steps import candidates, data_preparation, model_selection, training


@dataclass(frozen=True)
class Home:
    """A home with one registered version, and the settings it was made by."""

    settings: Settings

    @property
    def training_set(self) -> Path:
        """The folder of the version's training set."""
        (folder,) = (p for p in (self.settings.store / "training_sets").iterdir() if p.is_dir())
        return folder

    def contents(self) -> dict[str, bytes]:
        """Return what is in the store and in the registry's artifacts."""
        kept = (self.settings.store, self.settings.home / "mlflow" / "artifacts")
        return {
            str(path): path.read_bytes()
            for folder in kept
            for path in folder.rglob("*")
            if path.is_file()
        }


def _make(home: Path, **given: Any) -> Home:
    variables: dict[str, Any] = {
        "home": str(home),
        "source.months": "2024-01..2024-02",
        "source.sample_rows": 1_500,
        "training.max_evals": 1,
        "training.threads": 2,
        "gate.max_rmse": 50,
        "gate.min_interval_coverage": 0,
        "gate.max_latency_ms": 10_000,
        **given,
    }
    raw = data_preparation.extract(variables)
    features = data_preparation.build(data_preparation.validate(raw, variables), variables)
    manifest = data_preparation.publish(features, variables)
    routes = data_preparation.publish_route_statistics(manifest, variables)
    for fan in (training.families, training.objectives):
        for item in fan(manifest, routes, variables)[0]:
            report = training.tune_and_train(item, variables)
            assert report["status"] == "finished", report["error"]
    items = candidates.newest_candidates(manifest, routes, variables)[0]
    reports = [candidates.refit_and_evaluate(item, variables) for item in items]
    judged = model_selection.judge_candidates(reports, variables)
    assert model_selection.register(judged, variables)["promoted"]
    return Home(load_settings(variables))


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A linear model, with an interval by quantiles of its own, since no candidate is one."""
    home = tmp_path_factory.mktemp("linear")
    given = {"training.families": "global_mean,linear_svr", "training.objectives": "[]"}
    return _make(home, **given)


@pytest.fixture(scope="session")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Boosted trees, with the interval of the candidate of quantiles."""
    home = tmp_path_factory.mktemp("boosted")
    given = {
        "training.families": "global_mean",
        "training.objectives": "squared_error,quantiles",
        "training.overrides": {"quantiles": {"rounds": 5}},  # so that it does not win
    }
    return _make(home, **given)


@pytest.fixture
def tampered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a way to let the registry hand out receipts with other content."""

    def tamper(**changes: Any) -> None:
        read = catalogue.Catalogue.get

        def get(self: Any, version: int | str) -> Any:
            info = read(self, version)
            assert info is not None and isinstance(info.receipt, Receipt)
            receipt = info.receipt.model_copy(update=changes)
            return info.model_copy(update={"receipt": receipt})

        monkeypatch.setattr(catalogue.Catalogue, "get", get)

    return tamper
