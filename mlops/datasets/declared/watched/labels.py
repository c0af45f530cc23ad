"""Joins labels to the rows that predictions were asked for, by the key that a definition declares.

What is not found is unlabelled, never guessed: the join adds columns, not rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mlops import progress
from mlops.datasets.declared.reading import nothing
from mlops.datasets.definition import DatasetDefinition


@dataclass(frozen=True, eq=False)
class ActualRows:
    """Rows whose outcome is known, by key.

    Attributes:
        definition: Declares the key.
        known: Columns of the key, and those known only afterwards; no key is there twice.
    """

    definition: DatasetDefinition
    known: pd.DataFrame

    @classmethod
    def of(cls, definition: DatasetDefinition, rows: pd.DataFrame) -> ActualRows:
        """Choose the rows that can be found.

        Args:
            definition: Of the dataset.
            rows: As read. Of rows with the same key the first stays, as in training.
        """
        key = [*definition.key]
        if not key:
            progress.report(
                f"{definition.name} declares no key, so no label can be joined to an answer"
            )
            return cls(definition, rows.iloc[:0])
        ended = rows[rows[definition.task.target].notna() & rows[key].notna().all(axis=1)]
        wanted = [*key, *_labels(definition)]
        return cls(definition, ended.drop_duplicates(key)[wanted])

    def label(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows with all columns that are known only afterwards, missing where unknown."""
        key = [*self.definition.key]
        names = _labels(self.definition)
        if not len(self.known) or not key:
            columns = self.definition.columns
            return rows.assign(**{name: nothing(columns[name], len(rows)) for name in names})
        found = rows[key].merge(self.known, on=key, how="left", validate="many_to_one")
        return rows.assign(**{name: found[name].to_numpy() for name in names})


def _labels(definition: DatasetDefinition) -> list[str]:
    asked = {*definition.request_columns, *definition.key}
    return [name for name in definition.columns if name not in asked]
