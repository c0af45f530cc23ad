"""What dashboards show of trainings, from candidates that were really searched and recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.references import Extraction, QualityReport, TrainingSetManifest, Window
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.explanation import gain_insight
from mlops.evaluation.insight import Insight
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import Verdict
from mlops.features.encoding import FEATURES
from mlops.features.routes import RouteHistory, RouteStatistics
from mlops.observability.memory import Memory
from mlops.observability.tables import read_table, refresh
from mlops.observability.training_tables import TABLES, trials
from mlops.observability.world import World
from mlops.registry import insights
from mlops.registry.receipts import collect_receipt
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.settings import FeatureSettings, Settings, TrainingSettings
from mlops.training.tuning import tune

BOUNDARY = datetime(2024, 1, 20)
SEARCH = TrainingSettings(max_evals=5, overrides={"squared_error": {"max_depth": 3}})
# Recorded one after the other; the first belongs to an older run.
RECORDED = (
    ("sklearn_training", 3, "lasso"),
    ("sklearn_training", 4, "lasso"),
    ("sklearn_training", 4, "global_mean"),
    ("xgboost_training", 5, "squared_error"),
)


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, sample_history: Callable[..., pd.DataFrame]
) -> Settings:
    """Return a home with recorded candidates and a registered version."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), training=SEARCH)
    features = FeatureSettings()
    trips = sample_history("2024-01", rows=1_500)
    trips = pd.concat([trips, RouteHistory(features).annotate(trips)], axis=1)
    later = trips["pickup_at"] >= BOUNDARY
    statistics = RouteStatistics.of(trips, BOUNDARY, features)
    manifest = manifest_of(len(trips))
    run = model = receipt = metrics = None
    for pipeline, number, family in RECORDED:
        search = tune(family, trips[~later], trips[later], statistics, SEARCH, threads=1)
        model = search.model
        predicted = model.predict_minutes(trips[later])
        metrics = regression_metrics(trips[later]["duration_minutes"], predicted)
        variables = {"pipeline_uuid": pipeline, "pipeline_run_id": number}
        receipt = collect_receipt(manifest, family, search.best_params, settings, variables)
        told: dict[str, Any] = {"manifest": manifest, "model": model, "metrics": metrics}
        insight = gain_insight(model, trips[later], predicted, "validation", search)
        log_candidate(settings, **told, receipt=receipt, search=search, insight=insight)
    assert model is not None and receipt is not None and metrics is not None
    seen = gain_insight(model, trips[later], predicted, "test")
    run = log_candidate(settings, **told, receipt=receipt, insight=seen, stage="refit")
    evaluation = Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1)
    verdict = Verdict(passed=True, rules=(), summary="passed")
    Registry(settings).register(run, receipt, evaluation, verdict)
    refresh(settings, tables=TABLES)
    return settings


def manifest_of(rows: int) -> TrainingSetManifest:
    window = Window(start=datetime(2024, 1, 1), end=datetime(2024, 2, 1), rows=rows)
    return TrainingSetManifest(
        sha256="ab" * 32,
        uri="/store/training_sets/abab",
        rows=rows,
        columns={},
        parts=(),
        train=window,
        validation=window,
        test=window,
        extraction=Extraction(kind="sample", taxi="green", synthetic=True, files=()),
        quality=QualityReport(
            rows_read=rows,
            rows_kept=rows,
            rows_quarantined=0,
            bad_share=0,
            rules=(),
            quarantine_uri=None,
        ),
        feature_version="1",
        code_commit="c0ffee",
        created_at=datetime(2024, 3, 1),
    )


def test_an_empty_home_has_empty_tables_and_stays_empty(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")

    done = refresh(settings, tables=TABLES)

    assert not done.problems
    assert all(read_table(settings, name).empty for name in TABLES)
    assert not (tmp_path / "home" / "mlflow").exists()


def test_the_last_run_of_each_pipeline_is_shown_best_first(home: Settings) -> None:
    found = read_table(home, "training_candidates")

    assert found[["pipeline", "run", "family", "baseline"]].to_numpy().tolist() == [
        ["sklearn_training", "4", "lasso", False],
        ["sklearn_training", "4", "global_mean", True],
        ["xgboost_training", "5", "squared_error", False],
    ]


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

    assert set(found["family"]) == {"squared_error"}
    assert set(found["window"]) == {"train", "validation"}
    train = found[found["window"] == "train"]
    assert train["value"].iloc[-1] < train["value"].iloc[0]


def test_candidates_and_the_newest_version_are_explained(home: Settings) -> None:
    found = read_table(home, "training_contributions")

    assert set(found["family"]) == {"lasso", "squared_error", "version 1 (squared_error)"}
    assert set(found.loc[found["family"] == "lasso", "feature"]) == set(FEATURES)
    assert (found["minutes"] >= 0).all()
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
    load = insights.load_insight

    def noted(settings: Settings, run_id: str) -> Insight | None:
        read.append(run_id)
        return load(settings, run_id)

    monkeypatch.setattr(insights, "load_insight", noted)
    memory = Memory()

    for _ in range(3):
        refresh(home, memory, TABLES)

    assert len(read) == len(set(read)) == 4  # three candidates and a version


def test_a_candidate_without_insight_costs_no_other(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = insights.load_insight
    lost = read_table(home, "training_candidates")
    monkeypatch.setattr(
        insights,
        "load_insight",
        lambda s, run: None if (seen := load(s, run)) and seen.curve else seen,
    )

    found = trials(World(home))

    assert set(found["family"]) == set(lost["family"]) - {"squared_error"}
