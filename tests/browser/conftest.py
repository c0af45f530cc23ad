"""A registry with a champion, made without a pipeline run: pages are looked at, not training."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from mlops.data.references import Extraction, QualityReport, TrainingSetManifest, Window
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import Verdict
from mlops.features.routes import RouteHistory, RouteStatistics
from mlops.registry.receipts import collect_receipt
from mlops.registry.tracking import log_candidate
from mlops.registry.versions import Registry
from mlops.settings import FeatureSettings, load_settings
from mlops.training.artifact import TripDurationModel

AS_OF = datetime(2024, 2, 1)


@pytest.fixture(scope="session")
def make_champion(sample_history: Callable[..., pd.DataFrame]) -> Callable[[Path], None]:
    """Return what registers a small model in a home and promotes it."""

    def make(home: Path) -> None:
        settings = load_settings({"home": home})
        trips = sample_history("2024-01", rows=1_500)
        trips = pd.concat([trips, RouteHistory(FeatureSettings()).annotate(trips)], axis=1)
        statistics = RouteStatistics.of(trips, AS_OF, FeatureSettings())
        mean = TripDurationModel.fit("global_mean", {}, trips, statistics, seed=1, threads=1)
        model = TripDurationModel.fit(
            "squared_error", {"rounds": 20}, trips, statistics, seed=1, threads=1
        ).with_residual_interval(mean, trips)
        manifest = _manifest(len(trips))
        metrics = regression_metrics(trips["duration_minutes"], model.predict_minutes(trips))
        receipt = collect_receipt(manifest, model.family, {}, settings)
        run = log_candidate(
            settings,
            manifest=manifest,
            model=model,
            metrics=metrics,
            receipt=receipt,
            stage="refit",
        )
        evaluation = Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1)
        verdict = Verdict(passed=True, rules=(), summary="passed")
        registry = Registry(settings)
        version = registry.register(run, receipt, evaluation, verdict)
        registry.promote(version, "for the playground", "a test")

    return make


def _manifest(rows: int) -> TrainingSetManifest:
    window = Window(start=datetime(2024, 1, 1), end=AS_OF, rows=rows)
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
        created_at=AS_OF,
    )
