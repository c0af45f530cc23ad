"""A command that cannot succeed is refused before Mage or MLflow is loaded, and nothing is left."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.registry.connection import connect, ensure_tracking
from mlops.registry.trail import Promotion, Trail
from mlops.settings import Settings, load_settings

SCRIPT = Path(__file__).parent / "refuse.py"
HINT = "what to do"


def refused(home: Path, commands: Sequence[str], **environment: str) -> list[dict[str, Any]]:
    """Type commands in a fresh process, which starts with nothing imported."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SCRIPT.read_text(),
            json.dumps([command.split(" ") for command in commands]),
        ],
        env={**os.environ, "MLOPS_HOME": str(home), "COLUMNS": "300", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


# Each with its exit code, and what must be named.
IN_A_FRESH_HOME = {
    "run --families lassso": (2, "lasso"),
    "run --families lasso,lasso": (2, "lasso"),
    "run --families ": (2, "training.families"),
    "run --objectives squared": (2, "squared_error"),
    "run --families global_mean --objectives []": (2, "baselines"),
    "run --set training.max_eval=3": (2, "training.max_eval"),
    'run --set training.overrides={"lasso":{"alfa":1}}': (2, "alfa"),
    "run --source path": (2, "--location"),
    "run --source path --location /no/where": (3, "/no/where"),
    "run --source tlc --months 2200-01": (3, "2200-01"),
    "run --months 2024-1": (2, "YYYY-MM"),
    "run --resume": (2, "mlops run"),
    "pipeline run nothing": (2, "data_preparation"),
    "pipeline run sklearn_training --var famlies=lasso": (2, "families"),
    "pipeline run deployment --var version=99": (2, "99"),
    "pipeline run batch_inference --var score_months=2024-1": (2, "score_months"),
    "pipeline run batch_inference": (2, "mlops run"),
    "pipeline resume 99": (2, "mlops status"),
    "deploy 99": (2, "mlops run"),
    "deploy challenger": (2, "mlops run"),
    "deploy 1 --canary-percent 0": (2, "canary_percent"),
    "rollback": (2, "mlops deploy"),
    "rollback --to 3": (2, "3"),
    "retrain --set families=lassso": (2, "lasso"),
    "approve": (2, "mlops deploy"),
    "approve 3": (2, "mlops deploy"),
    "reproduce 5": (2, "5"),
    "report model 5": (2, "5"),
    "report model": (2, "mlops run"),
    "report run": (2, "mlops run"),
    "report window": (2, "mlops monitor"),
    "models --verdict": (2, "mlops run"),
    "retrain --resume": (2, "mlops retrain"),
    "predict {} --model 4": (2, "4"),
    "backtest --set backtest.families=lassso": (2, "lasso"),
    "deployments 20240101T000000-v1": (2, "mlops deployments"),
    "monitor nothing": (2, "mlops monitor --list"),
}


def test_in_a_fresh_home_mistakes_are_refused_at_once(tmp_path: Path) -> None:
    answers = refused(tmp_path, list(IN_A_FRESH_HOME))

    for (command, (code, named)), answer in zip(IN_A_FRESH_HOME.items(), answers, strict=True):
        assert answer["code"] == code, (command, answer)
        assert named in answer["said"] and HINT in answer["said"], (command, answer)
        assert not {"mage_ai", "mlflow"} & set(answer["loaded"]), (command, answer)
        assert not repeats(command, answer["said"]), (command, answer)
    assert not (tmp_path / "mage").exists() and not (tmp_path / "mlflow").exists()


def repeats(command: str, said: str) -> bool:
    """Whether a hint only names what has just been typed."""
    hint = " ".join(said.partition(HINT)[2].split())
    return re.search(rf"mlops {re.escape(command)}(?! ?-)\b", hint) is not None


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three versions: 1 and 2 were champions, 2 was rolled back to 1; 3 was refused by the gate."""
    settings = load_settings({"home": str(tmp_path_factory.mktemp("registry") / "home")})
    name = settings.tracking.model_name
    ensure_tracking(settings)
    client = connect(settings)
    client.create_registered_model(name)
    for verdict in ("passed", "passed", "refused"):
        client.create_model_version(name, "file:///nowhere", tags={"mlops.verdict": verdict})
    at = datetime(2024, 3, 1, 8, tzinfo=timezone.utc)
    moves = (
        Promotion(
            version=1, previous=None, at=at, reason="first", by="test", source="file:///nowhere"
        ),
        Promotion(
            version=2,
            previous=1,
            at=at.replace(hour=9),
            reason="better",
            by="test",
            source="file:///nowhere",
        ),
        Promotion(
            version=1,
            previous=2,
            at=at.replace(hour=10),
            reason="worse",
            by="test",
            source="file:///nowhere",
            kind="rollback",
        ),
    )
    for move in moves:
        Trail(settings).append(move)
    return settings


WITH_VERSIONS = {
    "deploy 99": (2, "there are 1, 2, 3, champion, previous_champion"),
    "deploy challenger": (2, "passes the gate beside a champion"),
    "deploy 3": (5, "mlops models 3"),
    # a second rollback in haste: not to be undone by itself, and the champion is no way on
    "rollback": (2, "mlops rollback --to 2"),
    "rollback --to 3": (2, "mlops deploy 3"),
    "rollback --to 99": (2, "there are 1, 2, 3"),
    "pipeline run rollback": (2, "mlops rollback --to 2"),
    "pipeline run deployment --var version=3": (5, "mlops models 3"),
    "reproduce 99": (2, "there are 1, 2, 3"),
    "report model 99": (2, "there are 1, 2, 3"),
    "models 99": (2, "there are 1, 2, 3"),
}


def test_versions_are_looked_up_without_mlflow(registry: Settings) -> None:
    answers = refused(registry.home, list(WITH_VERSIONS))

    for (command, (code, named)), answer in zip(WITH_VERSIONS.items(), answers, strict=True):
        assert answer["code"] == code, (command, answer)
        assert named in " ".join(answer["said"].split()), (command, answer)
        assert not {"mage_ai", "mlflow"} & set(answer["loaded"]), (command, answer)
        assert not repeats(command, answer["said"]), (command, answer)
    assert not (registry.home / "mage").exists()


def test_a_registry_that_cannot_be_asked_lightly_is_left_to_mlflow(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as connection:
        connection.execute("create table registered_model_aliases (other text)")

    [answer] = refused(tmp_path, ["report model 5"])

    assert answer["code"] != 0
    assert "mlflow" in answer["loaded"]  # which says what is wrong with it


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    [answer] = refused(tmp_path / "file" / "home", ["run"])

    assert answer["code"] == 2
    assert "MLOPS_HOME" in answer["said"] and "cannot be written" in answer["said"]
    assert "tracking" not in answer["said"]
