"""One model, one untouched window: everything the gate and a person want to know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mlops.datasets.answers import ANSWER
from mlops.datasets.dataset import Dataset
from mlops.evaluation.metrics import FloatArray, interval_metrics, regression_metrics
from mlops.evaluation.performance import Servable, prediction_latency_ms, saved_size_mb
from mlops.evaluation.results import Evaluation
from mlops.evaluation.slices import slice_metrics
from mlops.settings import EvaluationSettings


@dataclass(frozen=True)
class GateEvidence:
    """What the gate judges: the evaluation, and the row-by-row material behind it.

    Attributes:
        evaluation: The numbers.
        errors: Predicted - actual of each row of the window, shape ``(n,)``. Two models
            are compared on the same rows in the same order.
        labels: The slice of each row, one categorical column per dimension.
        receipt_gaps: Names of receipt fields that are missing (`Receipt.gaps`).
        unit: Of the errors, in short.
        floors: Largest errors with which a model of the dataset may pass, by metric.
    """

    evaluation: Evaluation
    errors: FloatArray
    labels: pd.DataFrame
    receipt_gaps: tuple[str, ...] = ()
    unit: str = ""
    floors: Mapping[str, float] = field(default_factory=dict)


def gather_evidence(
    model: Servable,
    frame: pd.DataFrame,
    dataset: Dataset,
    settings: EvaluationSettings,
    receipt_gaps: tuple[str, ...] = (),
) -> GateEvidence:
    """Predict a window once and measure everything.

    Args:
        model: The model to evaluate.
        frame: Rows the model has never seen, in the order of their time.
        dataset: That they belong to.
        settings: How latency is measured.
        receipt_gaps: What the model's receipt lacks; handed on to the gate.

    Raises:
        DataQualityError: If the window is empty or a prediction is NaN or infinite.
    """
    actual = frame[dataset.target].to_numpy(dtype=np.float64)
    predicted = model.predict(frame)
    answers, lower, upper = (predicted[name].to_numpy(np.float64) for name in ANSWER)
    labels = dataset.slices(frame)
    has_interval = not (np.isnan(lower).all() or np.isnan(upper).all())
    evaluation = Evaluation(
        metrics=regression_metrics(actual, answers),
        interval=interval_metrics(actual, lower, upper) if has_interval else None,
        slices=slice_metrics(labels, actual, answers),
        latency_ms=prediction_latency_ms(
            model,
            frame.drop(columns=dataset.target),
            settings.latency_samples,
            settings.latency_warm_up,
        ),
        size_mb=saved_size_mb(model),
    )
    return GateEvidence(
        evaluation=evaluation,
        errors=answers - actual,
        labels=labels,
        receipt_gaps=receipt_gaps,
        unit=dataset.unit,
        floors=dataset.floors,
    )
