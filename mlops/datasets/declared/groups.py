"""Which group a row belongs to: a key made of columns and parts of the calendar.

A key is a tuple of texts and numbers, the same for a whole frame and for one row. A missing value
is a value: rows that lack it are a group of their own, since that it is missing says something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.declared.calendar import calendar_part, part_of_one, times_of
from mlops.datasets.definition import CalendarPart

Key: TypeAlias = "tuple[str | float | None, ...]"
Codes = npt.NDArray[np.int64]
Row = Mapping[str, Any]


class GroupKeys:
    """Computes the keys of groups.

    Args:
        by: Columns of the group, as in `HistoryDeclaration.by`: ``column`` or ``column.part``.
        columns: Every column of the dataset, which tells the two apart.
    """

    def __init__(self, by: Sequence[str], columns: Mapping[str, Any]) -> None:
        self._parts: list[tuple[str, CalendarPart | None]] = []
        for name in by:
            column, _, part = name.rpartition(".")
            self._parts.append((name, None) if name in columns else (column, part))  # type: ignore[arg-type]

    def of_rows(self, frame: pd.DataFrame) -> tuple[Codes, list[Key]]:
        """Number the groups of a frame.

        Args:
            frame: With the columns of the group.

        Returns:
            The number of each row's group, ``(n,)``, and the key of each number.
        """
        codes = np.zeros(len(frame), dtype=np.int64)
        values = []
        for column, part in self._parts:
            taken = frame[column].to_numpy()
            values.append(calendar_part(times_of(taken), part) if part else taken)
            labels, distinct = pd.factorize(values[-1])
            codes, _ = pd.factorize(codes * (len(distinct) + 1) + labels + 1)
        _, first = np.unique(codes, return_index=True)
        shown = [[None if x != x else x for x in each[first].tolist()] for each in values]
        return codes, list(zip(*shown, strict=True)) if values else [()] * bool(len(frame))

    def of_one(self) -> Callable[[Row], Key]:
        """Return the function that computes the key of one row."""
        if not any(part for _, part in self._parts) and len(self._parts) > 1:
            return itemgetter(*(column for column, _ in self._parts))
        takers = [_taker(column, part) for column, part in self._parts]
        return lambda row: tuple([take(row) for take in takers])


def _taker(column: str, part: CalendarPart | None) -> Callable[[Row], Any]:
    if part is None:
        return itemgetter(column)
    take = part_of_one(part)

    def taken(row: Row) -> int | None:
        at = row[column]
        return None if at is None else take(at)

    return taken
