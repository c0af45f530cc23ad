"""The files of one batch of predictions, written chunk by chunk, and what they hold so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mlops.data.quality import REASONS, SOURCE
from mlops.data.references import Reference
from mlops.errors import MlopsError

PREDICTIONS: Final = "predictions.parquet"
REJECTED: Final = "rejected.parquet"

SYNTHETIC_MODEL: Final = "synthetic_model"  # in a file's metadata: the model knows no real row
# The distribution is kept as counts of equal parts of a span: of one size whatever the size of the
# input, and exact to the hundredth of a minute for a day.
_BINS: Final = 144_000


class Distribution(Reference):
    """How the predictions spread, in the unit of the target."""

    mean: float
    p10: float
    p50: float
    p90: float


class PredictionWriter:
    """Writes `predictions.parquet`, maybe empty, and `rejected.parquet` when there are any.

    Args:
        folder: Where to.
        identifiers: Arrow schema of the columns that identify a request.
        outputs: Names of the columns with the prediction, its lower and its upper bound.
        span: Between which values the distribution is counted; what lies outside counts as an end.
        constants: Columns with the same value in every row of the predictions.
        synthetic_model: The model learned from generated rows: the file's metadata says so.

    Attributes:
        rows: Predictions written.
        rejected: Requests set aside.
        reasons: How often each rule was broken.
    """

    def __init__(
        self,
        folder: Path,
        identifiers: Any,
        outputs: Sequence[str],
        span: tuple[float, float],
        constants: Mapping[str, Any],
        synthetic_model: bool = False,
    ) -> None:
        self._folder = folder
        self._metadata = {SYNTHETIC_MODEL: "true"} if synthetic_model else None
        self._identifiers = identifiers
        self._outputs = tuple(outputs)
        self._low, high = span
        self._bins_per_unit = _BINS / ((high - self._low) or 1.0)
        self._constants = constants
        self._files: dict[str, Any] = {}
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._sum = 0.0
        self.rows = 0
        self.rejected = 0
        self.reasons: Counter[str] = Counter()

    def __enter__(self) -> PredictionWriter:
        self.predicted(self._identifiers.empty_table(), "", np.empty((0, len(self._outputs))))
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def predicted(self, ids: Any, source: str, answers: npt.NDArray[Any]) -> None:
        """Append predictions.

        Args:
            ids: Arrow table with a row for each request.
            source: Name of the file the requests come from.
            answers: A row for each request, a column for each of ``outputs``.

        Raises:
            MlopsError: If a prediction is not a finite number.
        """
        columns = np.ascontiguousarray(answers.T, dtype=np.float32)
        values = dict(zip(self._outputs, columns, strict=True))
        wrong = sum(int((~np.isfinite(column)).sum()) for column in values.values())
        if wrong:
            raise MlopsError(
                f"{source}: {wrong} of the model's predictions are not finite numbers",
                "this is a fault of the model: choose another version, or train again",
            )
        rows = len(answers)
        constants = {name: _repeated(value, rows) for name, value in self._constants.items()}
        known = dict(zip(ids.column_names, ids.columns, strict=True))
        table = {**known, SOURCE: _repeated(source, rows), **values, **constants}
        written = pa.table(table).replace_schema_metadata(self._metadata)
        self._append(PREDICTIONS, written, [SOURCE, *constants])
        center = columns[0]
        places = (center - self._low) * self._bins_per_unit
        bins = np.clip(places, 0, _BINS - 1).astype(np.int64)
        self._counts += np.bincount(bins, minlength=_BINS)
        self._sum += float(center.sum(dtype=np.float64))
        self.rows += rows

    def set_aside(self, ids: Any, source: str, requests: pd.DataFrame) -> None:
        """Append requests that cannot be answered, with the column `reasons`."""
        if requests.empty:
            return
        known = dict(zip(ids.column_names, ids.columns, strict=True))
        others = {name: _column(requests[name]) for name in requests if name not in known}
        table = pa.table({**known, **others, SOURCE: _repeated(source, len(requests))})
        self._append(REJECTED, table, [SOURCE, REASONS])
        for reasons, rows in requests[REASONS].value_counts().items():
            self.reasons.update(dict.fromkeys(str(reasons).split("; "), int(rows)))
        self.rejected += len(requests)

    def distribution(self) -> Distribution | None:
        """Return how the predictions spread, or ``None`` when there are none."""
        if not self.rows:
            return None
        ranks = np.ceil(np.array([0.1, 0.5, 0.9]) * self.rows)
        bins = np.searchsorted(np.cumsum(self._counts), ranks)
        p10, p50, p90 = (self._low + (bins + 0.5) / self._bins_per_unit).tolist()
        return Distribution(mean=self._sum / self.rows, p10=p10, p50=p50, p90=p90)

    def _append(self, name: str, table: Any, repetitive: list[str]) -> None:
        if name not in self._files:
            self._files[name] = pq.ParquetWriter(
                self._folder / name, table.schema, compression="zstd", use_dictionary=repetitive
            )
        self._files[name].write_table(table)


def _column(values: pd.Series[Any]) -> Any:
    """Return a column of texts as texts even if each is missing: all parts of a file are alike."""
    kind = pa.string() if values.dtype == object else None
    return pa.Array.from_pandas(values, type=kind)


def _repeated(value: Any, rows: int) -> Any:
    if isinstance(value, str):
        # One copy of the text, and a byte per row until parquet's run lengths remove those too.
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), [value])
    return pa.repeat(pa.scalar(value), rows)
