"""What a linear model needs to see: codes and hours as indicators, numbers tamed and scaled.

Real tables hold numbers far out of range: a distance of 100 000 miles, and a linear model without
protection predicts with an error of hours. Here every number is held to the range of nearly all
training rows.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin

from mlops.datasets.dataset import FeatureLayout, Matrix

HOURS: Final = 24
DAYS: Final = 7
# Shares of the training rows below and above which numbers are clipped.
_TAILS: Final = (0.005, 0.995)


class LinearEncoding(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns the dense matrix into sparse indicators and clipped, scaled numbers.

    The hour of the week says all about the clock that an additive model can learn from it. A
    missing number becomes the mean, which is zero after scaling; a missing code has an indicator of
    its own.

    Args:
        layout: Of the matrix.
    """

    def __init__(self, layout: FeatureLayout) -> None:
        self.layout = layout

    @property
    def sizes(self) -> dict[str, int]:
        """Indicators by the name of the feature they stand for; those of the clock are last."""
        clock = {"hour of the week": DAYS * HOURS} if self.layout.clock else {}
        return {name: count + 1 for name, count in self.layout.codes.items()} | clock

    @property
    def numbers(self) -> list[int]:
        """Positions of the features that are numbers."""
        others = {*self.layout.codes, *(self.layout.clock or ())}
        return [place for name, place in self.layout.column.items() if name not in others]

    def fit(self, features: Matrix, target: Any = None) -> LinearEncoding:
        """Learn ranges, means and spreads of the numbers, and how frequent each indicator is."""
        numbers = features[:, self.numbers].astype(np.float64)
        numbers[:, np.isnan(numbers).all(axis=0)] = 0  # a feature may be missing throughout
        self.low_, self.high_ = np.nanquantile(numbers, _TAILS, axis=0)
        clipped = np.clip(numbers, self.low_, self.high_)
        self.mean_ = np.nanmean(clipped, axis=0)
        spread = np.nanstd(clipped, axis=0)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        self.shares_ = [
            np.bincount(codes, minlength=size) / len(features)
            for codes, size in zip(
                indicators(features, self.layout), self.sizes.values(), strict=True
            )
        ]
        return self

    def transform(self, features: Matrix) -> Any:
        """Return a CSR matrix, shape ``(n, indicators + numbers)``."""
        numbers = np.clip(features[:, self.numbers], self.low_, self.high_)
        scaled = np.nan_to_num((numbers - self.mean_) / self.spread_)
        sizes = [*self.sizes.values()]
        starts_at = np.cumsum((0, *sizes))
        rows, width = len(features), len(sizes) + numbers.shape[1]
        columns = np.empty((rows, width), dtype=np.int32)
        for place, codes in enumerate(indicators(features, self.layout)):
            columns[:, place] = codes + starts_at[place]
        columns[:, len(sizes) :] = starts_at[-1] + np.arange(numbers.shape[1])
        values = np.ones((rows, width))
        values[:, len(sizes) :] = scaled
        starts = np.arange(rows + 1) * width
        shape = (rows, int(starts_at[-1]) + numbers.shape[1])
        return csr_matrix((values.ravel(), columns.ravel(), starts), shape=shape)


def indicators(features: Matrix, layout: FeatureLayout) -> list[npt.NDArray[np.int64]]:
    """Return which indicator each row has of each feature of `LinearEncoding.sizes`."""
    found = [layout.codes_in(features, name) for name in layout.codes]
    if layout.clock:
        minute, day = (np.nan_to_num(features[:, layout.column[name]]) for name in layout.clock)
        found.append((day * HOURS + minute // 60).astype(np.int64))
    return found
