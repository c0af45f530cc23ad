"""Which rows belong to the windows of a training set: time tells, or the rows themselves.

Where time alone divides rows, two dates say it all. Other tables carry a column `SPLIT`: a row
whose outcome was not yet known when the next window began is in none, and rows that are drawn at
random are next to each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import numpy as np

from mlops.data.references import TrainingSetManifest, TripPart, Window
from mlops.data.store.content import STAGED_ANEW
from mlops.data.windows import Interval
from mlops.errors import DataQualityError
from mlops.records.parquet import read_table

WindowName = Literal["train", "validation", "test"]
WINDOWS: Final[tuple[WindowName, ...]] = ("train", "validation", "test")
SPLIT: Final = "split"  # int8 column: the place of the row's window in `WINDOWS`, or `NO_WINDOW`
NO_WINDOW: Final = len(WINDOWS)


def planned_windows(
    parts: Sequence[TripPart], event: str, planned: Sequence[Interval]
) -> dict[str, Window]:
    """Count the rows of planned windows; the outer two widen so that no row is in none of them.

    Args:
        parts: Parquet files.
        event: Column with the time of a row.
        planned: Adjacent intervals: train, validation, test.
    """
    train, validation, test = planned
    first, last, rows = train.start, test.end, np.zeros(3, dtype=int)
    for part in parts:
        events = read_table(part.uri, STAGED_ANEW, [event]).column(0).to_numpy()
        if len(events):
            first = min(first, events.min().item())
            last = max(last, events.max().item() + timedelta(microseconds=1))
        starts = np.array([validation.start, test.start], dtype="datetime64[us]")
        rows += np.bincount(np.searchsorted(starts, events, side="right"), minlength=3)
    bounds = ((first, train.end), validation, (test.start, last))
    return {
        name: Window(start=start, end=end, rows=int(count))
        for name, (start, end), count in zip(WINDOWS, bounds, rows, strict=True)
    }


def assigned_windows(parts: Sequence[TripPart], event: str) -> dict[str, Window]:
    """Count the rows of the windows that rows are assigned to, from their first event to the last.

    Args:
        parts: Parquet files with a column `SPLIT`.
        event: Column with the time of a row; empty where rows have none.

    Raises:
        DataQualityError: If a window is empty.
    """
    rows = dict.fromkeys(WINDOWS, 0)
    firsts: dict[str, list[datetime]] = {name: [] for name in WINDOWS}
    lasts: dict[str, list[datetime]] = {name: [] for name in WINDOWS}
    for part in parts:
        table = read_table(part.uri, STAGED_ANEW, [*filter(None, [event]), SPLIT])
        places = table.column(SPLIT).to_numpy()
        for place, name in enumerate(WINDOWS):
            inside = places == place
            rows[name] += int(np.count_nonzero(inside))
            if event and inside.any():
                events = table.column(event).to_numpy()[inside]
                firsts[name].append(events.min().item())
                lasts[name].append(events.max().item() + timedelta(microseconds=1))
    for name in WINDOWS:
        if not rows[name]:
            raise DataQualityError(
                f"split: no row is left for {name}",
                "change the lengths of split in the definition, or read more rows",
            )
    return {
        name: Window(
            start=min(firsts[name], default=None),
            end=max(lasts[name], default=None),
            rows=rows[name],
        )
        for name in WINDOWS
    }


def filter_of(manifest: TrainingSetManifest, names: Sequence[WindowName]) -> list[Any]:
    """Return which rows are in any of the windows, as `pyarrow.parquet.read_table` takes it."""
    if is_assigned(manifest.columns):
        return [(SPLIT, "in", [WINDOWS.index(name) for name in names])]
    windows = [manifest.windows[name] for name in names]
    return [[(manifest.event, ">=", w.start), (manifest.event, "<", w.end)] for w in windows]


def is_assigned(columns: Mapping[str, str]) -> bool:
    """Tell whether rows with these columns say themselves to which window they belong."""
    return SPLIT in columns
