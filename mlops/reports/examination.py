"""A model looked at again on its own test window: everything a card says that no record holds.

The record of a version has its metrics; a card also needs how sure they are, for whom they hold,
and what the model looks at. All of it follows from the snapshot and the model.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    PICKUP_AT,
    PICKUP_ZONE,
    REQUEST_COLUMNS,
    TARGET,
)
from mlops.datasets.taxi.zone_names import zone_label
from mlops.errors import MlopsError
from mlops.evaluation.results import Result
from mlops.reports.groups import (
    Estimate,
    Floats,
    GroupErrors,
    hours_of,
    interval_of,
    measure_groups,
    resamples,
)
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.training.artifact import TabularModel

# A millisecond each; of the inputs that matter, the mean over so many is known to some 5 %.
EXPLAINED_TRIPS: Final = 400
_PLACES: Final = 400
_BINS: Final = 10
_EXAMPLES: Final = {"A short trip": 0.1, "A medium trip": 0.5, "A long trip": 0.9}


class Bin(Result):
    """Trips with similar predictions; minutes."""

    rows: int
    predicted: float  # mean
    actual: float  # mean
    low: float  # tenth percentile of actual durations
    high: float  # ninetieth


class Example(Result):
    """A trip, predicted and explained.

    Attributes:
        name: Why it was chosen.
        pickup_at: Local time.
        pickup: Zone in words.
        dropoff: Zone in words.
        miles: As given; None if not.
        actual: Minutes it took.
        predicted: Minutes.
        low: Lower bound, minutes; None without an interval.
        high: Upper bound.
        base: Minutes the explanation starts from.
        contributions: Minutes per feature, the largest first; with the base they add up to the
            prediction before it is held to the durations the model was taught.
    """

    name: str
    pickup_at: datetime
    pickup: str
    dropoff: str
    miles: float | None
    actual: float
    predicted: float
    low: float | None
    high: float | None
    base: float
    contributions: tuple[tuple[str, float], ...]


class Explained(Result):
    """What a model looks at.

    Attributes:
        rows: Trips that were explained.
        importance: Mean absolute contribution per feature, minutes, the largest first.
        examples: Some of them one by one.
    """

    rows: int
    importance: tuple[tuple[str, float], ...]
    examples: tuple[Example, ...]


class Examination(Result):
    """What was found on the test window.

    Attributes:
        start: First pickup.
        end: Last pickup.
        p90: Nine absolute errors in ten are below, minutes.
        groups: All trips first, then every group.
        bins: By predicted minutes, equally many trips in each.
        width: Mean width of the prediction interval, minutes; None without one.
        explained: None if the model's family cannot be explained exactly.
        unexplained: Then, why.
    """

    start: datetime
    end: datetime
    p90: Estimate
    groups: tuple[GroupErrors, ...]
    bins: tuple[Bin, ...]
    width: float | None
    explained: Explained | None
    unexplained: str = ""

    @property
    def overall(self) -> GroupErrors:
        """Errors on all trips."""
        return self.groups[0]


def examine(model: TabularModel, trips: pd.DataFrame, version: int) -> Examination:
    """Look at a model on trips that it has never seen.

    Args:
        model: Of any family.
        trips: Request columns and the duration, at least one.
        version: Of the model.
    """
    try:
        compiled, why_not = compile_model(model, version), ""
    except MlopsError as error:
        compiled, why_not = None, error.message
    predicted = model.predict(trips).to_numpy() if compiled is None else compiled.predict(trips)
    actual = trips[TARGET].to_numpy(dtype=np.float64)
    has_interval = bool(np.isfinite(predicted[:, 1:]).all())
    return Examination(
        start=trips[PICKUP_AT].min().to_pydatetime(),
        end=trips[PICKUP_AT].max().to_pydatetime(),
        p90=_ninetieth(np.abs(predicted[:, 0] - actual), trips),
        groups=measure_groups(trips, predicted),
        bins=_bins(predicted[:, 0], actual),
        width=float((predicted[:, 2] - predicted[:, 1]).mean()) if has_interval else None,
        explained=None if compiled is None else _explain(compiled, trips, predicted),
        unexplained=why_not,
    )


def _ninetieth(absolute: Floats, trips: pd.DataFrame) -> Estimate:
    """Return the ninetieth percentile, with an interval from the resamples of hours.

    What is sorted once are not the resamples but places around the percentile: a resample's own is
    the first of them below which nine tenths of its trips lie.
    """
    hour, hours = hours_of(trips)
    value = float(np.quantile(absolute, 0.9))
    places = np.quantile(absolute, np.linspace(0.8, 1.0, _PLACES))
    # By hour: the trips whose error is first exceeded by each place; those beyond all count too.
    cell = hour * (_PLACES + 1) + np.searchsorted(places, absolute)
    counts = np.bincount(cell, minlength=hours * (_PLACES + 1)).reshape(hours, _PLACES + 1)
    below = (resamples(hours) @ counts).cumsum(axis=1)
    reached = below[:, :_PLACES] >= 0.9 * below[:, -1:]
    low, high = interval_of(places[reached.argmax(axis=1)])
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def _bins(predicted: Floats, actual: Floats) -> tuple[Bin, ...]:
    parts = np.array_split(np.argsort(predicted, kind="stable"), min(_BINS, len(predicted)))
    return tuple(
        Bin(
            rows=len(rows),
            predicted=float(predicted[rows].mean()),
            actual=float(actual[rows].mean()),
            low=float(np.quantile(actual[rows], 0.1)),
            high=float(np.quantile(actual[rows], 0.9)),
        )
        for rows in parts
    )


def _explain(model: CompiledModel, trips: pd.DataFrame, predicted: Floats) -> Explained:
    rows = min(len(trips), EXPLAINED_TRIPS)
    # The middles of as many equal parts of the sorted predictions: trips of all lengths.
    places = ((np.arange(rows) + 0.5) * len(trips) / rows).astype(np.int64)
    chosen = np.argsort(predicted[:, 0], kind="stable")[places]
    found = model.explain(trips.iloc[chosen][_known(trips)])
    return Explained(
        rows=rows,
        importance=_ranked(found.features, np.abs(found.contributions).mean(axis=0)),
        examples=tuple(
            _example(name, place, model, trips, predicted)
            for name, place in zip(_EXAMPLES, _typical(trips, predicted), strict=True)
        ),
    )


def _typical(trips: pd.DataFrame, predicted: Floats) -> list[int]:
    """Choose a trip near each place among all predictions, with as usual an error as can be."""
    error = np.abs(predicted[:, 0] - trips[TARGET].to_numpy(dtype=np.float64))
    order = np.argsort(predicted[:, 0], kind="stable")
    measured = order[_has_distance(trips)[order]]
    order = measured if len(measured) else order
    chosen = []
    for place in _EXAMPLES.values():
        middle = int(place * (len(order) - 1))
        near = order[max(0, middle - len(order) // 50) : middle + len(order) // 50 + 1]
        chosen.append(int(near[np.argmin(np.abs(error[near] - np.median(error[near])))]))
    return chosen


def _has_distance(trips: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which trips have a distance that a meter measures: the others make odd examples."""
    if DISTANCE not in trips:
        return np.zeros(len(trips), dtype=bool)
    miles = trips[DISTANCE].to_numpy(dtype=np.float64)
    return np.asarray((miles > MIN_MILES) & (miles <= MAX_MILES))


def _example(
    name: str, row: int, model: CompiledModel, trips: pd.DataFrame, predicted: Floats
) -> Example:
    trip = trips.iloc[row]
    found = model.explain(trips.iloc[[row]][_known(trips)])
    minutes, low, high = (float(value) for value in predicted[row])
    miles = float(trip[DISTANCE]) if DISTANCE in trip else float("nan")
    return Example(
        name=name,
        pickup_at=trip[PICKUP_AT].to_pydatetime(),
        pickup=zone_label(int(trip[PICKUP_ZONE])),
        dropoff=zone_label(int(trip[DROPOFF_ZONE])),
        miles=miles if np.isfinite(miles) else None,
        actual=float(trip[TARGET]),
        predicted=minutes,
        low=low if np.isfinite(low) else None,
        high=high if np.isfinite(high) else None,
        base=found.base,
        contributions=_ranked(found.features, found.contributions[0]),
    )


def _ranked(names: tuple[str, ...], values: Floats) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-np.abs(values), kind="stable")
    return tuple((names[i], float(values[i])) for i in order)


def _known(trips: pd.DataFrame) -> list[str]:
    return [name for name in REQUEST_COLUMNS if name in trips]
