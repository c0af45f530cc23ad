"""A dataset that a definition declares; see `mlops.datasets.dataset.Dataset`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops.datasets.definition import DatasetDefinition

if TYPE_CHECKING:
    import pandas as pd

    from mlops.datasets.declared.encoding import TableEncoder
    from mlops.datasets.declared.snapshots import HistorySnapshot


@dataclass(frozen=True)
class DeclaredDataset:
    """A table with a definition."""

    definition: DatasetDefinition

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
        return self.definition.time.event if self.definition.time else ""

    def encoder(self, rows: pd.DataFrame, history: HistorySnapshot | None) -> TableEncoder:
        """Return an encoder that has learned the categories of rows."""
        from mlops.datasets.declared.encoding import TableEncoder

        return TableEncoder.fit(self.definition, rows, history)

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each row along each dimension that the definition declares."""
        from mlops.datasets.declared.slices import slice_labels

        return slice_labels(self.definition, rows)
