"""The main job in real Mage: what a person runs, with the pipelines and blocks of this project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.monitoring.reference.profile import ReferenceProfile

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from kinds import unknown

pytestmark = pytest.mark.mage

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "--families=global_mean,group_median,linear_regression,hist_gradient_boosting",
    "--objectives=squared_error,quantiles",
    "--max-evals=2",
    "--set=source.sample_rows=4000",
)


@dataclass(frozen=True)
class Home:
    """An isolated home, and the command line working in it."""

    path: Path

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `mlops` as a process of its own, from a folder that is not the project's."""
        return subprocess.run(
            [sys.executable, "-m", "mlops.cli", *arguments],
            env={**os.environ, "MLOPS_HOME": str(self.path)},
            cwd=self.path.parent,
            umask=0,  # hides nothing, as some services have it
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run `mlops … --json`, expect success, and return what it printed."""
        done = self.call(*arguments, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)


def tracked_changes() -> str:
    """Return what git sees as changed among tracked files."""
    return subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("main_job") / "home")


@pytest.fixture(scope="module")
def first(home: Home) -> dict[str, Any]:
    """The first main job of a fresh home."""
    before = tracked_changes()
    outcome: dict[str, Any] = home.json("run", *SMALL)
    assert tracked_changes() == before
    return outcome


def test_the_first_model_that_passes_is_champion_and_predicts(
    first: dict[str, Any], home: Home
) -> None:
    assert first["verdict"]["passed"]
    assert first["registered"]["promoted"]
    predictions = pd.read_parquet(first["predictions"]["predictions_uri"])
    assert len(predictions) == first["predictions"]["rows"] > 3_000
    assert predictions["prediction_minutes"].between(0, 120).all()
    assert (predictions["lower_minutes"] <= predictions["prediction_minutes"]).all()
    assert (predictions["prediction_minutes"] <= predictions["upper_minutes"]).all()
    assert set(predictions["model_version"].astype(str)) == {"1"}


def test_every_candidate_was_measured_and_baselines_lose(first: dict[str, Any]) -> None:
    rmse = {c["family"]: c["metrics"]["rmse"] for c in first["candidates"]}

    assert len(rmse) == 6
    assert min(rmse["squared_error"], rmse["hist_gradient_boosting"]) < rmse["group_median"]
    assert rmse["group_median"] < rmse["global_mean"]


def test_the_winner_is_chosen_by_validation_not_by_test(first: dict[str, Any]) -> None:
    learned = [c for c in first["candidates"] if not c["baseline"]]

    best = min(learned, key=lambda candidate: candidate["validation_rmse"])
    assert first["candidates"][0]["family"] == best["family"]


def test_the_version_carries_its_evidence(first: dict[str, Any], home: Home) -> None:
    champion = home.json("models", "champion")

    assert champion["version"] == 1
    assert "champion" in champion["aliases"]
    assert champion["receipt"]["synthetic"] is True
    assert champion["receipt"]["pipeline"] == "model_selection"
    assert {rule["rule"] for rule in champion["verdict"]["rules"]} >= {"baseline", "slices"}
    assert champion["evaluation"]["interval"]["coverage"] > 0.6
    # and what monitoring will compare its traffic with, bad trips included
    (stored,) = (home.path / "mlflow").rglob("reference_profile.json")
    profile = ReferenceProfile.load(stored)
    assert profile.version == "1" and profile.rows == 12_000
    assert profile.calibration and "drift" in profile.calibration.limits


def test_runs_show_in_mages_own_tables(first: dict[str, Any], home: Home) -> None:
    runs = {run["pipeline"]: run for run in home.json("status")}

    assert set(first["runs"]) == set(runs)
    assert all(run["status"] == "completed" for run in runs.values())
    assert runs["sklearn_training"]["blocks"] == 5 + len(SMALL[0].split(","))


def test_one_trip_is_predicted_from_json(first: dict[str, Any], home: Home) -> None:
    trip = {"pickup_at": "2024-03-01T08:30:00", "pickup_zone": 74, "dropoff_zone": 166}

    (answer,) = home.json("predict", json.dumps(trip))

    assert 1 < answer["prediction_minutes"] < 60
    assert answer["model_version"] == 1


def test_a_second_job_reuses_the_data_and_refuses_an_equal_model(
    first: dict[str, Any], home: Home
) -> None:
    again = home.json("run", *SMALL)

    assert "data_preparation" not in again["runs"]
    assert not again["verdict"]["passed"]
    assert "champion" in again["verdict"]["summary"]
    assert again["registered"]["champion"] == 1
    # the same input and model: the predictions that were there
    assert again["predictions"]["uri"] == first["predictions"]["uri"]
    assert again["predictions"]["run_id"] == first["predictions"]["run_id"]


def test_rebuilding_the_same_input_gives_the_same_hash(first: dict[str, Any], home: Home) -> None:
    before = home.json("models", "champion")["receipt"]["data_hash"]

    result = home.json("pipeline", "run", "data_preparation", "--var", "source.sample_rows=4000")

    assert result["status"] == "completed"
    published = home.path / "store" / "training_sets"
    assert [path.name for path in published.iterdir() if path.is_dir()] == [before]


def test_a_broken_contract_fails_with_the_table_and_keeps_what_is_published(
    first: dict[str, Any], home: Home
) -> None:
    pointer = home.path / "store" / "training_sets" / "current"
    before = pointer.read_text()

    done = home.call("run", *SMALL, "--set", "validation.max_bad_share=0.0001")

    assert done.returncode == 4, done.stdout + done.stderr
    assert "max_bad_share" in done.stderr
    assert "duration" in done.stderr
    assert pointer.read_text() == before


def test_after_a_contract_failure_a_limit_that_is_mended_lets_the_job_go_on(home: Home) -> None:
    fresh = Home(home.path.with_name("mended"))
    tiny = ("--families=global_mean", "--objectives=squared_error", "--max-evals=1", SMALL[-1])
    refused = fresh.call("run", *tiny, "--set", "validation.max_bad_share=0.0001")
    assert refused.returncode == 4 and "mlops run --resume" in refused.stderr

    # Given an output of a finished block that is damaged or gone: it is no empty answer
    (output,) = fresh.path.glob("mage/*/pipelines/data_preparation/**/extract_trips/*/data.json")
    content = output.read_bytes()
    for damage in (lambda: output.write_bytes(content[:99]), output.unlink):
        damage()
        stopped = fresh.call("pipeline", "resume", "1")
        assert stopped.returncode == 14 and str(output) in stopped.stderr
        assert "mlops pipeline run data_preparation" in stopped.stderr
    output.write_bytes(content)

    # When the job goes on as it was, then it is refused again; with another limit it ends well
    assert fresh.call("run", "--resume").returncode == 4
    mended = fresh.json("run", "--resume", "--set", "validation.max_bad_share=0.2")
    assert mended["champion"] == 1
    assert unknown(fresh.path) == []


def test_one_failing_family_does_not_lose_the_others(first: dict[str, Any], home: Home) -> None:
    # given a family whose hyperparameter no library accepts
    broken = 'training.overrides={"lasso": {"alpha": -1.0}}'

    done = home.call(
        "pipeline",
        "run",
        "sklearn_training",
        "--var=families=lasso,linear_regression",
        "--var=max_evals=1",
        "--var=source.sample_rows=4000",
        f"--var={broken}",
        "--json",
    )

    # then that one looks failed, and everything else is there
    assert done.returncode == 6, done.stdout + done.stderr
    result, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert result["status"] == "failed"
    blocks = {block["block"]: block for block in result["blocks"]}
    assert [name for name, b in blocks.items() if b["status"] != "completed"] == [
        "tune_and_train:lasso"
    ]
    assert "alpha" in blocks["tune_and_train:lasso"]["error"]
    log = Path(blocks["collect_candidates"]["log"]).read_text()
    assert "lasso failed" in log


def test_a_killed_job_is_resumed_where_it_stopped(home: Home) -> None:
    # given a job of its own home, killed while its candidates are being trained
    fresh = Home(home.path.with_name("killed"))
    journal = fresh.path / "runs" / "main_job.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "mlops.cli", "run", *SMALL],
        env={**os.environ, "MLOPS_HOME": str(fresh.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (journal.exists() and "sklearn_training" in journal.read_text()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()

    # when it is resumed, twice
    outcome = fresh.json("run", "--resume")
    again = fresh.json("run", "--resume")

    # then it ends as if nothing had happened, and each pipeline ran once
    assert outcome["registered"]["promoted"]
    assert outcome["predictions"]["rows"] > 3_000
    runs = fresh.json("status")
    assert sorted(run["pipeline"] for run in runs) == sorted(outcome["runs"])
    assert all(run["status"] == "completed" for run in runs)
    assert again["registered"] == outcome["registered"]


def test_other_users_cannot_look_into_the_home(
    home: Home, open_to_others: Callable[[Path], list[str]]
) -> None:
    assert (home.path / "mage" / "mage.db").exists()
    assert open_to_others(home.path) == []


def test_no_kind_of_file_is_missing_in_the_table_of_damages(
    first: dict[str, Any], home: Home
) -> None:
    assert unknown(home.path) == []
