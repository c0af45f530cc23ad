"""A window of rows with everything that is computed row by row, once, before it is summed up.

Learning limits cuts hundreds of windows from one history: what belongs to a row is computed for the
whole history, and a window is a slice of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from mlops.datasets.dataset import Encoder
from mlops.datasets.watching import Floats, Ints, Mask, Watching
from mlops.monitoring.reference.tables import FeatureCounts


@dataclass(frozen=True, eq=False)
class RowWindow:
    """Rows as they came, and what was computed of each; all have the same rows.

    Attributes:
        watching: What is watched of such rows.
        frame: What was asked; with labels also those, missing where the outcome is not known yet.
        predictions: `ANSWER`; None if the rows were not predicted.
        arrived_at: When each request came; None if that is not known.
        observed: As from `Watching.observe`.
        broken: One column per rule of the data contract: does the row break it? What is known only
            afterwards cannot be broken before.
        rare: One column per other property that should be rare; see `Watching.rare`.
        stratum: Part of day and kind of day, 0 to `Watching.strata` - 1.
        slices: As from `Watching.slices`.
        ended: Whether the outcome is known.
        refused: Breaks a rule on what is asked, for which a request is refused.
        learnable: Has ended, and obeys every rule that a row to learn from must.
        bins: Of watched columns by name, if they were looked up before: see `binned`.
    """

    watching: Watching
    frame: pd.DataFrame
    predictions: pd.DataFrame | None
    arrived_at: pd.Series[Any] | None
    observed: pd.DataFrame
    broken: pd.DataFrame
    rare: pd.DataFrame
    stratum: Ints
    slices: pd.DataFrame
    ended: Mask
    refused: Mask
    learnable: Mask
    bins: Mapping[str, Ints] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        predictions: pd.DataFrame | None,
        watching: Watching,
        encoder: Encoder,
        arrived_at: pd.Series[Any] | None = None,
    ) -> RowWindow:
        """Compute everything that belongs to a row.

        Args:
            rows: With the types of `Watching.asked`; the labels may be missing, as columns or row
                by row.
            predictions: In the order of the rows.
            watching: Of the dataset.
            encoder: Of the model that predicted.
            arrived_at: In the order of the rows.

        Raises:
            DataQualityError: If a column is missing or has the wrong type.
        """
        event = watching.event
        labelled = all(name in rows for name in watching.labels)
        rules = [rule for rule in watching.rules if labelled or rule.asked]
        ended = rows[watching.target].notna().to_numpy() if labelled else np.zeros(len(rows), bool)
        found, never = watching.broken(rows, labelled=labelled), np.zeros(len(rows), dtype=bool)
        masks = {rule.name: found.get(rule.name, never) & (rule.asked | ended) for rule in rules}
        broken = pd.DataFrame(masks, index=rows.index)
        refusing = [rule.name for rule in rules if rule.refuses]
        when_asked = [rule.name for rule in rules if rule.refuses and rule.asked]
        # A row without a possible time must not keep the others from being placed.
        first, last = watching.possible
        possible = (rows[event] >= first) & (rows[event] < last)
        timed = rows.assign(**{event: rows[event].where(possible, first)})
        return cls(
            watching=watching,
            frame=rows,
            predictions=predictions,
            arrived_at=arrived_at,
            observed=watching.observe(timed, predictions, encoder),
            broken=broken,
            rare=pd.DataFrame({**watching.rare(timed, encoder)}, index=rows.index),
            stratum=watching.stratum(timed[event]),
            slices=watching.slices(timed),
            ended=ended,
            refused=broken[when_asked].to_numpy().any(axis=1),
            learnable=ended & ~broken[refusing].to_numpy().any(axis=1),
        )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def events(self) -> pd.Series[Any]:
        """The time of each row."""
        return self.frame[self.watching.event]

    def values(self, name: str, *, label: bool = False) -> tuple[Floats, Ints]:
        """Return a watched column and the parts of the day of the rows it is watched on.

        Args:
            name: Of the column.
            label: Only rows that can be learned from; otherwise all that a model must answer.
        """
        chosen = self._watched(label)
        return self.observed[name].to_numpy()[chosen], self.stratum[chosen]

    def binned(self, tables: Iterable[FeatureCounts]) -> RowWindow:
        """Return the same window with the bins of its values looked up once for all.

        It may then be compared, as a whole or in parts, with these tables and with others that
        share their bins, and with no others.
        """
        bins = {table.name: table.codes(self.observed[table.name].to_numpy()) for table in tables}
        return replace(self, bins=bins)

    def codes(self, table: FeatureCounts) -> tuple[Ints, Ints]:
        """Return the bins of what `values` returns, and the parts of the day."""
        chosen = self._watched(table.label)
        known = self.bins.get(table.name)
        if known is None:
            return table.codes(self.observed[table.name].to_numpy()[chosen]), self.stratum[chosen]
        return known[chosen], self.stratum[chosen]

    def rows(self, chosen: slice | Mask) -> RowWindow:
        """Return some of the rows as a window of their own."""
        predictions, arrived = self.predictions, self.arrived_at
        return replace(
            self,
            frame=self.frame[chosen],
            predictions=None if predictions is None else predictions[chosen],
            arrived_at=None if arrived is None else arrived[chosen],
            observed=self.observed[chosen],
            broken=self.broken[chosen],
            rare=self.rare[chosen],
            stratum=self.stratum[chosen],
            slices=self.slices[chosen],
            ended=self.ended[chosen],
            refused=self.refused[chosen],
            learnable=self.learnable[chosen],
            bins={name: codes[chosen] for name, codes in self.bins.items()},
        )

    def _watched(self, label: bool) -> Mask:
        return self.learnable if label else ~self.refused
