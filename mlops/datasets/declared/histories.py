"""What the past of a group says on the morning of a day, computed once for training and serving.

A row enters the history of its groups on the day after its outcome was known, and a row asked about
sees what was known before its day began: none sees its own future. A frozen snapshot of a morning
answers exactly what the history answered on that day.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from mlops.datasets.consistency import history_features
from mlops.datasets.declared.calendar import Floats, days_of, times_of
from mlops.datasets.declared.groups import Codes, GroupKeys, Key
from mlops.datasets.declared.snapshots import (
    Answers,
    GroupTable,
    HistorySnapshot,
    keep_per_day,
    levels_of,
    smoothed,
)
from mlops.datasets.definition import DatasetDefinition, HistoryDeclaration
from mlops.errors import DataQualityError

# A group whose rows weigh less together is forgotten: it answers as if it never had been.
_FORGOTTEN: Final = 1e-9
_NEVER: Final = np.iinfo(np.int64).max


class DatasetHistory:
    """All histories of a dataset, fed in the order of days.

    Memory holds the sums of each group that was seen, and the rows whose outcome lies ahead.

    Args:
        definition: Declares the histories, and the times of events and outcomes.
    """

    def __init__(self, definition: DatasetDefinition) -> None:
        if definition.time is None:
            raise ValueError("a dataset without time.event has no past, hence no histories")
        self._definition, self._time = definition, definition.time
        self._histories = {
            name: _History(declared, definition) for name, declared in definition.histories.items()
        }
        self._last_day: int | None = None

    def annotate(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what was known on the day of each row, then learn from the rows.

        Args:
            frame: The columns of groups, times and numbers that the histories need, in any order;
                no event lies on a day before the last day of an earlier call.

        Returns:
            A float32 column for each statistic of each history, with the index of ``frame``; NaN
            while nothing is known, and where a row has no event.

        Raises:
            DataQualityError: If the rows lie before those of an earlier call.
        """
        order, days, known = self._dated(frame)
        ordered = frame.take(order)
        columns: dict[str, Any] = {}
        for name, history in self._histories.items():
            answers = np.full((len(frame), len(history.declared.statistics)), np.nan, np.float32)
            answers[order] = history.annotate(ordered, days, known)
            columns |= zip(history_features(name, history.declared), answers.T, strict=True)
        return pd.DataFrame(columns, index=frame.index)

    def add(self, frame: pd.DataFrame) -> None:
        """Learn from rows without annotating them; order as for `annotate`."""
        order, _, known = self._dated(frame)
        ordered = frame.take(order)
        for history in self._histories.values():
            history.wait(history.read(ordered), known)

    def snapshot(self, as_of: datetime) -> HistorySnapshot:
        """Freeze what is known on the morning of a day.

        Args:
            as_of: Any time of a day not before the last day annotated.
        """
        day = int(days_of(times_of(np.array([as_of], dtype="datetime64[us]")))[0])
        return HistorySnapshot(
            as_of, {name: history.frozen(day) for name, history in self._histories.items()}
        )

    def _dated(self, frame: pd.DataFrame) -> tuple[Codes, Codes, Codes]:
        """Return the order of the rows with an event, and their days of event and outcome."""
        time = self._time
        events = times_of(frame[time.event])
        outcomes = times_of(frame[time.outcome]) if time.outcome else events
        order = np.argsort(events, kind="stable")  # missing times last
        order = order[: len(order) - np.count_nonzero(np.isnat(events))]
        days = days_of(events[order]).astype(np.int64)
        known = days_of(outcomes[order] + np.timedelta64(time.label_delay.rest))
        if len(days):
            if self._last_day is not None and days[0] < self._last_day:
                raise DataQualityError(
                    f"{time.event}: rows lie on days before those of rows that were read earlier,"
                    " so what was known then is no longer known",
                    "read the files in the order of their months",
                )
            self._last_day = int(days[-1])
        never = np.isnan(known)
        known_days = np.where(never, 0, known).astype(np.int64)
        return order, days, np.where(never, _NEVER, np.maximum(known_days, days))


def snapshot_of(
    definition: DatasetDefinition, frame: pd.DataFrame, as_of: datetime
) -> HistorySnapshot:
    """Freeze what rows, in any order, tell on the morning of a day; later ones are ignored."""
    history = DatasetHistory(definition)
    events = times_of(frame[definition.event])
    history.add(frame[events < np.datetime64(as_of, "D")])
    return history.snapshot(as_of)


