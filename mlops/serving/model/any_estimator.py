"""Serves an estimator of a library that is compiled to nothing simpler: it is stored as it is.

It is pickled beside the other files of a bundle, by a home that has verified and loaded the model
just before; a bundle is read only if its files are those that were written.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops.datasets.dataset import Matrix
from mlops.serving.model.kernels import ESTIMATOR_FILE, TREES_FILE, TreeKernel, Values
from mlops.training import stored_classes


class EstimatorKernel:
    """An estimator, and the booster of the interval's bounds beside it, if there is one.

    Args:
        estimator: Anything with ``predict``.
        bounds: A booster of two outputs.
    """

    def __init__(self, estimator: Any, bounds: TreeKernel | None) -> None:
        self._estimator, self._bounds = estimator, bounds

    def predict(self, features: Matrix) -> npt.NDArray[Any]:
        """Return the outputs of rows, ``(n, outputs)``."""
        bounds = self._bounds.predict(features) if self._bounds else np.empty((len(features), 0))
        return np.column_stack([self._center(features), bounds])

    def predict_row(self, row: Matrix) -> list[float]:
        """Return the outputs of one row."""
        outputs: list[float] = self.predict(row[None])[0].tolist()
        return outputs

    def contributions(self, features: Matrix) -> tuple[Values, float]:
        """Return Shapley values, estimated by one order of the features and its reverse.

        The base is the prediction if every feature is missing; values and base add up to the
        prediction (R. Mitchell et al., "Sampling Permutations for Shapley Value Estimation", JMLR
        23, 2022: an order with its reverse halves the variance at least).
        """
        count = features.shape[1]
        values = np.zeros(features.shape)
        unknown = np.full_like(features, np.nan)
        base = float(self._center(unknown[:1])[0]) if len(features) else 0.0
        for order in (range(count), reversed(range(count))):
            known, before = unknown.copy(), np.full(len(features), base)
            for feature in order:
                known[:, feature] = features[:, feature]
                after = self._center(known)
                values[:, feature] += (after - before) / 2
                before = after
        return values, base

    def save(self, folder: Path) -> None:
        """Write the estimator, and the booster of the bounds."""
        (folder / ESTIMATOR_FILE).write_bytes(pickle.dumps(self._estimator, protocol=5))
        if self._bounds:
            self._bounds.save(folder)

    @classmethod
    def load(cls, folder: Path) -> EstimatorKernel:
        """Read what `save` wrote; raises what its libraries raise."""
        estimator = stored_classes.loads((folder / ESTIMATOR_FILE).read_bytes())
        return cls(estimator, TreeKernel.load(folder) if (folder / TREES_FILE).exists() else None)

    def _center(self, features: Matrix) -> Values:
        if not len(features):
            return np.empty(0)
        return np.asarray(self._estimator.predict(features), dtype=np.float64)
