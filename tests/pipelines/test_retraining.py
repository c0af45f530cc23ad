"""`retraining` in real Mage: once there is something to learn, and once there is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlops.datasets.taxi.sample.generator import generate_month
from mlops.orchestration.runs.history import recent_runs
from mlops.settings import load_settings

pytestmark = pytest.mark.mage


def retrain(home: Path, source: Path) -> dict[str, Any]:
    """Run the command line; return the record that it prints."""
    settings = {
        "HOME": home,
        "SOURCE__KIND": "path",
        "SOURCE__LOCATION": source,
        "TRAINING__FAMILIES": "linear_regression",
        "TRAINING__OBJECTIVES": "squared_error",
        "TRAINING__MAX_EVALS": 1,
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLOPS_", "MAGE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "mlops.cli", "retrain", "--json"],
        env={**kept, **{f"MLOPS_{name}": str(value) for name, value in settings.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_it_trains_when_there_is_a_month_to_learn_from_and_says_so_when_there_is_none(
    tmp_path: Path,
) -> None:
    home, source = tmp_path / "home", tmp_path / "source"
    source.mkdir()
    for month in ("2023-12", "2024-01", "2024-02"):
        table = generate_month(month, 2_000, seed=7)
        pq.write_table(table, source / f"green_tripdata_{month}.parquet")

    first = retrain(home, source)
    assert first["status"] == "completed" and first["version"] == 1
    assert first["decision"]["months"] == ["2023-12", "2024-01", "2024-02"]
    assert {c["family"] for c in first["candidates"]} == {
        "global_mean",
        "group_median",
        "linear_regression",
        "squared_error",
    }
    settings = load_settings({"home": str(home)})
    assert {run["pipeline"]: run["status"] for run in recent_runs(settings, 20)} == {
        "retraining": "completed",
        "data_preparation": "completed",
        "route_statistics": "completed",
        "sklearn_training": "completed",
        "xgboost_training": "completed",
        "model_selection": "completed",
    }

    second = retrain(home, source)
    assert second["status"] == "nothing to do"
    assert second["summary"] == "nothing to do: the source has no month after 2024-02"
    assert [run["pipeline"] for run in recent_runs(settings, 20)].count("retraining") == 2
    assert len(recent_runs(settings, 20)) == 7
