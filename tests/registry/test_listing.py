"""Versions read straight from MLflow's tables are those that MLflow tells of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops.data.references import TrainingSetManifest
from mlops.errors import DamagedFileError, RegistryError
from mlops.evaluation.results import Evaluation
from mlops.evaluation.verdict import Verdict
from mlops.registry.listing import find_version, list_versions
from mlops.registry.receipts import Receipt
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.settings import Settings, TrackingSettings


def test_before_the_first_run_there_are_none_and_nothing_is_created(tmp_path: Path) -> None:
    assert list_versions(Settings(home=tmp_path)) == ()
    assert find_version(Settings(home=tmp_path), "champion") is None
    assert not list(tmp_path.iterdir())


def test_they_are_those_of_the_registry(
    registry_of_one_test: Settings,
    manifest: TrainingSetManifest,
    receipt: Receipt,
    evaluation: Evaluation,
    verdict: Callable[[bool], Verdict],
    constant_model: Any,
) -> None:
    # Given versions that were promoted, refused, deleted, and registered by hand
    settings, registry = registry_of_one_test, Registry(registry_of_one_test)
    for passed in (True, True, False, True):
        run = log_candidate(
            settings,
            manifest=manifest,
            model=constant_model(7.5),
            metrics=evaluation.metrics,
            receipt=receipt,
            stage="refit",
        )
        registry.register(run, receipt, evaluation, verdict(passed))
    registry.promote(1, "the first", "ana")
    registry.promote(2, "better; 'quoted'", "ben")
    client, name = registry._client, settings.tracking.model_name
    client.delete_model_version(name, "4")
    client.create_model_version(name, "file:///elsewhere/model")

    assert list_versions(settings) == registry.versions()
    for wanted in (1, "2", "champion", "previous_champion", 4, "nobody", "", "' or 1=1"):
        assert find_version(settings, wanted) == (registry.get(wanted) if wanted else None)


def test_a_damaged_database_is_named_with_the_way_out(tmp_path: Path) -> None:
    database = tmp_path / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    database.write_text("this is no database, however long it may be" * 99)

    with pytest.raises(DamagedFileError, match=r"(?s)mlflow\.db: the file is damaged.*restore"):
        list_versions(Settings(home=tmp_path))


def test_versions_kept_on_a_server_are_asked_for_there(tmp_path: Path) -> None:
    nobody = TrackingSettings(uri="http://127.0.0.1:9")

    with pytest.raises(RegistryError, match="127"):
        list_versions(Settings(home=tmp_path, tracking=nobody))
