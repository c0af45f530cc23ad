"""Why the champion predicts what it predicts, in minutes per feature."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from mlops.datasets.taxi.trips import REQUEST_COLUMNS
from mlops.inference.trip import TripRequest
from mlops.serving.answers.errors import RequestError
from mlops.serving.answers.limits import Columns
from mlops.serving.answers.plain_lists import Trips
from mlops.serving.answers.routing import CHAMPION, Version

MAX_EXPLAINED: Final = 100


def explained(version: Version, trips: TripRequest | Trips, request_id: str) -> bytes:
    """Explain predictions.

    Args:
        version: To explain.
        trips: One or a few.
        request_id: Of the request.

    Returns:
        JSON: per trip the prediction, the base value and the contribution of every feature; these
        add up to ``sum_minutes``, which is the prediction before it is held to the durations that
        the model was taught.

    Raises:
        RequestError: 413 if there are more than `MAX_EXPLAINED`.
    """
    if isinstance(trips, Trips) and len(trips) > MAX_EXPLAINED:
        raise RequestError(
            413, "trips", f"{len(trips)} trips are too many: at most {MAX_EXPLAINED} are explained"
        )
    columns = trips.columns if isinstance(trips, Trips) else columns_of(trips)
    found = version.model.explain(columns)
    head = version.model.head
    ids = trips.ids if isinstance(trips, Trips) else [trips.trip_id]
    rows = [
        {
            **({} if i is None else {"trip_id": i}),
            "prediction_minutes": _rounded(min(max(minutes, head.shortest), head.longest)),
            "sum_minutes": _rounded(minutes),
            "base_minutes": _rounded(found.base),
            "contributions": {
                name: _rounded(value) for name, value in zip(found.features, row, strict=True)
            },
        }
        for i, minutes, row in zip(
            ids or [None] * len(found.contributions),
            found.minutes,
            found.contributions,
            strict=True,
        )
    ]
    content: dict[str, Any] = {"explanations": rows} if isinstance(trips, Trips) else rows[0]
    synthetic = {"synthetic": True} if version.synthetic else {}
    content |= {
        "model_version": version.number,
        **synthetic,
        "role": CHAMPION,
        "request_id": request_id,
    }
    return json.dumps(content).encode()


def columns_of(trip: TripRequest) -> Columns:
    """Return one trip as columns of length one."""
    return {
        name: np.array([getattr(trip, name)], dtype=kind) for name, kind in REQUEST_COLUMNS.items()
    }


def _rounded(value: float) -> float:
    return round(float(value), 6)
