"""The encoder of a declared dataset as the server holds it; see `mlops.serving.model.encoders`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mlops.data.references import Reference
from mlops.datasets.dataset import Columns, FeatureLayout, Matrix
from mlops.datasets.declared.encoding import RowEncoder, TableEncoder
from mlops.datasets.declared.golden import golden_rows
from mlops.datasets.declared.reading import dtype_of
from mlops.datasets.declared.stored_snapshots import load_snapshot, save_snapshot
from mlops.datasets.definition import DatasetDefinition
from mlops.serving.model.encoders import TABLE_FILE

if TYPE_CHECKING:
    from mlops.datasets.declared.groups import Row

_HISTORIES_FILE: Final = "histories.npz"


class StoredEncoder(Reference):
    """What a `TableEncoder` has learned, but for histories, as JSON."""

    definition: DatasetDefinition
    categories: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ServedTable:
    """Encodes many rows, or one at a time.

    Attributes:
        encoder: That a model was trained with.
    """

    encoder: TableEncoder

    @property
    def layout(self) -> FeatureLayout:
        """What the features are."""
        return self.encoder.layout

    @property
    def as_of(self) -> datetime | None:
        """The day on whose morning its histories end; None if it has none."""
        return self.encoder.snapshot.as_of if self.encoder.snapshot else None

    @cached_property
    def columns(self) -> Mapping[str, Any]:
        """The columns of a request with their NumPy types."""
        wanted = self.encoder.definition.request_columns
        return {name: dtype_of(column) for name, column in wanted.items()}

    @cached_property
    def encode_one(self) -> Callable[..., Matrix]:
        """Encodes one row, a mapping by column; see `RowEncoder.encode`."""
        return RowEncoder(self.encoder).encode

    def encode(self, frame: Columns) -> Matrix:
        """Encode rows."""
        if isinstance(frame, Mapping):
            frame = pd.DataFrame(frame, copy=False)
        return self.encoder.encode(frame)

    def one_by_one(self, columns: Mapping[str, Any]) -> Iterator[tuple[Row]]:
        """Yield each row as a mapping by column."""
        values = [[None if v != v else v for v in columns[name].tolist()] for name in columns]
        for row in zip(*values, strict=True):
            yield (dict(zip(columns, row, strict=True)),)

    def golden_requests(self) -> pd.DataFrame:
        """Make the rows that prove a bundle."""
        return golden_rows(self.encoder)

    def save(self, folder: Path) -> None:
        """Write what the encoder has learned into a folder."""
        encoder = self.encoder
        head = StoredEncoder(
            definition=encoder.definition,
            categories={name: tuple(known) for name, known in encoder.categories.items()},
            missing=encoder.missing,
        )
        text = json.dumps(head.model_dump(mode="json"), ensure_ascii=False)
        (folder / TABLE_FILE).write_text(text, encoding="utf-8")
        if encoder.snapshot:
            save_snapshot(encoder.snapshot, folder / _HISTORIES_FILE)

    @classmethod
    def load(cls, folder: Path) -> ServedTable:
        """Read what `save` has written.

        Raises:
            MlopsError: If the file of the histories is damaged.
            ValueError: If the other one is.
        """
        text = (folder / TABLE_FILE).read_text(encoding="utf-8")
        head = StoredEncoder.model_validate_json(text)
        histories = head.definition.histories
        snapshot = load_snapshot(folder / _HISTORIES_FILE) if histories else None
        return cls(TableEncoder(head.definition, head.categories, head.missing, snapshot))
