"""Which months of the source are there by now, and their rows: how labels arrive.

A month that the source does not have yet is no error: its labels have not arrived. A source that
cannot be reached is reported, and monitoring continues without labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops import progress
from mlops.datasets.watching import Arriving, Labels, MonthFiles
from mlops.errors import MlopsError

# A month with less of a window's events is where a few strays lie: not worth a download.
_LEAST_SHARE: Final = 0.01


class Arrivals:
    """What turned out of the rows of the source, as far as it has arrived.

    Args:
        source: Of the dataset.
        months: That may be asked for.
        today: By the clock of the dataset.
    """

    def __init__(self, source: Arriving, months: Iterable[str], today: date) -> None:
        self._source = source
        self._files = _files(source, sorted(set(months)), today)
        self._actual = lru_cache(maxsize=2)(self._read)

    def found(self, months: Iterable[str]) -> dict[str, str]:
        """Return, by month, the hash of what the source has of it; empty if it has nothing."""
        return {
            month: "+".join(file.sha256 for file in self._files.get(month, ())) for month in months
        }

    def news(self, looked_in: Mapping[str, str]) -> bool:
        """Tell whether a month has arrived, or changed, since labels were looked for."""
        return any(sha and sha != looked_in[month] for month, sha in self.found(looked_in).items())

    def label(self, rows: pd.DataFrame, months: Iterable[str]) -> pd.DataFrame:
        """Return rows with their labels, as far as the months have arrived."""
        there = tuple(month for month in months if month in self._files)
        return self._actual(there).label(rows) if there else rows

    def _read(self, months: tuple[str, ...]) -> Labels:
        # Months may lie in the same files.
        files = dict.fromkeys(file for month in months for file in self._files[month])
        return self._source.actual([*files])


def months_of(events: Any) -> tuple[str, ...]:
    """Return the months in which events lie, but for those of a few strays."""
    known = pd.Series(events).dropna()
    months = known.to_numpy("datetime64[M]")
    found, counts = np.unique(months, return_counts=True)
    return tuple(str(month) for month in found[counts >= _LEAST_SHARE * len(months)])


def _files(source: Arriving, months: list[str], today: date) -> MonthFiles:
    try:
        return source.there(months, today)
    except MlopsError as error:
        progress.report(f"no labels can be requested now: {error.message}")
        return {}
