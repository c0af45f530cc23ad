"""A dataset that a definition declares; see `mlops.datasets.dataset.Dataset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from mlops.datasets.catalogue import definition_file
from mlops.datasets.definition import DatasetDefinition
from mlops.settings import ALL_MONTHS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from mlops.data.references import (
        Extraction,
        FeatureTable,
        RouteStatisticsManifest,
        TrainingSetManifest,
        ValidatedTrips,
    )
    from mlops.datasets.dataset import Division, Encoder, GoldenRequests
    from mlops.datasets.declared.encoding import TableEncoder
    from mlops.datasets.declared.scoring import RowRequestFiles
    from mlops.datasets.declared.snapshots import HistorySnapshot
    from mlops.datasets.declared.watched.arriving import RowsArriving
    from mlops.datasets.declared.watched.watching import TableWatching
    from mlops.datasets.wording import DatasetWords
    from mlops.settings import Settings

# 1, 2 and 5 of each decade: nobody said how large answers are, and whoever compares two versions
# needs the same buckets of both.
_STEPS: Final = (*(step * 10.0**decade for decade in range(-1, 6) for step in (1, 2, 5)), 1e6)


@dataclass(frozen=True)
class DeclaredDataset:
    """A table with a definition."""

    definition: DatasetDefinition
    answer = "prediction"
    answer_bounds = (*(-step for step in reversed(_STEPS)), 0.0, *_STEPS)

    @property
    def name(self) -> str:
        """In commands, folders and the registry."""
        return self.definition.name

    @property
    def target(self) -> str:
        """Column of what is predicted."""
        return self.definition.task.target

    @property
    def event(self) -> str:
        """Column of the time at which a prediction is asked for; empty where there is none."""
        return self.definition.event

    @property
    def zone(self) -> ZoneInfo:
        """Of the wall clock that events are told by."""
        return ZoneInfo(self.definition.zone)

    @property
    def unit(self) -> str:
        """Unit of the target; empty if it has none."""
        return self.definition.task.unit

    @property
    def optional(self) -> tuple[str, ...]:
        """The features."""
        return tuple(self.definition.features)

    @property
    def floors(self) -> Mapping[str, float]:
        """Largest errors with which a model may pass the gate."""
        return {str(name): limit for name, limit in self.definition.floors.items()}

    def definition_files(self, settings: Settings) -> tuple[Path, ...]:
        """Return the file of the definition."""
        return (definition_file(settings.dataset),)

    def extract(self, settings: Settings) -> Extraction:
        """Find the files of the months asked for."""
        from mlops.datasets.declared.preparing.extracting import extract

        return extract(self.definition, settings)

    def as_extracted(self, extraction: Extraction, settings: Settings) -> Settings:
        """Return the configuration with the months that were found, if all were asked for."""
        from mlops.datasets.declared.preparing.extracting import as_extracted

        return as_extracted(settings, extraction)

    def validate(self, extraction: Extraction, settings: Settings) -> ValidatedTrips:
        """Hold every row to the rules of the definition."""
        from mlops.datasets.declared.preparing.validating import validate

        return validate(self.definition, extraction, settings)

    def build(self, validated: ValidatedTrips, settings: Settings) -> FeatureTable:
        """Add the histories known on the day of each row, and its window."""
        from mlops.datasets.declared.preparing.building import build

        return build(self.definition, validated, settings)

    def freeze(
        self, training_set: TrainingSetManifest, settings: Settings
    ) -> RouteStatisticsManifest:
        """Publish the histories at the boundaries of the windows."""
        from mlops.datasets.declared.preparing.freezing import publish_histories

        return publish_histories(self.definition, training_set, settings)

    def history(self, file: Path) -> HistorySnapshot:
        """Read what was known of groups on a morning."""
        from mlops.datasets.declared.stored_snapshots import load_snapshot

        return load_snapshot(file)

    def divide(self, rows: pd.DataFrame, months: Sequence[str], settings: Settings) -> Division:
        """Divide rows by the lengths that the definition declares, back from the last month."""
        from mlops.data.months import month_bounds
        from mlops.datasets.dataset import Division
        from mlops.datasets.declared.splitting import split_days, split_rows

        _, end = month_bounds(months[-1])
        days = split_days(self.definition, rows, end)
        masks = split_rows(self.definition, rows, end)
        return Division(*masks, days.validation, days.test)

    def annotate(self, rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
        """Compute the histories of each row."""
        from mlops.datasets.declared.histories import DatasetHistory

        return DatasetHistory(self.definition).annotate(rows)

    def past(self, rows: pd.DataFrame, as_of: datetime, settings: Settings) -> HistorySnapshot:
        """Compute what rows tell of groups."""
        from mlops.datasets.declared.histories import snapshot_of

        return snapshot_of(self.definition, rows, as_of)

    def past_at_test(self, manifest: TrainingSetManifest, settings: Settings) -> HistorySnapshot:
        """Compute what is known of groups when the test window begins."""
        from mlops.datasets.declared.preparing.freezing import freeze, mornings

        at_test = mornings(self.definition, manifest)["at_test"]
        return freeze(self.definition, manifest, {"at_test": at_test})["at_test"]

    def encoder(self, rows: pd.DataFrame, history: HistorySnapshot | None) -> TableEncoder:
        """Return an encoder that has learned the categories of rows."""
        from mlops.datasets.declared.encoding import TableEncoder

        # Without histories, the snapshot of an empty past would only lend its date.
        known = history if self.definition.histories else None
        return TableEncoder.fit(self.definition.of_rows, rows, known)

    def golden_requests(self, encoder: TableEncoder) -> GoldenRequests:
        """Make rows that the rules accept, of the days after the model's histories."""
        from mlops.datasets.declared.requests import golden_requests

        return golden_requests(self.definition, encoder)

    def require(self, encoder: Encoder, version: int) -> None:
        """Make sure that a model was trained with what the definition says of requests."""
        from mlops.datasets.declared.compatibility import require_same_requests
        from mlops.datasets.declared.encoding import TableEncoder

        trained = encoder.definition if isinstance(encoder, TableEncoder) else None
        require_same_requests(self.definition, trained, version)

    def request_files(self, settings: Settings) -> RowRequestFiles:
        """Return how files of rows to predict are read."""
        from mlops.datasets.declared.scoring import RowRequestFiles

        return RowRequestFiles(self.definition, settings)

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each row along each dimension that the definition declares."""
        from mlops.datasets.declared.slices import slice_labels

        return slice_labels(self.definition, rows)

    def as_learned(self, encoder: Encoder) -> DeclaredDataset:
        """Return it with what the definition said of rows when the encoder was fitted."""
        from mlops.datasets.declared.encoding import TableEncoder

        if not isinstance(encoder, TableEncoder):
            return self
        # Through plain values: what is stored may lack keys that the definition has by now.
        of_people = self.definition.model_dump(include={"source", "row", "card"})
        learned = encoder.definition.model_dump() | of_people
        return DeclaredDataset(DatasetDefinition.model_validate(learned))

    @property
    def words(self) -> DatasetWords:
        """How people speak of it, as far as the definition says."""
        from mlops.datasets.declared.words import words_of_definition

        return words_of_definition(self.definition)

    def source_in_words(self, settings: Settings) -> str:
        """Say which files are used, and which months of them if there are several."""
        source, months = self.definition.source, settings.source.months
        parts = [f"dataset {self.name}"]
        if source.partition == "month":
            parts.append("all months" if months == ALL_MONTHS else months)
        return f"{source.location} ({', '.join(parts)})"

    def groups(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slices of each row: there are no other groups."""
        return self.slices(rows)

    def clusters(self, rows: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Number the hours of events; without times the groups of the split, or each row."""
        import numpy as np
        import pandas as pd

        from mlops.datasets.declared.groups import GroupKeys

        if self.event:
            return np.asarray(pd.factorize(rows[self.event].dt.floor("h"), sort=True)[0])
        if group := self.definition.split.group:
            return GroupKeys(group, self.definition.columns).of_rows(rows)[0]
        return np.arange(len(rows))

    def exemplary(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Tell which rows have a value in every column of a request."""
        known = [name for name in self.definition.request_columns if name in rows]
        return rows[known].notna().all(axis=1).to_numpy()

    def described(self, row: pd.Series[Any]) -> str:
        """Return the columns of a request with their values."""
        from mlops.datasets.declared.words import described

        return described(self.definition, row)

    def watching(self, settings: Settings) -> TableWatching:
        """Return what is watched of rows, if they have an order in time."""
        from mlops.datasets.declared.watched.watching import TableWatching

        return TableWatching.of(self.definition, settings.validation)

    def arriving(self, settings: Settings) -> RowsArriving:
        """Return the files as they grow in number or in length."""
        from mlops.datasets.declared.watched.arriving import RowsArriving

        return RowsArriving(self.definition, settings)
