"""Golden requests: the same few trips each deployment asks, of the artifact and of the endpoint.

They are ordinary trips, every one within the data contract, with all that a request can say: so
nothing is imputed, and artifact and endpoint must answer the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.taxi.trips import NUMBER_OF_ZONES, PICKUP_AT, REQUEST_COLUMNS, UNKNOWN_ZONES

ROWS: Final = 32
_HOURS: Final = 6 * 24  # spread over: within any server's limits on dates


def golden_requests(as_of: datetime) -> pd.DataFrame:
    """Return the golden requests for a model.

    Args:
        as_of: End of the model's route history; the trips begin after it.

    Returns:
        `REQUEST_COLUMNS`, `ROWS` rows, nothing missing.
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
    return pd.DataFrame(values)[list(REQUEST_COLUMNS)].astype(REQUEST_COLUMNS)


def as_json(requests: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return requests as the bodies that the online server takes."""
    times = [at.isoformat() for at in requests[PICKUP_AT]]
    return requests.assign(**{PICKUP_AT: times}).to_dict("records")
