"""What batch scoring has to know of a dataset: its files of requests, and what is written of them.

A request is a row without its answer. `mlops.datasets.dataset.Dataset.request_files` returns what
implements this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from mlops.data.origins import TripOrigin
from mlops.data.references import Extraction, SourceFile


class RequestFiles(Protocol):
    """Files of requests of one dataset, read as one configuration says."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns with the prediction, its lower and its upper bound."""

    @property
    def span(self) -> tuple[float, float] | None:
        """Between which values the distribution of predictions is counted; None: the model's."""

    @property
    def folder(self) -> Path:
        """Folder of the batches of predictions."""

    @property
    def rules(self) -> str:
        """Source of the rules that requests are held to, below ``mlops/``."""

    @property
    def identity(self) -> str:
        """Whatever else of the dataset decides what is read and set aside."""

    def origin(self, files: Sequence[Path]) -> TripOrigin:
        """Return where the rows of files on this machine come from."""

    def extract(self, month: str) -> Extraction:
        """Bring the rows of a month within reach; the answers need not be known yet.

        Args:
            month: ``YYYY-MM``, or several, as in `settings.source.months`; empty: the newest month,
                or all rows of files that hold any time.

        Raises:
            SourceError: Naming the file that is missing or unusable.
            ConfigurationError: If there are no months to choose from.
        """

    def count(self, file: Path) -> int:
        """Count the requests of a file.

        Raises:
            SourceError: If the file is not whole, or lacks a column.
        """

    def identifiers(self, files: Sequence[SourceFile]) -> Any:
        """Return the Arrow schema of the columns that identify the requests of these files."""

    def chunks(self, file: SourceFile, identifiers: Any) -> Iterator[tuple[Any, pd.DataFrame]]:
        """Read a file in chunks of `settings.inference.chunk_rows`.

        Args:
            file: To read.
            identifiers: From `identifiers`.

        Yields:
            An Arrow table of that schema, and the requests, indexed from zero.

        Raises:
            SourceError: Naming the file and, where there are, the column and the row.
        """

    def split(self, requests: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Separate requests that can be answered from those that cannot.

        Returns:
            The good rows, and the bad rows with a column ``reasons``: names of rules, joined by
            ``; ``. Both keep the index of ``requests``.
        """

    def remark(self, files: Sequence[SourceFile]) -> str:
        """Return what is odd about the files, a line each; empty if nothing is."""
