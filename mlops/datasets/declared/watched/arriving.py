"""How rows and labels arrive: in new files, or in files that grow; see `Arriving`.

A location with ``{month}`` names the months. Files without one hold rows of any time: every month
of which they have a row lies in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from mlops.data.locations import named_in
from mlops.data.origins import TripOrigin
from mlops.data.references import SourceFile
from mlops.datasets.declared.preparing.extracting import extract, months_at
from mlops.datasets.declared.preparing.validating import declared_rules_in_force
from mlops.datasets.declared.reading import MONTH, iter_frames
from mlops.datasets.declared.rules import broken_rules
from mlops.datasets.declared.watched.labels import ActualRows
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.watching import CameRows, MonthFiles
from mlops.settings import Settings


@dataclass(frozen=True)
class RowsArriving:
    """The files of a dataset.

    Attributes:
        definition: Of the dataset, with the source in force.
        settings: The cache.
    """

    definition: DatasetDefinition
    settings: Settings

    @property
    def origin(self) -> TripOrigin:
        """Rows of this dataset, none of them generated."""
        return TripOrigin("", synthetic=False, dataset=self.definition.name)

    def there(self, months: Iterable[str], today: date) -> MonthFiles:
        """Find the files of those of some months that there are."""
        named = self._named_months()
        if named is None:
            files = self._files("") if (wanted := set(months)) else ()
            return dict.fromkeys(sorted(wanted), files)
        return {month: self._files(month) for month in sorted(named & set(months))}

    def after(self, newest: str, today: date) -> MonthFiles:
        """Find the files of the months after one."""
        named = self._named_months()
        if named is None:
            files = self._files("")
            events = self.rows(files)[self.definition.event].dropna().to_numpy()
            return {
                str(month): files
                for month in np.unique(events.astype("datetime64[M]"))
                if newest < str(month) <= f"{today:%Y-%m}"
            }
        return {month: self._files(month) for month in sorted(named) if month > newest}

    def rows(self, files: Sequence[SourceFile]) -> pd.DataFrame:
        """Read rows with all their columns."""
        frames = [frame for file in files for frame in iter_frames(self.definition, file.uri)]
        return pd.concat(frames, ignore_index=True)

    def judged(self, month: str, files: Sequence[SourceFile]) -> CameRows:
        """Read rows and hold them to the rules, wherever they lie."""
        rows = self.rows(files)
        rules = [
            rule
            for rule in declared_rules_in_force(self.definition, self.settings.validation)
            if rule.action == "quarantine"
        ]
        broken = broken_rules(rules, rows)
        return CameRows.of(rows, broken, {rule.name for rule in rules if rule.asked})

    def actual(self, files: Sequence[SourceFile]) -> ActualRows:
        """Read what turned out of rows, to be found by their keys."""
        return ActualRows.of(self.definition, self.rows(files))

    def _named_months(self) -> frozenset[str] | None:
        """Return the months of which there are files; None if files do not say their month."""
        locations = named_in(self.definition.source.location)
        if not any(MONTH in location for location in locations):
            return None
        return frozenset(month for location in locations for month in months_at(location))

    def _files(self, month: str) -> tuple[SourceFile, ...]:
        source = self.settings.source.model_copy(
            update={"months": month, "location": self.definition.source.location}
        )
        settings = self.settings.model_copy(update={"source": source})
        return extract(self.definition, settings).files
