"""What history knows of a route on a given day, computed once for training and for serving.

A trip picked up on a day sees only trips that had ended before that day began, so no row sees its
own future; and a frozen snapshot of that morning answers exactly what the history answered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS, Ints, day_number, moments
from mlops.datasets.taxi.features.positions import zone_positions
from mlops.datasets.taxi.features.smoothing import (
    ROUTE_COLUMNS,
    Array,
    dropoff_band_pace,
    measured_routes,
    pickup_band_pace,
    route_columns,
)
from mlops.datasets.taxi.features.sums import (
    NUMBER_OF_KEYS,
    ZONES,
    PastTrips,
    Quantity,
    Sums,
    band_code,
    route_code,
    zone_codes,
)
from mlops.datasets.taxi.trips import DROPOFF_AT, DROPOFF_ZONE, PICKUP_AT, PICKUP_ZONE
from mlops.errors import DataQualityError, MlopsError
from mlops.records.atomic import atomic_file
from mlops.settings import FeatureSettings

BAND_COLUMNS: Final = ("pickup_hour_pace", "dropoff_hour_pace")
AS_OF_COLUMNS: Final = (*ROUTE_COLUMNS, *BAND_COLUMNS)
_TABLES: Final = ("routes", "pickup_bands", "dropoff_bands", "positions")


@dataclass(frozen=True, eq=False)
class RouteStatistics:
    """History of routes, frozen on the morning of a day; plain tables, safe to share and pickle.

    Attributes:
        as_of: Only trips that ended before this day are known.
        routes: `ROUTE_COLUMNS` of every route, shape ``(ZONES**2, len(ROUTE_COLUMNS))``.
        pickup_bands: Pace from each zone at each part of the day, ``(ZONES * BANDS,)``.
        dropoff_bands: Pace to each zone at each part of the day, ``(ZONES * BANDS,)``.
        positions: Where zones lie, in miles, ``(ZONES, dimensions)``; NaN where unknown.
    """

    as_of: datetime
    routes: Array
    pickup_bands: Array
    dropoff_bands: Array
    positions: Array

    @classmethod
    def of(cls, trips: pd.DataFrame, as_of: datetime, settings: FeatureSettings) -> RouteStatistics:
        """Build the snapshot of a day from trips in any order; later trips are ignored.

        Args:
            trips: Pickup and dropoff times and zones, distance (miles) and duration (minutes).
            as_of: Any time of the day the snapshot is for.
            settings: Smoothing and half-life.
        """
        past = trips[trips[PICKUP_AT] < pd.Timestamp(as_of).normalize()]
        history = RouteHistory(settings)
        history.add(past.sort_values(PICKUP_AT, kind="stable"))
        return history.statistics(as_of)

    def lookup(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return `AS_OF_COLUMNS` (float32) for requests, with the index of ``frame``."""
        pickup, dropoff = zone_codes(frame[PICKUP_ZONE]), zone_codes(frame[DROPOFF_ZONE])
        band = moments(frame[PICKUP_AT]).band
        route = self.routes[route_code(pickup, dropoff)]
        columns = dict(zip(ROUTE_COLUMNS, route.T, strict=True))
        columns[BAND_COLUMNS[0]] = self.pickup_bands[band_code(pickup, band)]
        columns[BAND_COLUMNS[1]] = self.dropoff_bands[band_code(dropoff, band)]
        return pd.DataFrame(columns, index=frame.index)

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        digest = hashlib.sha256(self.as_of.isoformat().encode())
        for table in (getattr(self, name) for name in _TABLES):
            digest.update(f"{table.shape}".encode() + np.ascontiguousarray(table).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the snapshot as one ``.npz`` file, whole or not at all."""
        tables = {name: getattr(self, name) for name in _TABLES}
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, as_of=np.array(self.as_of, dtype="datetime64[us]"), **tables)

    @classmethod
    def load(cls, path: Path) -> RouteStatistics:
        """Read a snapshot written by `save`.

        Raises:
            MlopsError: If the file is missing or is no such snapshot.
        """
        try:
            with np.load(path, allow_pickle=False) as tables:
                stored = dict(tables)
            return cls(as_of=stored.pop("as_of").item(), **stored)
        except (OSError, EOFError, BadZipFile, ValueError, TypeError, KeyError) as error:
            raise MlopsError(
                f"{path}: cannot be read as route statistics: {error}",
                "build them again with: mlops pipeline run route_statistics",
            ) from error


class RouteHistory:
    """Trips summed in order of time; memory holds tables of fixed size and the trips of a day.

    Args:
        settings: Smoothing, and the half-life with which a trip's weight decays from day to day.
    """

    def __init__(self, settings: FeatureSettings) -> None:
        self._smoothing = settings.route_smoothing
        self._keep_per_day = 0.5 ** (1 / settings.route_half_life_days)
        self._sums: Sums = np.zeros((len(Quantity), NUMBER_OF_KEYS))
        self._summed_day: int | None = None  # trips that ended up to this day are in the sums
        self._ended: dict[int, list[PastTrips]] = {}  # day of the dropoff → trips not yet summed
        self._last_day: int | None = None  # of a pickup

    def annotate(self, trips: pd.DataFrame) -> pd.DataFrame:
        """Tell what was known on the day of each trip, then learn from the trips.

        Args:
            trips: Sorted by pickup, none earlier than the day of the last trip seen before.

        Returns:
            `AS_OF_COLUMNS`, float32, with the index of ``trips``.

        Raises:
            DataQualityError: If the trips go back in time.
        """
        past, day, ended = self._read(trips)
        result = np.empty((len(trips), len(AS_OF_COLUMNS)), dtype=np.float32)
        first_rows = np.flatnonzero(np.diff(day, prepend=day[:1] - 1))
        for start, end in pairwise([*first_rows.tolist(), len(day)]):
            today = past.rows(slice(start, end))
            sums = self._known_on(int(day[start]))
            known = result[start:end]
            known[:, :-2] = route_columns(sums, today.pickup, today.dropoff, self._smoothing)
            known[:, -2] = pickup_band_pace(sums, today.pickup, today.band, self._smoothing)
            known[:, -1] = dropoff_band_pace(sums, today.dropoff, today.band, self._smoothing)
            self._wait(today, ended[start:end])
        return pd.DataFrame(result, columns=list(AS_OF_COLUMNS), index=trips.index)

    def add(self, trips: pd.DataFrame) -> None:
        """Learn from trips without annotating them; same order as for `annotate`."""
        past, _, ended = self._read(trips)
        self._wait(past, ended)

    def statistics(self, as_of: datetime) -> RouteStatistics:
        """Freeze what is known on the morning of a day.

        Args:
            as_of: Any time of a day not before the last day annotated.
        """
        sums = self._known_on(day_number(as_of))
        zones = np.arange(ZONES)
        pickup, dropoff = np.repeat(zones, ZONES), np.tile(zones, ZONES)
        zone, band = np.repeat(zones, NUMBER_OF_BANDS), np.tile(np.arange(NUMBER_OF_BANDS), ZONES)
        return RouteStatistics(
            as_of=as_of,
            routes=route_columns(sums, pickup, dropoff, self._smoothing),
            pickup_bands=pickup_band_pace(sums, zone, band, self._smoothing),
            dropoff_bands=dropoff_band_pace(sums, zone, band, self._smoothing),
            positions=zone_positions(*measured_routes(sums)),
        )

    def _read(self, trips: pd.DataFrame) -> tuple[PastTrips, Ints, Ints]:
        """Return what is summed of trips, the days of their pickups and of their dropoffs."""
        picked_up = moments(trips[PICKUP_AT])
        day = picked_up.day
        if len(day):
            last = day[0] if self._last_day is None else self._last_day
            if (np.diff(day, prepend=last) < 0).any():
                raise DataQualityError(
                    f"{PICKUP_AT}: the trips are not in order of pickup",
                    "sort the trips by pickup, and let the rule pickup_outside_month quarantine",
                )
            self._last_day = int(day[-1])
        ended = moments(trips[DROPOFF_AT]).day
        return PastTrips.of(trips, picked_up.band), day, np.maximum(ended, day)

    def _wait(self, past: PastTrips, ended: Ints) -> None:
        for day in np.unique(ended):
            self._ended.setdefault(int(day), []).append(past.rows(ended == day))

    def _known_on(self, day: int) -> Sums:
        """Return the sums over trips that ended before a day; yesterday's weigh one each."""
        if self._summed_day is not None and day <= self._summed_day:
            raise ValueError("history cannot be read for a day before the last one read")
        for ended in sorted(d for d in self._ended if d < day):
            if self._summed_day is not None:
                self._sums *= self._keep_per_day ** (ended - self._summed_day)
            self._sums += PastTrips.joined(self._ended.pop(ended)).total()
            self._summed_day = ended
        if self._summed_day is None:
            return self._sums
        # A new array: the next day adds to the sums in place.
        return np.asarray(self._sums * self._keep_per_day ** (day - 1 - self._summed_day))
