"""What a table behind a chart or a metric is: columns with their types, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from mlops.observability.world import ObservedWorld


@dataclass(frozen=True)
class ObservedTable:
    """One small table.

    Attributes:
        columns: Name to pandas type, in order; ``object`` for text, ``datetime64[us, UTC]`` for
            times.
        build: Makes it; further columns are dropped, one that is missing is an error.
    """

    columns: Mapping[str, str]
    build: Callable[[ObservedWorld], pd.DataFrame]

    def of(self, world: ObservedWorld) -> pd.DataFrame:
        """Make the table, with exactly its columns and types.

        Raises:
            KeyError: If the builder forgot a column.
        """
        return self.shaped(self.build(world))

    def shaped(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a frame's own columns, in their order and types."""
        return frame[list(self.columns)].astype(dict(self.columns)).reset_index(drop=True)

    @property
    def empty(self) -> pd.DataFrame:
        """The table before there is data."""
        return self.shaped(pd.DataFrame(columns=list(self.columns)))
