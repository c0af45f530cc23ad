"""Golden requests: by them, a compiled model proves that it answers like the trained one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.sums import ZONES
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    TRIP_TYPE,
    UNKNOWN_ZONES,
)
from mlops.serving.model.bundle import Golden, tolerance
from mlops.serving.model.encoders import ServedEncoder
from mlops.serving.model.kernels import Values
from mlops.training.artifact import OUTPUTS, TabularModel
from mlops.training.intervals import ResidualInterval

_ROWS: Final = 48
_SEED: Final = 20_240_119


def golden_answers(model: TabularModel, encoder: ServedEncoder) -> Golden:
    """Ask a trained model the golden requests of its encoder."""
    requests = encoder.golden_requests()
    answers = model.predict(requests)[list(OUTPUTS)].to_numpy()
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


def golden_requests(as_of: datetime) -> pd.DataFrame:
    """Make the requests that prove a bundle: always the same for the same day.

    All kinds of zones, distances and missing values, at times of the year after that day.

    Returns:
        The columns that `CompiledModel.predict_one` takes, in its order.
    """
    random = np.random.default_rng(_SEED)
    rows = _ROWS

    def some(values: Any, share_missing: float) -> Values:
        return np.where(random.random(rows) < share_missing, np.nan, values)

    minutes = random.integers(0, 365 * 24 * 60, rows)
    zones = random.integers(1, ZONES, (2, rows)).astype(np.int32)
    zones[:, 0] = max(UNKNOWN_ZONES)
    zones[1, 1:4] = zones[0, 1:4]
    miles = np.round(random.lognormal(0.8, 0.9, rows), 2)
    miles[:4] = (0.0, 0.03, 99.9, 150.0)
    return pd.DataFrame(
        {
            PICKUP_AT: [as_of + timedelta(minutes=int(m)) for m in minutes],
            PICKUP_ZONE: zones[0],
            DROPOFF_ZONE: zones[1],
            DISTANCE: some(miles, 0.2),
            PASSENGERS: some(random.integers(0, 7, rows), 0.2),
            RATE_CODE: some(random.choice([1, 2, 5], rows), 0.2),
            TRIP_TYPE: some(random.choice([1, 2], rows), 0.2),
        }
    )


def _json_value(value: Any) -> Any:
    if value is None or value != value:  # NaN, or a time that is missing
        return None
    return value.isoformat() if isinstance(value, datetime) else value
