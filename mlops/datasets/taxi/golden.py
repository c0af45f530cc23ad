"""Golden requests about trips: ordinary ones for deployments, odd ones for compiled models."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.dataset import GoldenRequests
from mlops.datasets.taxi.features.sums import ZONES
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    NUMBER_OF_ZONES,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    REQUEST_COLUMNS,
    TRIP_TYPE,
    UNKNOWN_ZONES,
)

ROWS: Final = 32
_ODD_ROWS: Final = 48
_ODD_SEED: Final = 20_240_119
_HOURS: Final = 6 * 24  # spread over: within any server's limits on dates


def ordinary_requests(as_of: datetime) -> GoldenRequests:
    """Return what each deployment asks.

    Every trip is within the data contract and has all that a request can say, so nothing is
    imputed, and artifact and endpoint must answer the same.

    Args:
        as_of: End of the model's route history; the trips begin after it.

    Returns:
        `ROWS` requests; the frame has `REQUEST_COLUMNS`, nothing missing.
    """
    random = np.random.default_rng(20_240_301)
    minutes = random.integers(0, _HOURS * 60, ROWS)
    zones = np.setdiff1d(np.arange(1, NUMBER_OF_ZONES + 1), list(UNKNOWN_ZONES))
    values = {
        PICKUP_AT: pd.Timestamp(as_of).normalize() + pd.to_timedelta(minutes, unit="min"),
        "pickup_zone": random.choice(zones, ROWS),
        "dropoff_zone": random.choice(zones, ROWS),
        "trip_distance": random.uniform(0.5, 15, ROWS).round(2),
        "passenger_count": random.integers(1, 5, ROWS),
        "rate_code": np.ones(ROWS),
        "trip_type": random.integers(1, 3, ROWS),
        "vendor_id": random.integers(1, 3, ROWS),
    }
    requests = pd.DataFrame(values)[list(REQUEST_COLUMNS)].astype(REQUEST_COLUMNS)
    times = [at.isoformat() for at in requests[PICKUP_AT]]
    bodies = requests.assign(**{PICKUP_AT: times}).to_dict("records")
    return GoldenRequests(requests, [{str(name): v for name, v in b.items()} for b in bodies])


def odd_requests(as_of: datetime) -> pd.DataFrame:
    """Make the requests that prove a bundle: always the same for the same day.

    All kinds of zones, distances and missing values, at times of the year after that day.

    Returns:
        The columns that `CompiledModel.predict_one` takes, in its order.
    """
    random = np.random.default_rng(_ODD_SEED)
    rows = _ODD_ROWS

    def some(values: Any, share_missing: float) -> npt.NDArray[np.float64]:
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
