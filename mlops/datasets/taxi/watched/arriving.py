"""How trips and their durations arrive: by months; see `mlops.datasets.watching.Arriving`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import pandas as pd

from mlops.data.origins import TripOrigin
from mlops.data.references import SourceFile
from mlops.datasets.taxi.clock import minutes_between
from mlops.datasets.taxi.contract.rules import rules_in_force
from mlops.datasets.taxi.contract.schema import broken_rules, trip_schema
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sources import extract
from mlops.datasets.taxi.sources.news import months_after, months_there
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TARGET
from mlops.datasets.taxi.watched.labels import COLUMNS, ActualTrips
from mlops.datasets.watching import CameRows, MonthFiles
from mlops.settings import Settings

_OF_FILES: Final = "pickup_outside_month"  # a stray trip was requested at another time


@dataclass(frozen=True)
class TripsArriving:
    """The trips of the configured source.

    Attributes:
        settings: `settings.source` and the cache.
    """

    settings: Settings

    @property
    def origin(self) -> TripOrigin:
        """Of which taxi, and whether the trips are generated."""
        source = self.settings.source
        return TripOrigin(source.taxi, source.kind == "sample")

    def there(self, months: Iterable[str], today: date) -> MonthFiles:
        """Fetch or generate those of some months that there are."""
        settings = self.settings
        return self._files(months_there(settings.source, months, today, settings.cache))

    def after(self, newest: str, today: date) -> MonthFiles:
        """Fetch or generate the months after one."""
        return self._files(months_after(self.settings.source, newest, today))

    def rows(self, files: Sequence[SourceFile]) -> pd.DataFrame:
        """Read trips with their durations."""
        trips = self._read(files)
        return trips.assign(**{TARGET: minutes_between(trips[PICKUP_AT], trips[DROPOFF_AT])})

    def judged(self, month: str, files: Sequence[SourceFile]) -> CameRows:
        """Read trips and hold them to the data contract."""
        trips = self.rows(files)
        limits = self.settings.validation
        rules = rules_in_force(limits)
        broken = {
            name: mask
            for name, mask in broken_rules(trips, trip_schema(rules, limits, month)).items()
            if rules[name].action == "quarantine"
        }
        asked = {name for name, rule in rules.items() if rule.at_pickup}
        return CameRows.of(trips, broken, asked | {_OF_FILES})

    def actual(self, files: Sequence[SourceFile]) -> ActualTrips:
        """Read how long trips took."""
        return ActualTrips.of(self._read(files, COLUMNS))

    def _read(
        self, files: Sequence[SourceFile], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        taxi, clock = self.settings.source.taxi, self.settings.validation.clock
        frames = [read_trips(file.uri, taxi, columns, clock=clock) for file in files]
        return pd.concat(frames, ignore_index=True)

    def _files(self, months: Iterable[str]) -> MonthFiles:
        """Bring months within reach that the source has; raises what `extract` raises."""
        wanted = set(months)
        asked = set(wanted)
        if self.settings.source.kind == "sample":  # only the last month drifts: say which that is
            asked |= {self.settings.source.month_list[-1]}
        if not wanted:
            return {}
        source = self.settings.source.model_copy(update={"months": ",".join(sorted(asked))})
        extraction = extract(self.settings.model_copy(update={"source": source}))
        return {
            month: tuple(file for file in extraction.files if file.month == month)
            for month in sorted(wanted & set(extraction.months))
        }
