"""A real MLflow on SQLite in a temporary home, and the small things a candidate is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from mlops.data.references import Extraction, QualityReport, TrainingSetManifest, Window
from mlops.evaluation.evaluate import Evaluation
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.registry import flavor
from mlops.registry.receipts import Receipt, collect_receipt
from mlops.settings import Settings, TrackingSettings

DATA_HASH = "ab" * 32


@dataclass(frozen=True)
class ConstantModel:
    """The smallest model that can be saved, loaded and asked."""

    minutes: float
    encoder: ClassVar[None] = None  # its requests are those of trips

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        middle = np.full(len(frame), self.minutes)
        return pd.DataFrame(
            {"prediction_minutes": middle, "lower_minutes": middle - 1, "upper_minutes": middle + 1}
        )

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.minutes))

    @classmethod
    def loads(cls, content: bytes, source: str) -> ConstantModel:
        return cls(json.loads(content))


@dataclass(frozen=True)
class FakeTrial:
    number: int
    params: dict[str, Any]
    rmse: float | None
    mae: float | None = 3.0
    seconds: float = 0.5
    status: str = "ok"


@dataclass(frozen=True)
class FakeSearch:
    trials: list[FakeTrial]
    learning_curve: list[float] = field(default_factory=lambda: [6.0, 5.0, 4.5])


@pytest.fixture(autouse=True)
def constant_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load `ConstantModel` where production loads `TabularModel`."""
    monkeypatch.setattr(flavor, "unpickled", ConstantModel.loads)


@pytest.fixture(scope="session")
def constant_model() -> type[ConstantModel]:
    return ConstantModel


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One home per module: creating the database takes the better part of a second."""
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture
def registry_of_one_test(home: Settings, request: pytest.FixtureRequest) -> Settings:
    """The module's home with a registered model and an experiment of the test's own."""
    name = re.sub(r"\W", "_", request.node.name)
    tracking = TrackingSettings(experiment=name, model_name=name)
    return home.model_copy(update={"tracking": tracking})


@pytest.fixture(scope="session")
def manifest() -> TrainingSetManifest:
    window = Window(start=datetime(2024, 1, 1), end=datetime(2024, 2, 1), rows=3)
    return TrainingSetManifest(
        sha256=DATA_HASH,
        uri="/store/training_sets/abab",
        rows=9,
        columns={"pickup_at": "datetime64[us]", "trip_distance": "float64"},
        parts=(),
        train=window,
        validation=window,
        test=window,
        extraction=Extraction(kind="sample", taxi="green", synthetic=True, files=()),
        quality=QualityReport(
            rows_read=9, rows_kept=9, rows_quarantined=0, bad_share=0, rules=(), quarantine_uri=None
        ),
        feature_version="1",
        code_commit="c0ffee",
        created_at=datetime(2024, 3, 1),
    )


@pytest.fixture(scope="session")
def receipt(manifest: TrainingSetManifest) -> Receipt:
    variables = {"pipeline_uuid": "sklearn_training", "pipeline_run_id": 7}
    return collect_receipt(manifest, "lasso", {"alpha": 0.1, "steps": 3}, Settings(), variables)


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    metrics = regression_metrics([10, 20, 30], [11, 19, 33])
    return Evaluation(metrics=metrics, interval=None, slices=(), latency_ms=2, size_mb=1)


@pytest.fixture(scope="session")
def verdict() -> Callable[[bool], Verdict]:
    def make(passed: bool) -> Verdict:
        rule = RuleResult(
            rule="latency",
            value=2,
            sense="<=",
            limit=25,
            unit="ms",
            passed=passed,
            why="it takes 2.0 ms",
        )
        summary = "passed" if passed else "refused by latency: it takes 2.0 ms"
        return Verdict(passed=passed, rules=(rule,), summary=summary)

    return make


@pytest.fixture(scope="session")
def search() -> FakeSearch:
    return FakeSearch([FakeTrial(i, {"alpha": i / 10}, 5.0 - i / 10) for i in range(4)])
