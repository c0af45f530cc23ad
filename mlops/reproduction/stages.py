"""What is compared of a model and the one made again, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd

from mlops.counting import counted
from mlops.datasets.answers import ANSWER
from mlops.datasets.dataset import Encoder
from mlops.evaluation.metrics import interval_metrics, regression_metrics
from mlops.evaluation.results import Evaluation
from mlops.reproduction.differences import differences
from mlops.reproduction.findings import (
    FEATURES,
    INTERVAL,
    METRICS,
    MODEL,
    PREDICTIONS,
    Evidence,
    Stage,
    compared,
)
from mlops.training.artifact import TabularModel

_PLACES: Final = 20  # kept as evidence
_FIT: Final = ("family", "params", "rows", "shortest", "longest", "estimator")


def compare_features(stored: TabularModel, encoder: Encoder) -> Stage:
    """Compare the names of the features, and what the encoders know of the past."""
    pairs: dict[str, tuple[object, object]] = {
        "features": (list(stored.features), list(encoder.layout.names)),
        "encoder": (stored.encoder, encoder),
    }
    return _walked(FEATURES, pairs, f"{len(stored.features)} features, known history equal")


def compare_fit(stored: TabularModel, rebuilt: TabularModel) -> Stage:
    """Compare hyperparameters, then everything the estimator learned: trees, coefficients."""
    pairs = {name: (getattr(stored, name), getattr(rebuilt, name)) for name in _FIT}
    return _walked(MODEL, pairs, f"{stored.family} on {stored.rows:,} rows: every number equal")


def compare_interval(stored: TabularModel, rebuilt: TabularModel) -> Stage:
    """Compare the prediction intervals: edges and margins, and the model of quantiles."""
    pairs = {"interval": (stored.interval, rebuilt.interval)}
    return _walked(INTERVAL, pairs, f"{type(stored.interval).__name__}: every number equal")


def compare_answers(
    stored: TabularModel,
    rebuilt: TabularModel,
    evaluation: Evaluation,
    test: pd.DataFrame,
) -> Iterator[Stage]:
    """Compare what both answer on the test window, and the metrics of that with the record.

    Args:
        stored: The registered model.
        rebuilt: The model made again; without an interval only its centre is compared.
        evaluation: What was recorded when the version was registered.
        test: The rows of the test window, with their answers.
    """
    columns = ANSWER if rebuilt.interval is not None else ANSWER[:1]
    before, now = (model.predict(test)[list(columns)] for model in (stored, rebuilt))
    yield _predictions(before, now)
    actual = test[stored.target].to_numpy(dtype=np.float64)
    center, *bounds = (now[name].to_numpy(dtype=np.float64) for name in columns)
    recorded = evaluation.metrics.model_dump()
    found = regression_metrics(actual, center).model_dump()
    if bounds and evaluation.interval is not None:
        recorded |= evaluation.interval.model_dump()
        found |= interval_metrics(actual, *bounds).model_dump()
    evidence = [
        Evidence(what=name, recorded=str(value), found=str(found[name]))
        for name, value in recorded.items()
    ]
    yield compared(METRICS, evidence, f"RMSE {found['rmse']:.4f}, as recorded")


def _predictions(before: pd.DataFrame, now: pd.DataFrame) -> Stage:
    apart = np.abs(before.to_numpy() - now.to_numpy())
    changed = (before.to_numpy() != now.to_numpy()).any(axis=1)
    if not changed.any():
        same = f"{len(before):,} rows of the test window: bit for bit"
        return Stage(name=PREDICTIONS, outcome="same", summary=same)
    worst = int(np.argmax(apart.max(axis=1)))
    evidence = tuple(
        Evidence(
            what=f"{name}, row {worst}",
            recorded=str(before[name].iloc[worst]),
            found=str(now[name].iloc[worst]),
        )
        for name in before
    )
    return Stage(
        name=PREDICTIONS,
        outcome="differs",
        summary=f"{int(changed.sum()):,} of {len(before):,} rows are answered differently,"
        f" by at most {apart.max():.6g}",
        evidence=evidence,
    )


def _walked(name: str, pairs: Mapping[str, tuple[object, object]], same: str) -> Stage:
    found = [d for what, pair in pairs.items() for d in differences(*pair, what)]
    if not found:
        return Stage(name=name, outcome="same", summary=same)
    more = f"; and {counted(len(found) - 1, 'more place')}" if len(found) > 1 else ""
    return Stage(
        name=name,
        outcome="differs",
        summary=f"{found[0]}{more}",
        evidence=tuple(
            Evidence(what=d.where, recorded=d.stored, found=d.rebuilt) for d in found[:_PLACES]
        ),
    )
