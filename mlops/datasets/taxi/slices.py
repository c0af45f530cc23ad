"""The slices of trips by which errors are compared: borough, hour, distance and day."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.trips import DISTANCE, DROPOFF_ZONE, PICKUP_AT, PICKUP_ZONE
from mlops.datasets.taxi.words import DAYS, DISTANCE_BANDS, HOUR_BANDS
from mlops.datasets.taxi.zones import borough_of

NO_DISTANCE: Final = "no distance given"


def slice_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Name the slice of each trip along each dimension.

    Args:
        frame: Trips with canonical request columns.

    Returns:
        One categorical column per dimension, same index; only slices that occur are categories,
        in their natural order.
    """
    at = frame[PICKUP_AT].dt
    day = at.dayofweek.to_numpy()
    boroughs = borough_of(frame[PICKUP_ZONE].to_numpy())
    miles = frame[DISTANCE].to_numpy(dtype=np.float64)
    distance = np.where(np.isnan(miles), NO_DISTANCE, _band(miles, DISTANCE_BANDS))
    columns = {
        "pickup borough": _ordered(boroughs, sorted(set(boroughs))),
        "hour": _ordered(_band(at.hour.to_numpy(), HOUR_BANDS), HOUR_BANDS.values()),
        "distance": _ordered(distance, [*DISTANCE_BANDS.values(), NO_DISTANCE]),
        "part of week": _ordered(np.where(day < 5, "weekday", "weekend"), ["weekday", "weekend"]),
        "day of week": _ordered(np.array(DAYS, dtype=object)[day], DAYS),
    }
    return pd.DataFrame(columns, index=frame.index)


def group_labels(trips: pd.DataFrame) -> pd.DataFrame:
    """Name the groups of each trip: its slices, and the borough where it ends."""
    dropoff = pd.Categorical(borough_of(trips[DROPOFF_ZONE].to_numpy()))
    labels = slice_labels(trips)
    labels.insert(1, "drop-off borough", pd.Series(dropoff, index=trips.index))
    return labels


def _band(values: npt.NDArray[Any], bands: dict[Any, str]) -> npt.NDArray[np.object_]:
    starts = np.array(list(bands), dtype=np.float64)
    position = np.clip(np.searchsorted(starts, values, side="right") - 1, 0, len(starts) - 1)
    return np.array(list(bands.values()), dtype=object)[position]


def _ordered(values: npt.NDArray[Any], order: Any) -> pd.Categorical:
    return pd.Categorical(values, categories=list(order)).remove_unused_categories()
