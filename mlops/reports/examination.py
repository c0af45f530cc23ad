"""A model looked at again on its own test window: everything a card says that no record holds.

The record of a version has its metrics; a card also needs how sure they are, for whom they hold,
and what the model looks at. All of it follows from the snapshot and the model.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from mlops.datasets.dataset import Dataset
from mlops.errors import MlopsError
from mlops.evaluation.results import Result
from mlops.reports.groups import (
    Estimate,
    Floats,
    GroupErrors,
    Ints,
    clusters_of,
    interval_of,
    measure_groups,
    resamples,
)
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.training.artifact import TabularModel

# A millisecond each; of the inputs that matter, the mean over so many is known to some 5 %.
EXPLAINED_ROWS: Final = 400
_PLACES: Final = 400
_BINS: Final = 10
_EXAMPLES: Final = (0.1, 0.5, 0.9)  # places among all predictions: low, medium and high


class Bin(Result):
    """Rows with similar predictions."""

    rows: int
    predicted: float  # mean
    actual: float  # mean
    low: float  # tenth percentile of the answers
    high: float  # ninetieth


class Example(Result):
    """A row, predicted and explained.

    Attributes:
        name: Why it was chosen.
        described: What is known of it when a prediction is asked for.
        actual: Its answer.
        predicted: Its prediction.
        low: Lower bound; None without an interval.
        high: Upper bound.
        base: The explanation starts from.
        contributions: Per feature, the largest first; with the base they add up to the prediction
            before it is held to the answers that the model was taught.
    """

    name: str
    described: str
    actual: float
    predicted: float
    low: float | None
    high: float | None
    base: float
    contributions: tuple[tuple[str, float], ...]


class Explained(Result):
    """What a model looks at.

    Attributes:
        rows: That were explained.
        importance: Mean absolute contribution per feature, the largest first.
        examples: Some of them one by one.
    """

    rows: int
    importance: tuple[tuple[str, float], ...]
    examples: tuple[Example, ...]


class Examination(Result):
    """What was found on the test window, in the unit of the target.

    Attributes:
        start: Time of the first row; None where rows have no time.
        end: Time of the last row.
        p90: Nine absolute errors in ten are below.
        groups: All rows first, then every group.
        bins: By prediction, equally many rows in each.
        width: Mean width of the prediction interval; None without one.
        explained: None if the model's family cannot be explained exactly.
        unexplained: Then, why.
    """

    start: datetime | None
    end: datetime | None
    p90: Estimate
    groups: tuple[GroupErrors, ...]
    bins: tuple[Bin, ...]
    width: float | None
    explained: Explained | None
    unexplained: str = ""

    @property
    def overall(self) -> GroupErrors:
        """Errors on all rows."""
        return self.groups[0]


def examine(model: TabularModel, rows: pd.DataFrame, version: int, dataset: Dataset) -> Examination:
    """Look at a model on rows that it has never seen.

    Args:
        model: Of any family.
        rows: With their answers, at least one.
        version: Of the model.
        dataset: That they belong to.
    """
    try:
        compiled, why_not = compile_model(model, version), ""
    except MlopsError as error:
        compiled, why_not = None, error.message
    predicted = model.predict(rows).to_numpy() if compiled is None else compiled.predict(rows)
    actual = rows[dataset.target].to_numpy(dtype=np.float64)
    has_interval = bool(np.isfinite(predicted[:, 1:]).all())
    times = rows[dataset.event] if dataset.event else None
    return Examination(
        start=None if times is None else times.min().to_pydatetime(),
        end=None if times is None else times.max().to_pydatetime(),
        p90=_ninetieth(np.abs(predicted[:, 0] - actual), *clusters_of(rows, dataset)),
        groups=measure_groups(rows, predicted, dataset),
        bins=_bins(predicted[:, 0], actual),
        width=float((predicted[:, 2] - predicted[:, 1]).mean()) if has_interval else None,
        explained=None if compiled is None else _explain(compiled, rows, predicted, dataset),
        unexplained=why_not,
    )


def _ninetieth(absolute: Floats, cluster: Ints, clusters: int) -> Estimate:
    """Return the ninetieth percentile, with an interval from the resamples of clusters.

    What is sorted once are not the resamples but places around the percentile: a resample's own is
    the first of them below which nine tenths of its rows lie.
    """
    value = float(np.quantile(absolute, 0.9))
    places = np.quantile(absolute, np.linspace(0.8, 1.0, _PLACES))
    # By cluster: the rows whose error is first exceeded by each place; those beyond all count too.
    cell = cluster * (_PLACES + 1) + np.searchsorted(places, absolute)
    counts = np.bincount(cell, minlength=clusters * (_PLACES + 1)).reshape(clusters, _PLACES + 1)
    below = (resamples(clusters) @ counts).cumsum(axis=1)
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


def _explain(
    model: CompiledModel, rows: pd.DataFrame, predicted: Floats, dataset: Dataset
) -> Explained:
    number = min(len(rows), EXPLAINED_ROWS)
    # The middles of as many equal parts of the sorted predictions: rows of all sizes.
    places = ((np.arange(number) + 0.5) * len(rows) / number).astype(np.int64)
    asked = rows[[name for name in model.encoder.columns if name in rows]]
    found = model.explain(asked.iloc[np.argsort(predicted[:, 0], kind="stable")[places]])
    examples = []
    chosen = _typical(rows, predicted, dataset)
    for name, row in zip(dataset.words.examples, chosen, strict=True):
        prediction, low, high = (float(value) for value in predicted[row])
        one = model.explain(asked.iloc[[row]])
        examples.append(
            Example(
                name=name,
                described=dataset.described(rows.iloc[row]),
                actual=float(rows[dataset.target].iloc[row]),
                predicted=prediction,
                low=low if np.isfinite(low) else None,
                high=high if np.isfinite(high) else None,
                base=one.base,
                contributions=_ranked(one.features, one.contributions[0]),
            )
        )
    return Explained(
        rows=number,
        importance=_ranked(found.features, np.abs(found.contributions).mean(axis=0)),
        examples=tuple(examples),
    )


def _typical(rows: pd.DataFrame, predicted: Floats, dataset: Dataset) -> list[int]:
    """Choose a row near each place among all predictions, with as usual an error as can be."""
    error = np.abs(predicted[:, 0] - rows[dataset.target].to_numpy(dtype=np.float64))
    order = np.argsort(predicted[:, 0], kind="stable")
    plain = order[dataset.exemplary(rows)[order]]
    order = plain if len(plain) else order
    chosen = []
    for place in _EXAMPLES:
        middle = int(place * (len(order) - 1))
        near = order[max(0, middle - len(order) // 50) : middle + len(order) // 50 + 1]
        chosen.append(int(near[np.argmin(np.abs(error[near] - np.median(error[near])))]))
    return chosen


def _ranked(names: tuple[str, ...], values: Floats) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-np.abs(values), kind="stable")
    return tuple((names[i], float(values[i])) for i in order)
