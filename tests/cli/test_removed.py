"""What somebody has removed by hand leads to a sentence and a way on, whatever command meets it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from mlops.cli import build_app
from mlops.errors import MlopsError
from mlops.registry.connection import connect
from mlops.registry.versions import Registry
from mlops.settings import load_settings
from mlops.steps import candidates

TRIP = json.dumps({"pickup_at": "2024-02-10T08:30:00", "pickup_zone": 74, "dropoff_zone": 166})
COMMANDS = (
    ("models",),
    ("models", "champion"),
    ("models", "1"),
    ("predict", TRIP),
    ("predict", TRIP, "--model", "1"),
    ("status",),
    ("deployments",),
    ("monitor", "--list"),
    ("report", "model", "1"),
    ("reproduce", "1"),
    ("keys", "list"),
)


def removals(home: Path) -> Iterator[str]:
    """Remove one thing after the other, what the next one needs last."""
    settings = load_settings({"home": home})
    registry, client = Registry(settings), connect(settings)
    champion = registry.champion()
    assert champion is not None
    shutil.rmtree(urlsplit(champion.source).path)
    yield "the model's files"
    run = client.get_run(champion.run_id)
    shutil.rmtree(urlsplit(run.info.artifact_uri).path)
    yield "the files of its run"
    client.delete_run(champion.run_id)
    yield "its run"
    client.delete_model_version(settings.tracking.model_name, "1")
    yield "the version"
    client.delete_registered_model(settings.tracking.model_name)
    yield "the registered model"


def test_no_command_meets_a_dead_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_champion: Callable[[Path], None]
) -> None:
    make_champion(tmp_path)
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    for removed in removals(tmp_path):
        for command in COMMANDS:
            done = CliRunner().invoke(build_app(), list(command))
            error = done.exception
            if error is None or isinstance(error, SystemExit):
                continue
            assert isinstance(error, MlopsError), (removed, command, repr(error))
            assert error.hint, (removed, command, error.message)


def test_a_family_that_the_code_does_not_have_any_more_takes_no_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def candidate(family: str) -> SimpleNamespace:
        receipt = SimpleNamespace(pipeline="sklearn_training", pipeline_run_id="12")
        return SimpleNamespace(
            family=family,
            receipt=receipt,
            run_id="abc",
            params={},
            validation_rmse=1.0,
            trials=1,
        )

    found = (candidate("gone_forest"), candidate("lasso"), candidate("global_mean"))
    manifest = SimpleNamespace(sha256="c0ffee", uri="/set")
    monkeypatch.setattr(candidates, "finished_candidates", lambda *_: found)
    monkeypatch.setattr(candidates, "training_set_from", lambda *_: manifest)
    routes = SimpleNamespace(at_test="/routes")
    monkeypatch.setattr(candidates, "route_statistics_for", lambda *_: routes)

    items, names = candidates.newest_candidates({}, {}, {})
    assert sorted(item["family"] for item in items) == ["global_mean", "lasso"]
    assert len(names) == 2
    said = capsys.readouterr().out
    assert "gone_forest is left out: the code no longer has this family" in said
    assert "lasso: trained by run 12 of sklearn_training" in said
