"""A window of trips with everything that is computed row by row, once, before it is summed up.

Learning limits cuts hundreds of windows from one history: what belongs to a row is computed for the
whole history, and a window is a slice of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.contract.rules import FIRST_PICKUP, LAST_PICKUP, Rule, rules_in_force
from mlops.datasets.taxi.contract.schema import broken_rules, trip_schema
from mlops.datasets.taxi.features.calendar import Ints, moments
from mlops.datasets.taxi.slices import slice_labels
from mlops.datasets.taxi.trips import DROPOFF_AT, FARE, PICKUP_AT, TARGET
from mlops.monitoring.reference.observations import Floats, Routes, observe
from mlops.monitoring.reference.tables import FeatureCounts
from mlops.settings import ValidationSettings

Mask = npt.NDArray[np.bool_]

# Whether a trip lies in the month of its file is a question to files, not to a window.
_NOT_OF_WINDOWS: Final = ("pickup_outside_month",)
_LABELS: Final = (TARGET, DROPOFF_AT, FARE)


@dataclass(frozen=True, eq=False)
class TripWindow:
    """Trips as they came, and what was computed of each; all have the same rows.

    Attributes:
        trips: Request columns; with labels also the dropoff, the fare and the duration, NaN where
            the trip has not ended yet.
        predictions: Minutes with bounds; None if the trips were not predicted.
        arrived_at: When each request came; None if that is not known.
        observed: As from `observe`.
        broken: One column per rule of the data contract: does the row break it? What is known only
            after the trip cannot be broken before.
        stratum: Part of day and kind of day, 0 to `NUMBER_OF_BANDS` - 1.
        slices: As from `slice_labels`.
        ended: Whether the actual duration is known.
        refused: Breaks a rule, known at pickup, for which a request is refused.
        learnable: Has ended, and obeys every rule that a trip to learn from must.
        bins: Of watched columns by name, if they were looked up before: see `binned`.
    """

    trips: pd.DataFrame
    predictions: pd.DataFrame | None
    arrived_at: pd.Series[Any] | None
    observed: pd.DataFrame
    broken: pd.DataFrame
    stratum: Ints
    slices: pd.DataFrame
    ended: Mask
    refused: Mask
    learnable: Mask
    bins: Mapping[str, Ints] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        trips: pd.DataFrame,
        predictions: pd.DataFrame | None,
        routes: Routes,
        limits: ValidationSettings,
        arrived_at: pd.Series[Any] | None = None,
    ) -> TripWindow:
        """Compute everything that belongs to a row.

        Args:
            trips: Canonical columns; the labels may be missing, as columns or row by row.
            predictions: In the order of the trips.
            routes: The route statistics of the model that predicted.
            limits: Of the data contract.
            arrived_at: In the order of the trips.

        Raises:
            DataQualityError: If a column is missing or has the wrong type.
        """
        labelled = all(name in trips for name in _LABELS)
        rules = {
            name: rule
            for name, rule in rules_in_force(limits, at_pickup=not labelled).items()
            if name not in _NOT_OF_WINDOWS
        }
        ended = trips[TARGET].notna().to_numpy() if labelled else np.zeros(len(trips), bool)
        broken = _broken(trips, rules, limits, ended)
        rejecting = [name for name, rule in rules.items() if rule.action == "quarantine"]
        at_pickup = [name for name in rejecting if rules[name].at_pickup]
        # A row without a possible time must not keep the others from being placed.
        possible = (trips[PICKUP_AT] >= FIRST_PICKUP) & (trips[PICKUP_AT] < LAST_PICKUP)
        timed = trips.assign(**{PICKUP_AT: trips[PICKUP_AT].where(possible, FIRST_PICKUP)})
        return cls(
            trips=trips,
            predictions=predictions,
            arrived_at=arrived_at,
            observed=observe(timed, predictions, routes),
            broken=broken,
            stratum=moments(timed[PICKUP_AT]).band,
            slices=slice_labels(timed),
            ended=ended,
            refused=broken[at_pickup].to_numpy().any(axis=1),
            learnable=ended & ~broken[rejecting].to_numpy().any(axis=1),
        )

    def __len__(self) -> int:
        return len(self.trips)

    def values(self, name: str, *, label: bool = False) -> tuple[Floats, Ints]:
        """Return a watched column and the parts of the day of the trips it is watched on.

        Args:
            name: Of the column.
            label: Only trips that can be learned from; otherwise all that a model must answer.
        """
        chosen = self._watched(label)
        return self.observed[name].to_numpy()[chosen], self.stratum[chosen]

    def binned(self, tables: Iterable[FeatureCounts]) -> TripWindow:
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

    def rows(self, chosen: slice | Mask) -> TripWindow:
        """Return some of the rows as a window of their own."""
        predictions, arrived = self.predictions, self.arrived_at
        return replace(
            self,
            trips=self.trips[chosen],
            predictions=None if predictions is None else predictions[chosen],
            arrived_at=None if arrived is None else arrived[chosen],
            observed=self.observed[chosen],
            broken=self.broken[chosen],
            stratum=self.stratum[chosen],
            slices=self.slices[chosen],
            ended=self.ended[chosen],
            refused=self.refused[chosen],
            learnable=self.learnable[chosen],
            bins={name: codes[chosen] for name, codes in self.bins.items()},
        )

    def _watched(self, label: bool) -> Mask:
        return self.learnable if label else ~self.refused


def _broken(
    trips: pd.DataFrame, rules: dict[str, Rule], limits: ValidationSettings, ended: Mask
) -> pd.DataFrame:
    found = broken_rules(trips, trip_schema(rules, limits))
    never = np.zeros(len(trips), dtype=bool)
    masks = {
        name: found.get(name, never) if rule.at_pickup else found.get(name, never) & ended
        for name, rule in rules.items()
    }
    return pd.DataFrame(masks, index=trips.index)
