"""What was known of groups on a morning, frozen: plain tables that a model carries with it.

A snapshot ages: asked about a later day, its sums weigh as much less as they would in a history
that learned nothing since. What is old therefore says little, and answers return to what always
held.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.consistency import history_features
from mlops.datasets.declared.calendar import Floats, days_of, times_of
from mlops.datasets.declared.groups import GroupKeys, Key, Row
from mlops.datasets.definition import DatasetDefinition, HistoryDeclaration

Answers = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GroupTable:
    """One history, frozen. Sums are of ones (the weight), values and squares of past rows.

    Attributes:
        levels: For the groups of the history and then, if declared, its broader groups: the place
            of each group and the sums, ``(3, groups + 1)``; those of an unknown group come last.
        everywhere: Sums over all rows, ``(3, 1)``.
        ever: The same, of which nothing is forgotten.
    """

    levels: tuple[tuple[Mapping[Key, int], Floats], ...]
    everywhere: Floats
    ever: Floats


@dataclass(frozen=True, eq=False)
class HistorySnapshot:
    """All histories of a dataset, frozen on the morning of a day; safe to share and to pickle.

    Attributes:
        as_of: Only outcomes known before this day are in it.
        tables: By the name of the history.
    """

    as_of: datetime
    tables: Mapping[str, GroupTable]

    def lookup(self, definition: DatasetDefinition, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what is known of rows.

        Args:
            definition: That the histories were computed for.
            frame: With the time of the event and the columns of the groups.

        Returns:
            The columns of `DatasetHistory.annotate`, with the index of ``frame``.
        """
        events = times_of(frame[definition.event])
        ages = np.fmax(days_of(events) - self._day, 0)  # of a missing time too
        columns: dict[str, Any] = {}
        for name, table in self.tables.items():
            declared = definition.histories[name]
            places = []
            for by, (known, sums) in zip(levels_of(declared), table.levels, strict=True):
                codes, keys = GroupKeys(by, definition.columns).of_rows(frame)
                unknown = sums.shape[1] - 1
                found = [known.get(key, unknown) for key in keys]
                places.append(np.array(found, dtype=np.int64)[codes])
            answers = np.empty((len(frame), len(declared.statistics)), dtype=np.float32)
            for age in np.unique(ages):
                rows = ages == age
                weight = keep_per_day(declared) ** int(age)
                levels = [
                    sums[:, place[rows]] * weight
                    for place, (_, sums) in zip(places, table.levels, strict=True)
                ]
                levels += [table.everywhere * weight, table.ever]
                answers[rows] = smoothed(declared, levels)
            columns |= zip(history_features(name, declared), answers.T, strict=True)
        return pd.DataFrame(columns, index=frame.index)

    def of_one(self, definition: DatasetDefinition) -> Callable[[Row], list[float]]:
        """Return the function that looks up what is known of one row.

        It answers to the bit as `lookup`, in the order of its columns, in plain Python.
        """
        event = definition.event
        as_of = int(self._day) + _EPOCH
        declared = [definition.histories[name] for name in self.tables]
        groups = [*dict.fromkeys(by for each in declared for by in levels_of(each))]
        takers = [GroupKeys(by, definition.columns).of_one() for by in groups]
        histories = [
            _of_one(each, table, [groups.index(by) for by in levels_of(each)])
            for each, table in zip(declared, self.tables.values(), strict=True)
        ]

        def lookup(row: Row) -> list[float]:
            at = row[event]
            age = 0 if at is None else max(at.toordinal() - as_of, 0)
            keys = [take(row) for take in takers]
            found: list[float] = []
            for answer in histories:
                found += answer(keys, age)
            return found

        return lookup

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        digest = hashlib.sha256(self.as_of.date().isoformat().encode())
        for name, table in sorted(self.tables.items()):
            for places, sums in table.levels:
                order = sorted(places, key=json.dumps)
                digest.update(json.dumps([name, order]).encode())
                digest.update(sums[:, [places[key] for key in order]].tobytes())
            digest.update(table.everywhere.tobytes() + table.ever.tobytes())
        return digest.hexdigest()

    @property
    def _day(self) -> float:
        return float(days_of(times_of(np.array([self.as_of], dtype="datetime64[us]")))[0])


