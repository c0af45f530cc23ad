"""What dashboards show of trainings, from candidates that were really searched and recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlops.datasets.taxi.features.encoding import FEATURES
from mlops.evaluation.insight import Insight
from mlops.observability.memory import Memory
from mlops.observability.tables import read_table, refresh
from mlops.observability.training_tables import TABLES, trials
from mlops.observability.world import ObservedWorld
from mlops.registry import searches
from mlops.settings import Settings


@pytest.fixture(scope="module")
def home(lived_in: Settings) -> Settings:
    """Return a home with trainings, whose tables are made."""
    refresh(lived_in, tables=TABLES)
    return lived_in


def test_an_empty_home_has_empty_tables_and_stays_empty(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")

    done = refresh(settings, tables=TABLES)

    assert not done.problems
    assert all(read_table(settings, name).empty for name in TABLES)
    assert not (tmp_path / "home" / "mlflow").exists()


def test_the_last_run_of_each_pipeline_is_shown_best_first(home: Settings) -> None:
    found = read_table(home, "training_candidates")

    assert set(found[["pipeline", "run", "family", "baseline"]].itertuples(index=False)) == {
        ("sklearn_training", "4", "lasso", False),
        ("sklearn_training", "4", "random_forest", False),
        ("sklearn_training", "4", "global_mean", True),
        ("xgboost_training", "5", "squared_error", False),
    }
    assert all(own["rmse"].is_monotonic_increasing for _, own in found.groupby("pipeline"))
    contributions = read_table(home, "training_contributions").drop_duplicates("family")
    candidates = contributions[contributions["pipeline"] != "model_selection"]
    assert candidates["rmse"].is_monotonic_increasing


def test_the_best_so_far_never_gets_worse_and_time_passes(home: Settings) -> None:
    found = read_table(home, "training_trials")

    for _, own in found.groupby(["pipeline", "family"]):
        assert own["trial"].tolist() == list(range(1, len(own) + 1))
        assert own["best"].is_monotonic_decreasing
        assert own["elapsed"].is_monotonic_increasing
        assert own["best"].iloc[-1] == own["rmse"].min()
    assert (found["family"] == "lasso").sum() >= 5


def test_only_what_the_search_varied_can_matter(home: Settings) -> None:
    found = read_table(home, "training_parameters")

    assert set(found.loc[found["family"] == "lasso", "parameter"]) == {"alpha"}
    boosted = set(found.loc[found["family"] == "squared_error", "parameter"])
    assert "learning_rate" in boosted and not {"max_depth", "rounds", "max_bin"} & boosted
    assert found["correlation"].between(-1, 1).all()


def test_curves_are_those_of_families_that_grow(home: Settings) -> None:
    found = read_table(home, "training_curves")

    assert set(found["family"]) == {"squared_error", "random_forest"}
    assert set(found["window"]) == {"train", "validation"}
    train = found[found["window"] == "train"]
    assert set(train["family"]) == {"squared_error"}
    assert train["value"].iloc[-1] < train["value"].iloc[0]


def test_candidates_and_the_newest_version_are_explained(home: Settings) -> None:
    found = read_table(home, "training_contributions")

    learned = {"lasso", "random_forest", "squared_error"}
    assert set(found["family"]) == {*learned, "version 1 (squared_error)"}
    assert set(found.loc[found["family"] == "lasso", "feature"]) == set(FEATURES)
    assert (found["mean"] >= 0).all()
    assert set(found.loc[found["family"].str.startswith("version"), "pipeline"]) == {
        "model_selection"
    }


def test_mean_and_spread_make_the_error_of_a_slice(home: Settings) -> None:
    found = read_table(home, "training_residuals")

    np.testing.assert_allclose(
        found["mean"] ** 2 + found["spread"] ** 2, found["slice_rmse"] ** 2, rtol=1e-9
    )
    assert set(found["window"]) == {"validation", "test"}


def test_what_was_recorded_is_read_once(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = searches.load_insight

    def noted(settings: Settings, run_id: str) -> Insight | None:
        read.append(run_id)
        return load(settings, run_id)

    monkeypatch.setattr(searches, "load_insight", noted)
    memory = Memory()

    for _ in range(3):
        refresh(home, memory, TABLES)

    assert len(read) == len(set(read)) == 5  # four candidates and a version


def test_a_candidate_without_insight_costs_no_other(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = searches.load_insight
    lost = read_table(home, "training_candidates")
    monkeypatch.setattr(
        searches,
        "load_insight",
        lambda s, run: None if (seen := load(s, run)) and seen.curve else seen,
    )

    found = trials(ObservedWorld(home))

    assert set(found["family"]) == set(lost["family"]) - {"squared_error", "random_forest"}