class _Rows(NamedTuple):
    """What is summed of rows."""

    groups: tuple[Codes, ...]  # number of the group at each level
    powers: Floats  # shape (3, n): one, the value and its square

    def at(self, chosen: Any) -> _Rows:
        return _Rows(tuple(codes[chosen] for codes in self.groups), self.powers[:, chosen])


class _History:
    """One history: the sums of past rows at each level, from the group up to all rows."""

    def __init__(self, declared: HistoryDeclaration, definition: DatasetDefinition) -> None:
        self.declared = declared
        self._of = declared.of or definition.task.target
        self._keep_per_day = keep_per_day(declared)
        self._keys = [GroupKeys(by, definition.columns) for by in levels_of(declared)]
        self._numbers: list[dict[Key, int]] = [{} for _ in self._keys]
        # Of the groups at each level, of all rows, and of all without forgetting.
        self._sums: list[Floats] = [*(np.zeros((3, 0)) for _ in self._keys), *np.zeros((2, 3, 1))]
        self._waiting: dict[int, list[_Rows]] = {}  # day of the outcome → rows not yet summed
        self._summed_day: int | None = None  # outcomes up to this day are in the sums

    def annotate(self, ordered: pd.DataFrame, days: Codes, known: Codes) -> Answers:
        """Return the statistics of rows in order of their events, ``(n, statistics)``; learn."""
        rows = self.read(ordered)
        answers = np.empty((len(days), len(self.declared.statistics)), dtype=np.float32)
        starts = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
        for start, end in pairwise([*starts.tolist(), len(days)]):
            today = rows.at(slice(start, end))
            weight = self._weight_on(int(days[start]))
            *groups, everywhere, ever = zip(self._sums, today.groups, strict=True)
            sums = [each[:, codes] * weight for each, codes in (*groups, everywhere)]
            answers[start:end] = smoothed(self.declared, [*sums, ever[0]])
            self.wait(today, known[start:end])
        return answers

    def read(self, frame: pd.DataFrame) -> _Rows:
        """Number the groups of rows, with room for the sums of new ones, and take the values."""
        groups: list[Codes] = []
        for level, keys in enumerate(self._keys):
            codes, distinct = keys.of_rows(frame)
            numbers = self._numbers[level]
            found = [numbers.setdefault(key, len(numbers)) for key in distinct]
            groups.append(np.array(found, dtype=np.int64)[codes])
            new = len(numbers) - self._sums[level].shape[1]
            self._sums[level] = np.pad(self._sums[level], ((0, 0), (0, new)))
        everywhere = np.zeros(len(frame), dtype=np.int64)
        values = frame[self._of].to_numpy(dtype=np.float64)
        if self.declared.less:
            values = values - frame[self.declared.less].to_numpy(dtype=np.float64)
        powers = np.stack([np.ones(len(values)), values, values * values])
        return _Rows((*groups, everywhere, everywhere), powers)

    def wait(self, rows: _Rows, known: Codes) -> None:
        """Keep rows with a value until the day after their outcome is known."""
        usable = np.isfinite(rows.powers[2]) & (known != _NEVER)
        for day in np.unique(known[usable]):
            self._waiting.setdefault(int(day), []).append(rows.at(usable & (known == day)))

    def frozen(self, day: int) -> GroupTable:
        """Return what is known of each group on the morning of a day."""
        weight = self._weight_on(day)
        *levels, everywhere, ever = self._sums
        tables = []
        for numbers, sums in zip(self._numbers, levels, strict=True):
            keys, known = [*numbers], np.flatnonzero(sums[0])
            places = {keys[group]: place for place, group in enumerate(known)}
            tables.append((places, np.pad(sums[:, known] * weight, ((0, 0), (0, 1)))))
        return GroupTable(tuple(tables), everywhere * weight, ever.copy())

    def _weight_on(self, day: int) -> float:
        """Sum outcomes known before a day, and return the factor that the sums have on that day.

        Yesterday's rows weigh one each.
        """
        for known in sorted(d for d in self._waiting if d < day):
            if self._summed_day is not None:
                for sums in self._sums[:-1]:
                    sums *= self._keep_per_day ** (known - self._summed_day)
                    sums *= sums[0] > _FORGOTTEN
            for rows in self._waiting.pop(known):
                for sums, groups in zip(self._sums, rows.groups, strict=True):
                    for quantity, values in zip(sums, rows.powers, strict=True):
                        np.add.at(quantity, groups, values)  # one after the other, in any chunks
            self._summed_day = known
        return (
            1.0 if self._summed_day is None else self._keep_per_day ** (day - 1 - self._summed_day)
        )
