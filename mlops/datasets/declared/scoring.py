"""Files of requests of a declared dataset; see `mlops.datasets.scoring.RequestFiles`.

A request is known in the output by the columns of the key that its file has. Where a file lacks one
of them, rows are numbered as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops.data.files.tables import open_table
from mlops.data.origins import TripOrigin
from mlops.data.quality import REASONS, SOURCE, reasons_of
from mlops.data.references import Extraction, SourceFile
from mlops.datasets.answers import OUTPUTS
from mlops.datasets.declared.months import require_monthly, with_months
from mlops.datasets.declared.preparing.extracting import extract, rows_of
from mlops.datasets.declared.preparing.identity import identity_of
from mlops.datasets.declared.preparing.validating import declared_rules_in_force
from mlops.datasets.declared.reading import dtype_of, iter_frames
from mlops.datasets.declared.rules import DatasetRule, broken_rules
from mlops.datasets.definition import DatasetDefinition
from mlops.errors import ConfigurationError
from mlops.settings import Settings

ROW: Final = "row"  # the number of a row in its file, from zero
# Beside these columns, a batch of predictions has the key.
_OTHERS: Final = (ROW, SOURCE, *OUTPUTS, "model_version", "data_hash", "run_id", "predicted_at")
_LOOKED_AT: Final = 1_000  # rows in which a derived key shows


@dataclass(frozen=True)
class RowRequestFiles:
    """Files with the columns that a definition's requests have."""

    definition: DatasetDefinition
    settings: Settings
    outputs: ClassVar[tuple[str, ...]] = OUTPUTS
    span: ClassVar[None] = None
    rules: ClassVar[str] = "datasets/declared/rules.py"

    @property
    def folder(self) -> Path:
        """Among what belongs to the dataset."""
        return self.settings.predictions

    @property
    def identity(self) -> str:
        """What the definition says of rows."""
        return identity_of(self.definition)

    def origin(self, files: Sequence[Path]) -> TripOrigin:
        """Return the dataset: nothing of it is generated."""
        return TripOrigin("", False, self.definition.name)

    def extract(self, month: str) -> Extraction:
        """Find the files of a month, by default of the last one that is asked for."""
        source = self.settings.source
        location = source.location or self.definition.source.location
        if month:
            require_monthly(location, month)
        asked = with_months(self.settings).source.month_list
        months = month or (asked[-1] if asked else source.months)
        source = source.model_copy(update={"months": months})
        wanted = self.settings.model_copy(update={"source": source})
        return extract(self.definition, wanted, labels=False)

    def count(self, file: Path) -> int:
        """Count the rows of a file with the columns of a request."""
        return rows_of(self.definition, file, labels=False)

    def identifiers(self, files: Sequence[SourceFile]) -> Any:
        """Return the columns of the key that a file has, and the row's number if one lacks any.

        Raises:
            ConfigurationError: If a column of the key has the name of another column.
        """
        key = self.definition.key
        if taken := [name for name in key if name in _OTHERS]:
            raise ConfigurationError(
                f"{self.definition.name}: {taken[0]}, a column of the key, has the name of a column"
                " that predicting adds",
                "rename it in the files and in the definition",
            )
        there = [self._keys_in(file.uri) for file in files]
        known = [name for name in key if any(name in names for names in there)]
        whole = bool(key) and all(len(names) == len(key) for names in there)
        types = [(name, self._type_of(name)) for name in known]
        return pa.schema(types if whole else [*types, (ROW, pa.int64())])

    def chunks(self, file: SourceFile, identifiers: Any) -> Iterator[tuple[Any, pd.DataFrame]]:
        """Read the key and the columns of a request."""
        first = 0
        requests = self.definition.request_columns
        chunk_rows = self.settings.inference.chunk_rows
        for frame in iter_frames(self.definition, file.uri, chunk_rows, labels=False):
            rows = np.arange(first, first + len(frame))
            ids = [
                pa.array(rows if field.name == ROW else frame[field.name], field.type, None, True)
                for field in identifiers
            ]
            yield pa.table(ids, schema=identifiers), frame[[*requests]]
            first += len(frame)

    def split(self, requests: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Hold rows to the rules that concern what is known when a prediction is asked for."""
        broken = broken_rules(self._rejecting, requests)
        bad = np.logical_or.reduce([np.zeros(len(requests), dtype=bool), *broken.values()])
        return requests[~bad], requests[bad].assign(**{REASONS: reasons_of(broken, bad)})

    def remark(self, files: Sequence[SourceFile]) -> str:
        """Name files without rows."""
        return "\n".join(f"{file.name} has no rows" for file in files if not file.rows)

    @cached_property
    def _rejecting(self) -> tuple[DatasetRule, ...]:
        rules = declared_rules_in_force(self.definition, self.settings.validation)
        return tuple(rule for rule in rules if rule.asked and rule.action == "quarantine")

    def _keys_in(self, path: str) -> set[str]:
        with open_table(path) as table:
            names = {name for name, _ in table.fields}
        there = names & {*self.definition.key}
        if self.definition.derive:  # which may add the others
            rows = next(iter_frames(self.definition, path, _LOOKED_AT, labels=False), None)
            if rows is not None:
                there |= {name for name in self.definition.key if rows[name].notna().any()}
        return there

    def _type_of(self, name: str) -> Any:
        dtype = dtype_of(self.definition.columns[name])
        return pa.string() if dtype is object else pa.from_numpy_dtype(np.dtype(dtype))
