"""When the trips of files took place, counted by the minute, so that no file is too large."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mlops.datasets.taxi.files.reading import iter_trips
from mlops.datasets.taxi.trips import PICKUP_AT
from mlops.errors import SourceError
from mlops.settings import Clock

_CHUNK_ROWS: Final = 1 << 18


def pickup_quantiles(
    files: Sequence[Path], taxi: str, shares: Iterable[float], clock: Clock
) -> list[pd.Timestamp]:
    """Return the pickup times below which shares of the trips lie, to the minute.

    Args:
        files: Local files of trips.
        taxi: ``green`` or ``yellow``.
        shares: Each 0 to 1.
        clock: As `settings.validation.clock`.

    Raises:
        SourceError: If a file cannot be read, or no trip has a pickup time.
    """
    counts: Counter[int] = Counter()
    for file in files:
        for trips in iter_trips(file, taxi, _CHUNK_ROWS, [PICKUP_AT], labels=False, clock=clock):
            pickups = trips[PICKUP_AT].dropna().to_numpy("datetime64[m]").astype(np.int64)
            known, times = np.unique(pickups, return_counts=True)
            counts.update(dict(zip(known.tolist(), times.tolist(), strict=True)))
    if not counts:
        raise SourceError(
            f"{', '.join(map(str, files))}: there are no trips with a pickup time",
            "give a file with trips, and with the month in its name, e.g. trips_2024-01.parquet",
        )
    minutes = np.array(sorted(counts))
    below = np.cumsum([counts[minute] for minute in minutes.tolist()])
    ranks = [min(int(share * below[-1]), int(below[-1]) - 1) for share in shares]
    found = minutes[np.searchsorted(below, ranks, side="right")]
    return [pd.Timestamp(minute, unit="m") for minute in found.tolist()]
