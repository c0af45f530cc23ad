"""The slices of rows by which errors are compared, as a definition declares them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.declared.calendar import calendar_part, times_of
from mlops.datasets.declared.names import MISSING, OTHER, PARTS_OF_DAY, QUARTERS, WEEKDAYS
from mlops.datasets.definition import (
    CalendarPart,
    DatasetDefinition,
    FeatureDeclaration,
    SliceDeclaration,
)

_LARGEST: Final = 20  # slices by a category: rarer values lie together


def slice_labels(definition: DatasetDefinition, rows: pd.DataFrame) -> pd.DataFrame:
    """Name the slice of each row along each dimension.

    Args:
        definition: Declares the slices.
        rows: With the columns that they are made of.

    Returns:
        One categorical column per dimension, same index; only slices that occur are categories, in
        their natural order, those of a category by how frequent they are.
    """
    columns = {
        name: _labels(each, rows, definition.columns.get(each.column))
        for name, each in definition.slices.items()
    }
    return pd.DataFrame(columns, index=rows.index)


def _labels(
    declared: SliceDeclaration, rows: pd.DataFrame, column: FeatureDeclaration | None
) -> pd.Categorical:
    if declared.hours_of:
        return _named(rows[declared.hours_of], "part_of_day", PARTS_OF_DAY)
    if declared.weekday_of:
        return _named(rows[declared.weekday_of], "weekday", WEEKDAYS)
    if declared.quantiles_of:
        return _quarters(rows[declared.quantiles_of])
    values = rows[declared.column]
    if column is not None and column.type == "flag":
        values = values.map({0: "no", 1: "yes"})
    frequent = [str(value) for value in values.value_counts().index[:_LARGEST]]
    texts = values.astype(str).where(values.notna(), MISSING)
    labels = texts.where(texts.isin([*frequent, MISSING]), OTHER)
    return _ordered(labels, [*frequent, OTHER, MISSING])


def _named(times: Any, part: CalendarPart, names: tuple[str, ...]) -> pd.Categorical:
    places = calendar_part(times_of(times), part)
    known = ~np.isnan(places)
    labels = np.full(len(places), MISSING, dtype=object)
    labels[known] = np.array(names, dtype=object)[places[known].astype(int)]
    return _ordered(labels, [*names, MISSING])


def _quarters(values: Any) -> pd.Categorical:
    numbers = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(numbers)
    labels = np.full(len(numbers), MISSING, dtype=object)
    if known.any():
        edges = np.quantile(numbers[known], [0.25, 0.5, 0.75])
        places = np.searchsorted(edges, numbers[known], side="left")
        labels[known] = np.array(QUARTERS, dtype=object)[places]
    return _ordered(labels, [*QUARTERS, MISSING])


def _ordered(labels: Any, order: list[str]) -> pd.Categorical:
    categories = list(dict.fromkeys(order))
    return pd.Categorical(labels, categories=categories).remove_unused_categories()
