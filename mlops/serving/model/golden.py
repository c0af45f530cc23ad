"""Golden requests: by them, a compiled model proves that it answers like the trained one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops.datasets.answers import ANSWER
from mlops.serving.model.bundle import Golden, tolerance
from mlops.serving.model.encoders import ServedEncoder
from mlops.serving.model.kernels import Values
from mlops.training.artifact import TabularModel
from mlops.training.intervals import ResidualInterval


def golden_answers(model: TabularModel, encoder: ServedEncoder) -> Golden:
    """Ask a trained model the golden requests of its encoder."""
    requests = encoder.golden_requests()
    answers = model.predict(requests)[list(ANSWER)].to_numpy()
    certain = _away_from_edges(answers[:, 0], model)
    requests, answers = requests[certain], answers[certain]
    return Golden(
        requests={
            name: tuple(_json_value(value) for value in requests[name].tolist())
            for name in requests
        },
        answers=tuple(tuple(_json_value(value) for value in row) for row in answers.tolist()),
    )


def _away_from_edges(center: Values, model: TabularModel) -> npt.NDArray[np.bool_]:
    """Tell which answers have the same bounds when the prediction changes in its last digits.

    Errors seen around predictions jump from bin to bin.
    """
    if not isinstance(model.interval, ResidualInterval):
        return np.ones(len(center), bool)
    apart = np.abs(center[:, None] - model.interval.edges)
    return np.asarray((apart > tolerance(model.shortest, model.longest)).all(axis=1))


def _json_value(value: Any) -> Any:
    if value is None or value != value:  # NaN, or a time that is missing
        return None
    return value.isoformat() if isinstance(value, datetime) else value