_EPOCH: Final = datetime(1970, 1, 1).toordinal()
_UNKNOWN: Final = (0.0, 0.0, 0.0)


def _of_one(
    declared: HistoryDeclaration, table: GroupTable, places: list[int]
) -> Callable[[list[Key], int], tuple[float, ...]]:
    """Return the function that computes, as `smoothed`, the statistics of one history for one row.

    Args:
        declared: The history.
        table: Its sums.
        places: Where the keys of its levels stand among all keys of a row.
    """
    keep, pull = keep_per_day(declared), declared.smoothing
    all_count, all_values, all_squares = table.everywhere[:, 0].tolist()
    ever_mean, ever_square = _means(table.ever)[:, 0].tolist()
    levels = [
        (place, {key: tuple(sums[:, group].tolist()) for key, group in known.items()})
        for place, (known, sums) in zip(places, table.levels, strict=True)
    ][::-1]
    statistics = declared.statistics

    def mean_of(keys: list[Key], age: int) -> tuple[float, ...]:
        kept = keep**age
        mean = (all_values * kept + pull * ever_mean) / (all_count * kept + pull)
        for place, known in levels:
            count, values, _ = known.get(keys[place], _UNKNOWN)
            mean = (values * kept + pull * mean) / (count * kept + pull)
        return (mean,)

    def all_of(keys: list[Key], age: int) -> tuple[float, ...]:
        kept = keep**age
        [mean] = mean_of(keys, age)
        weight = all_count * kept
        square = (all_squares * kept + pull * ever_square) / (weight + pull)
        for place, known in levels:
            count, _, squares = known.get(keys[place], _UNKNOWN)
            weight = count * kept
            square = (squares * kept + pull * square) / (weight + pull)
        variance = square - mean * mean
        # A variance that is not a number stays one: nothing is known at all.
        spread = 0.0 if variance <= 0 else sqrt(variance)
        found = {"mean": mean, "spread": spread, "count": weight}
        return tuple([found[name] for name in statistics])

    return mean_of if statistics == ("mean",) else all_of


def levels_of(declared: HistoryDeclaration) -> list[tuple[str, ...]]:
    """Return the columns of the groups, and those of the broader groups if there are."""
    return [level for level in (declared.by, declared.prior) if level]


def keep_per_day(declared: HistoryDeclaration) -> float:
    """Return the factor by which a row's weight decays in a day."""
    return float(0.5 ** (timedelta(days=1) / declared.half_life.rest))


def smoothed(declared: HistoryDeclaration, levels: list[Floats]) -> Answers:
    """Compute the statistics of rows from the sums of their groups.

    A group with few rows says little, so its moments are pulled towards those of the broader one,
    as if ``smoothing`` more rows had them (additive smoothing, the posterior mean of a normal model
    with known variances: Gelman et al., "Bayesian Data Analysis", section 2.5).

    Args:
        declared: The history.
        levels: Sums, ``(3, n)`` or ``(3, 1)``: of the group, the broader group if there is one, all
            rows, and all rows that ever were.

    Returns:
        Shape ``(n, statistics)``; NaN where nothing is known at all.
    """
    pull = declared.smoothing
    moments = _means(levels[-1])
    for sums in reversed(levels[:-1]):
        moments = (sums[1:] + pull * moments) / (sums[0] + pull)
    mean, square = moments
    found = {
        "mean": mean,
        "spread": np.sqrt(np.maximum(square - mean * mean, 0)),
        "count": levels[0][0],
    }
    columns = [found[name] for name in declared.statistics]
    return np.stack(columns, axis=1).astype(np.float32)  # type: ignore[no-any-return]


def _means(sums: Floats) -> Floats:
    return np.where(sums[0] > 0, sums[1:] / np.maximum(sums[0], 1e-300), np.nan)
