"""Which months of the source are there by now, and their trips: how labels arrive.

A month that the source does not have yet is no error: its labels have not arrived. A source that
cannot be reached is reported, and monitoring continues without labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops import progress
from mlops.data.references import SourceFile
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sources import extract
from mlops.datasets.taxi.sources.news import months_there
from mlops.errors import MlopsError
from mlops.monitoring.windows.labels import COLUMNS, ActualTrips
from mlops.monitoring.windows.staging import to_wall_clock
from mlops.settings import Settings

# A month with less of a window's pickups is where a few strays lie: not worth a download.
_LEAST_SHARE: Final = 0.01


class Arrivals:
    """The trips of the configured source, as far as they have arrived.

    Args:
        settings: `settings.source` and the cache.
        months: That may be asked for.
        now: With time zone.
    """

    def __init__(self, settings: Settings, months: Iterable[str], now: datetime) -> None:
        self._taxi = settings.source.taxi
        self._clock = settings.validation.clock
        self._files = _files(settings, sorted(set(months)), to_wall_clock(now).date())
        self._actual = lru_cache(maxsize=2)(self._read)

    def found(self, months: Iterable[str]) -> dict[str, str]:
        """Return, by month, the hash of what the source has of it; empty if it has nothing."""
        return {
            month: "+".join(file.sha256 for file in self._files.get(month, ())) for month in months
        }

    def news(self, looked_in: Mapping[str, str]) -> bool:
        """Tell whether a month has arrived, or changed, since labels were looked for."""
        return any(sha and sha != looked_in[month] for month, sha in self.found(looked_in).items())

    def label(self, rows: pd.DataFrame, months: Iterable[str]) -> pd.DataFrame:
        """Return rows with their labels, as far as the months have arrived."""
        there = tuple(month for month in months if month in self._files)
        return self._actual(there).label(rows) if there else rows

    def _read(self, months: tuple[str, ...]) -> ActualTrips:
        files = (file for month in months for file in self._files[month])
        frames = [read_trips(file.uri, self._taxi, COLUMNS, clock=self._clock) for file in files]
        return ActualTrips.of(pd.concat(frames, ignore_index=True))


def months_of(pickups: Any) -> tuple[str, ...]:
    """Return the months in which pickups lie, but for those of a few strays."""
    known = pd.Series(pickups).dropna()
    months = known.to_numpy("datetime64[M]")
    found, counts = np.unique(months, return_counts=True)
    return tuple(str(month) for month in found[counts >= _LEAST_SHARE * len(months)])


def month_files(settings: Settings, months: Iterable[str]) -> dict[str, tuple[SourceFile, ...]]:
    """Bring months within reach that the source has; raises what `extract` raises."""
    wanted = set(months)
    asked = set(wanted)
    if settings.source.kind == "sample":  # only the last month drifts: say which that is
        asked |= {settings.source.month_list[-1]}
    if not wanted:
        return {}
    source = settings.source.model_copy(update={"months": ",".join(sorted(asked))})
    extraction = extract(settings.model_copy(update={"source": source}))
    return {
        month: tuple(file for file in extraction.files if file.month == month)
        for month in sorted(wanted & set(extraction.months))
    }


def _files(settings: Settings, months: list[str], today: date) -> dict[str, tuple[SourceFile, ...]]:
    try:
        return month_files(settings, months_there(settings.source, months, today, settings.cache))
    except MlopsError as error:
        progress.report(f"no labels can be requested now: {error.message}")
        return {}
