"""What was known of groups on a morning, frozen: plain tables that a model carries with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.consistency import history_features
from mlops.datasets.declared.groups import GroupKeys, Key, Row
from mlops.datasets.definition import DatasetDefinition

Answers = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GroupTable:
    """One history, frozen.

    Attributes:
        levels: Places of groups and their statistics, ``(groups, statistics)``: of the groups of
            the history, then of its broader groups, if it declares them.
        everywhere: Statistics of a row of which no group is known, ``(statistics,)``.
    """

    levels: tuple[tuple[Mapping[Key, int], Answers], ...]
    everywhere: Answers


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
            frame: With the columns of the groups.

        Returns:
            The columns of `DatasetHistory.annotate`, with the index of ``frame``.
        """
        columns: dict[str, Any] = {}
        for name, table in self.tables.items():
            declared = definition.histories[name]
            answers = np.repeat(table.everywhere[None], len(frame), axis=0)
            by = (declared.by, declared.prior)
            for level, (places, statistics) in [*enumerate(table.levels)][::-1]:
                codes, keys = GroupKeys(by[level], definition.columns).of_rows(frame)
                found = np.array([places.get(key, -1) for key in keys], dtype=np.int64)[codes]
                answers[found >= 0] = statistics[found[found >= 0]]
            columns |= zip(history_features(name, declared), answers.T, strict=True)
        return pd.DataFrame(columns, index=frame.index)

    def of_one(
        self, definition: DatasetDefinition, name: str
    ) -> Callable[[Row], tuple[float, ...]]:
        """Return the function that looks up the statistics of one history for one row."""
        table, declared = self.tables[name], definition.histories[name]
        everywhere = tuple(table.everywhere.tolist())
        levels = [
            (
                GroupKeys(by, definition.columns).of_one(),
                {key: tuple(statistics[place].tolist()) for key, place in places.items()},
            )
            for by, (places, statistics) in zip(
                (declared.by, declared.prior), table.levels, strict=False
            )
        ]

        def lookup(row: Row) -> tuple[float, ...]:
            for key_of, known in levels:
                found = known.get(key_of(row))
                if found is not None:
                    return found
            return everywhere

        return lookup

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        digest = hashlib.sha256(self.as_of.date().isoformat().encode())
        for name, table in sorted(self.tables.items()):
            for places, statistics in table.levels:
                order = sorted(places, key=json.dumps)
                digest.update(json.dumps([name, order]).encode())
                digest.update(statistics[[places[key] for key in order]].tobytes())
            digest.update(table.everywhere.tobytes())
        return digest.hexdigest()
