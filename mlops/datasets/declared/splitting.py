"""Which rows a model learns from, which choose its parameters, and which judge it.

Splits by time never overlap, and a row belongs to a window only if its outcome was known when the
next one began: on that day nobody could have learned from it. Other splits go by a hash of the row,
so that its place depends on nothing but itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.declared.calendar import times_of
from mlops.datasets.definition import DatasetDefinition, TimeSpan
from mlops.errors import DataQualityError

Mask = npt.NDArray[np.bool_]


class RowSplit(NamedTuple):
    """Masks over rows, ``(n,)`` each, of which no two overlap."""

    train: Mask
    validation: Mask
    test: Mask


class SplitDays(NamedTuple):
    """Midnights at which windows begin, and the end of the last; local times."""

    validation: datetime
    test: datetime
    end: datetime


def split_rows(
    definition: DatasetDefinition, frame: pd.DataFrame, end: datetime | None = None
) -> RowSplit:
    """Divide rows as the definition declares it.

    Args:
        definition: Declares the split.
        frame: The columns of times, of the key and of the group of the split; without a key, of
            everything that identifies a row.
        end: Where the last window ends, by default with the day of the last event; later rows are
            in the last window too.

    Raises:
        DataQualityError: If a window would be empty, naming the field of the definition.
    """
    split = definition.split
    if split.by == "time":
        masks = _by_time(definition, frame, split_days(definition, frame, end))
    else:
        columns = split.group or definition.key or tuple(definition.columns)
        place = _hash_share(frame[[*columns]])
        test, validation = place < split.test, place >= 1 - split.validation
        masks = RowSplit(~test & ~validation, validation, test)
    for name, mask in masks._asdict().items():
        if not mask.any():
            raise DataQualityError(
                f"split: no row is left for {name}; there are {len(frame):,} rows",
                "change the lengths of split in the definition, or read more rows",
            )
    return masks


def split_days(
    definition: DatasetDefinition, frame: pd.DataFrame, end: datetime | None = None
) -> SplitDays:
    """Return when the windows of a split by time begin.

    Args:
        definition: Declares their lengths.
        frame: With the time of the event.
        end: As in `split_rows`.

    Raises:
        DataQualityError: If they are longer than the data.
    """
    split = definition.split
    events = pd.Series(times_of(frame[definition.event])).dropna()
    if events.empty:
        raise DataQualityError("split: no row has an event", "check the column of time.event")
    first = events.min().normalize()
    last = pd.Timestamp(end) if end else events.max().normalize() + pd.Timedelta(days=1)
    test = (last - _offset(split.test)).normalize()
    validation = (test - _offset(split.validation)).normalize()
    if validation <= first:
        raise DataQualityError(
            f"split: the rows go from {first:%Y-%m-%d} to {last - pd.Timedelta(days=1):%Y-%m-%d},"
            f" so {split.validation} of validation and {split.test} of test leave no day to learn"
            " from",
            "shorten split.validation and split.test in the definition, or read more rows",
        )
    return SplitDays(validation.to_pydatetime(), test.to_pydatetime(), last.to_pydatetime())


def _by_time(definition: DatasetDefinition, frame: pd.DataFrame, days: SplitDays) -> RowSplit:
    time = definition.time
    if time is None:
        raise ValueError("a split by time of a dataset without time.event")
    events = times_of(frame[time.event])
    known = times_of(frame[time.outcome]) if time.outcome else events
    known = np.fmax(known + np.timedelta64(time.label_delay.rest), events)
    validation, test = np.datetime64(days.validation, "us"), np.datetime64(days.test, "us")
    return RowSplit(
        train=(events < validation) & (known < validation),
        validation=(events >= validation) & (events < test) & (known < test),
        test=events >= test,
    )


def _offset(length: Any) -> pd.DateOffset:
    span: TimeSpan = length
    return pd.DateOffset(months=span.months, microseconds=round(span.rest.total_seconds() * 1e6))


def _hash_share(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1 for each row that depends on its values only."""
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return np.asarray(hashes / 2.0**64)
