"""The city of the demonstration: synthetic months, until one day every trip takes much longer.

The months come from the bundled sample; from `CHANGED` on, a bridge is closed. A model that learned
before keeps promising the old durations, and requests look as they always did: the kind of change
that shows only when labels arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mlops.data.locations import month_file_name
from mlops.datasets.taxi.contract.validation import split_requests
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.sample.schema import SYNTHETIC_MARK
from mlops.datasets.taxi.trips import (
    DROPOFF_AT,
    PICKUP_AT,
    REQUEST_COLUMNS,
    TRIP_COLUMNS,
)
from mlops.records.atomic import atomic_file
from mlops.settings import Settings

LEARNED: Final = ("2023-12", "2024-01")
QUIET: Final = "2024-02"
CHANGED: Final = "2024-03"
AFTER: Final = "2024-04"
SLOWER: Final = 1.6
_TAXI: Final = "green"


class City:
    """Trips of a synthetic city, month by month.

    Args:
        settings: Say where published months lie (``source.location``), and what a request must be.
        scratch: Folder for what is generated.
        rows: Trips per month.
        seed: The same seed gives the same trips.
    """

    def __init__(self, settings: Settings, scratch: Path, rows: int, seed: int) -> None:
        self._settings = settings
        self._scratch = scratch
        self._rows = rows
        self._seed = seed

    def publish(self, *months: str) -> None:
        """Let months appear in the source's folder, whole: their trips have all ended."""
        for month in months:
            name = month_file_name(_TAXI, month)
            with atomic_file(Path(self._settings.source.location) / name) as path:
                trips = pa.Table.from_pandas(
                    self._trips(month)[list(TRIP_COLUMNS)], preserve_index=False
                )
                marked = {**(trips.schema.metadata or {}), **SYNTHETIC_MARK}
                pq.write_table(trips.replace_schema_metadata(marked), path)

    def requests(self, month: str) -> list[dict[str, Any]]:
        """Return what callers ask in a month, in the order of pickups, ready for JSON.

        Trips that break a rule known at pickup are left out: the server refuses them.
        """
        trips = self._trips(month)[list(REQUEST_COLUMNS)]
        starts = pd.Timestamp(month)
        trips = trips[trips[PICKUP_AT].between(starts, starts + pd.offsets.MonthBegin(1))]
        good, _ = split_requests(trips.drop_duplicates(), self._settings)
        good = good.sort_values(PICKUP_AT, kind="stable")
        texts = good.assign(**{PICKUP_AT: good[PICKUP_AT].dt.strftime("%Y-%m-%dT%H:%M:%S")})
        return [
            {str(name): value for name, value in record.items() if value == value}  # NaN: not given
            for record in texts.to_dict("records")
        ]

    def _trips(self, month: str) -> pd.DataFrame:
        path = self._scratch / month_file_name(_TAXI, month)
        if not path.exists():
            with atomic_file(path) as temporary:
                pq.write_table(generate_month(month, self._rows, self._seed), temporary)
        trips = read_trips(path, _TAXI)
        return slowed(trips) if month >= CHANGED else trips


def slowed(trips: pd.DataFrame) -> pd.DataFrame:
    """Return the same trips with the bridge closed: they take much longer."""
    lasted = (trips[DROPOFF_AT] - trips[PICKUP_AT]) * SLOWER
    ended = (trips[PICKUP_AT] + lasted).dt.floor("s").astype(trips[DROPOFF_AT].dtype)
    return trips.assign(**{DROPOFF_AT: ended})


def batches(trips: Sequence[dict[str, Any]], size: int) -> list[Sequence[dict[str, Any]]]:
    """Divide trips into requests of at most ``size``."""
    return [trips[start : start + size] for start in range(0, len(trips), size)]
