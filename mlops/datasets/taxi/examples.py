"""Trips by which a model is explained to people: which are plain enough, and how they read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES
from mlops.datasets.taxi.trips import DISTANCE, DROPOFF_ZONE, PICKUP_AT, PICKUP_ZONE
from mlops.datasets.taxi.zone_names import zone_label


def is_measured(trips: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which trips have a distance that a meter measures: the others make odd examples."""
    if DISTANCE not in trips:
        return np.zeros(len(trips), dtype=bool)
    miles = trips[DISTANCE].to_numpy(dtype=np.float64)
    return np.asarray((miles > MIN_MILES) & (miles <= MAX_MILES))


def described(trip: pd.Series[Any]) -> str:
    """Return the time, the zones and the distance of a trip."""
    miles = float(trip.get(DISTANCE, float("nan")))
    distance = f", {miles:.1f} miles" if np.isfinite(miles) else ""
    zones = [zone_label(int(trip[name])) for name in (PICKUP_ZONE, DROPOFF_ZONE)]
    return f"{trip[PICKUP_AT]:%Y-%m-%d %H:%M}, from {zones[0]} to {zones[1]}{distance}"
