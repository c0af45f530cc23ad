"""The model as the online server runs it: plain tables and one kernel, no scikit-learn."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np

from mlops.datasets.dataset import Columns, Matrix
from mlops.serving.model.bundle import FOREIGN, Head, read_head, unusable, write_bundle
from mlops.serving.model.encoders import ServedEncoder, load_encoder
from mlops.serving.model.kernels import (
    ESTIMATOR_FILE,
    LINEAR_FILE,
    Kernel,
    LinearKernel,
    TreeKernel,
    Values,
)

# Rows at a time: their features stay in a core's cache between encoding and prediction.
_BLOCK_ROWS: Final = 16_384


class ServedExplanation(NamedTuple):
    """Where predictions come from: ``base + contributions.sum(axis=1) == minutes``.

    Minutes, or whatever the unit is, are before they are held to the smallest and largest answer
    that the model was taught.
    """

    features: tuple[str, ...]
    contributions: Values  # per row and feature, (n, features)
    base: float
    minutes: Values  # (n,)


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A model ready to serve.

    Attributes:
        head: What the bundle says of itself.
        encoder: From requests to features, with what it knows of the past.
        kernel: From features to answers.
    """

    head: Head
    encoder: ServedEncoder
    kernel: Kernel

    @property
    def version(self) -> int:
        """The registered version."""
        return self.head.version

    @property
    def family(self) -> str:
        """Name of the model's family."""
        return self.head.family

    @property
    def as_of(self) -> datetime | None:
        """The day on whose morning its knowledge of the past ends; None if it has none."""
        return self.head.as_of

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of contributions."""
        return self.head.features

    @property
    def shortest(self) -> float:
        """No prediction is below."""
        return self.head.shortest

    @property
    def longest(self) -> float:
        """No prediction is above."""
        return self.head.longest

    def predict(self, requests: Columns) -> Values:
        """Predict answers with their interval.

        Args:
            requests: `ServedEncoder.columns`, as a frame or as arrays by name; optional ones may be
                missing.

        Returns:
            Prediction, lower and upper bound, ``(n, 3)``; bounds are NaN before calibration.

        Raises:
            DataQualityError: If a needed column is missing.
        """
        rows = _length(requests)
        if rows <= _BLOCK_ROWS:
            return self._predict_block(requests)
        starts = range(0, rows, _BLOCK_ROWS)
        blocks = [_rows(requests, slice(start, start + _BLOCK_ROWS)) for start in starts]
        return np.concatenate([self._predict_block(block) for block in blocks])

    def predict_one(self, *request: Any) -> tuple[float, float, float]:
        """Predict one request, as `predict` does, in a fraction of its time.

        Args:
            *request: As the encoder takes it: the values of a row (`TripEncoder.encode`), or one
                row as a mapping (`RowEncoder.encode`).

        Returns:
            Prediction, lower and upper bound.
        """
        row = self._encode_one(*request)
        with self._one_at_a_time:
            outputs = self.kernel.predict_row(row)
        return self._bounded(outputs, row)

    def explain(self, requests: Columns) -> ServedExplanation:
        """Tell exactly what each feature contributes to each prediction.

        Args:
            requests: As for `predict`.

        Raises:
            DataQualityError: If a needed column is missing.
        """
        contributions, base = self.kernel.contributions(self.encoder.encode(requests))
        return ServedExplanation(
            self.features, contributions, base, base + contributions.sum(axis=1)
        )

    def parity(self) -> float:
        """Return the largest difference from the golden answers.

        Both ways of predicting are asked; an answer that is not a number is infinitely wrong.
        """
        golden = self.head.golden
        columns = golden.columns(self.encoder.columns)
        expected = np.array(golden.answers, dtype=np.float64).reshape(-1, 3)
        one_by_one = [self.predict_one(*request) for request in self.encoder.one_by_one(columns)]
        together = self.predict(columns)
        return max(
            _distance(together, expected), _distance(np.reshape(one_by_one, (-1, 3)), together)
        )

    def save(self, folder: Path) -> None:
        """Write the bundle, whole or not at all; one that is there is replaced."""

        def write(temporary: Path) -> None:
            self.encoder.save(temporary)
            self.kernel.save(temporary)

        write_bundle(folder, self.head, write)

    @classmethod
    def load(cls, folder: Path) -> CompiledModel:
        """Read a bundle and prove that it still gives its golden answers.

        Raises:
            MlopsError: If it is missing, damaged, of another format, or answers differently.
        """
        head = read_head(folder)
        try:
            model = cls(head, load_encoder(folder, head.files), _load_kernel(folder, head))
            same = model.encoder.layout.names == head.features
            difference = model.parity() if same else 0.0
        except Exception as error:  # whatever a file of the right hash but the wrong content does
            raise unusable(folder, f"{type(error).__name__}: {error}") from error
        if not same:
            raise unusable(folder, FOREIGN)
        if difference > head.tolerance:
            raise unusable(folder, f"its golden answers are off by {difference:.2g}")
        return model

    @cached_property
    def _encode_one(self) -> Callable[..., Matrix]:
        return self.encoder.encode_one

    @cached_property
    def _margin_tables(self) -> list[tuple[int, list[float], list[float]]]:
        return [
            (table.column, [*table.edges, np.inf], list(table.margins))
            for table in self.head.bounds.tables
        ]

    @cached_property
    def _one_at_a_time(self) -> Lock:
        return Lock()

    def _predict_block(self, requests: Columns) -> Values:
        features = self.encoder.encode(requests)
        outputs = self.kernel.predict(features).astype(np.float64)
        bounds = self.head.bounds
        center = self._clipped(outputs[:, 0])
        answers = np.full((len(center), 3), np.nan)
        answers[:, 0] = center
        if bounds.kind == "quantiles":
            margins = np.full(len(center), bounds.margin)
            for column, edges, table in self._margin_tables:
                members = np.searchsorted(edges, features[:, column], side="right")
                margins += np.take(table, members)
            lower, upper = outputs[:, 1] - margins, outputs[:, 2] + margins
        elif bounds.kind == "residuals":
            bins = np.searchsorted(bounds.edges, center, side="right")
            lower = center + np.array(bounds.below)[bins]
            upper = center + np.array(bounds.above)[bins]
        else:
            return answers
        answers[:, 1] = np.minimum(self._clipped(lower), center)
        answers[:, 2] = np.maximum(self._clipped(upper), center)
        return answers

    def _bounded(self, outputs: list[float], row: Matrix) -> tuple[float, float, float]:
        """Do for one row what `_predict_block` does for many."""
        shortest, longest, bounds = self.head.shortest, self.head.longest, self.head.bounds
        center = min(max(outputs[0], shortest), longest)
        if bounds.kind == "quantiles":
            margin = bounds.margin
            for column, edges, margins in self._margin_tables:
                margin += margins[bisect_right(edges, row.item(column))]
            lower, upper = outputs[1] - margin, outputs[2] + margin
        elif bounds.kind == "residuals":
            member = bisect_right(bounds.edges, center)
            lower, upper = center + bounds.below[member], center + bounds.above[member]
        else:
            return center, np.nan, np.nan
        return center, min(max(lower, shortest), center), max(min(upper, longest), center)

    def _clipped(self, minutes: Values) -> Values:
        return np.clip(minutes, self.head.shortest, self.head.longest)


def _load_kernel(folder: Path, head: Head) -> Kernel:
    if ESTIMATOR_FILE in head.files:
        from mlops.serving.model.any_estimator import EstimatorKernel

        return EstimatorKernel.load(folder)
    return (LinearKernel if LINEAR_FILE in head.files else TreeKernel).load(folder)


def _length(requests: Columns) -> int:
    if isinstance(requests, Mapping):
        return len(next(iter(requests.values()), ()))
    return len(requests)


def _rows(requests: Columns, chosen: slice) -> Columns:
    if isinstance(requests, Mapping):
        return {name: values[chosen] for name, values in requests.items()}
    return requests.iloc[chosen]


def _distance(answers: Values, expected: Values) -> float:
    difference = np.abs(answers - expected)
    difference[np.isnan(expected) & np.isnan(answers)] = 0
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0))
