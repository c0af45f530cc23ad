"""A linear trend, and boosted trees on what it leaves.

Trees cut a trend into steps and cannot continue it: where most of the answer is a number in the
request (a delay so far, a price before tax), or a level that moves from week to week, a line finds
in a moment what trees approximate with hundreds of splits. The trees then add what is not linear.

Which features are part of the trend is chosen by forward selection (Hastie, Tibshirani and
Friedman, "The Elements of Statistical Learning", section 3.3.2), each choice judged on blocks of
consecutive rows that the line did not see: rows of one day have much in common, so that random
folds would reward a line for learning the days by heart.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops.datasets.dataset import Matrix, Target
from mlops.training.boosting import BoostedTrees, HeldOut

Floats = npt.NDArray[np.float64]

_BLOCKS: Final = 6
_LEAST_GAIN: Final = 0.001  # share of the squared error that another feature must save
_PATIENCE: Final = 50  # rounds; where columns are drawn at random, many bring nothing
_RIDGE: Final = 1.0  # in rows, of standardised features: steadies those that say the same


class LinearTrend:
    """A ridge regression on the features that help to predict blocks of rows it has not seen.

    Missing values count as the mean of their feature.
    """

    def fit(self, features: Matrix, target: Target) -> LinearTrend:
        """Choose features, and learn their coefficients.

        Args:
            features: Shape ``(n, features)``, rows in order of time where there is one.
            target: Shape ``(n,)``.
        """
        counts = np.maximum((~np.isnan(features)).sum(axis=0), 1)
        self.means_ = np.nansum(features, axis=0, dtype=np.float64) / counts
        self.level_ = float(np.mean(target))
        sums = _BlockSums(features, self.means_, target - self.level_)
        self.spreads_ = sums.spreads
        self.chosen_ = sums.chosen()
        self.slopes_, self.shift_ = sums.solution(self.chosen_)
        return self

    def predict(self, features: Matrix) -> Target:
        """Return the trend of each row, ``(n,)``."""
        chosen = self.chosen_
        scaled = (features[:, chosen] - self.means_[chosen]) / self.spreads_[chosen]
        return np.asarray(np.nan_to_num(scaled, nan=0.0) @ self.slopes_ + self.shift_ + self.level_)


class _BlockSums:
    """Products of features and target for each block: all that least squares need to know."""

    def __init__(self, features: Matrix, means: Floats, target: Target) -> None:
        rows, self._width = features.shape
        blocks = []
        for places in np.array_split(np.arange(rows), min(_BLOCKS, rows)):
            part = slice(places[0], places[-1] + 1)
            centred = np.nan_to_num(features[part] - means, nan=0.0)
            with_one: Floats = np.hstack([centred, np.ones((len(places), 1))])
            y = target[part]
            blocks.append((with_one.T @ with_one, with_one.T @ y, float(y @ y)))
        spread = np.sqrt(np.sum([np.diag(block[0])[:-1] for block in blocks], axis=0) / rows)
        self.spreads: Floats = np.where(spread > 0, spread, 1.0)
        scale = 1 / np.append(self.spreads, 1.0)
        self._blocks = [(p * np.outer(scale, scale), q * scale, r) for p, q, r in blocks]
        products, with_target, _ = zip(*self._blocks, strict=True)
        self._totals: tuple[Floats, Floats] = np.sum(products, axis=0), np.sum(with_target, axis=0)

    def chosen(self) -> list[int]:
        """Add the feature that helps most, until none saves enough."""
        chosen: list[int] = []
        error = self._error_without_seeing(chosen)
        while len(chosen) < self._width:
            others = [place for place in range(self._width) if place not in chosen]
            least, best = min((self._error_without_seeing([*chosen, n]), n) for n in others)
            if least >= error * (1 - _LEAST_GAIN):
                break
            error = least
            chosen.append(best)
        return chosen

    def solution(self, chosen: list[int], without: int | None = None) -> tuple[Floats, float]:
        """Return the slopes of chosen features and the shift, learned from all blocks but one."""
        products, with_target = self._totals
        if without is not None:
            left_out = self._blocks[without]
            products, with_target = products - left_out[0], with_target - left_out[1]
        places = [*chosen, self._width]
        pull = _RIDGE * np.eye(len(places))
        pull[-1, -1] = 1e-9
        line = np.linalg.solve(products[np.ix_(places, places)] + pull, with_target[places])
        return line[:-1], float(line[-1])

    def _error_without_seeing(self, chosen: list[int]) -> float:
        """Return the squared error over all blocks, each predicted from the others."""
        places = [*chosen, self._width]
        error = 0.0
        for number, (products, with_target, squares) in enumerate(self._blocks):
            slopes, shift = self.solution(chosen, without=number)
            line = np.append(slopes, shift)
            inside = line @ products[np.ix_(places, places)] @ line
            error += squares - 2 * float(line @ with_target[places]) + float(inside)
        return error


class TrendAndTrees:
    """A linear trend, and XGBoost's trees on its residuals.

    Args:
        rounds: Boosting rounds; with a validation set, at most.
        threads: For fitting.
        seed: Of row and column sampling.
        **params: Further parameters of XGBoost.
    """

    def __init__(self, rounds: int, threads: int, seed: int, **params: Any) -> None:
        self.trend = LinearTrend()
        objective = "reg:squarederror"
        self.trees = BoostedTrees(objective, rounds, threads, seed, _PATIENCE, **params)

    def fit(
        self, features: Matrix, target: Target, held_out: HeldOut | None = None
    ) -> TrendAndTrees:
        """Learn; with a validation set, keep the rounds that predict it best (by RMSE).

        Args:
            features: Shape ``(n, features)``, rows in order of time where there is one.
            target: Shape ``(n,)``.
            held_out: Later features and targets.
        """
        self.trend.fit(features, target)
        if held_out is not None:
            held_out = held_out[0], held_out[1] - self.trend.predict(held_out[0])
        self.trees.fit(features, target - self.trend.predict(features), held_out)
        return self

    @property
    def rounds(self) -> int:
        """Boosting rounds that were worth keeping."""
        return self.trees.rounds

    @property
    def curves_(self) -> dict[str, list[float]]:
        """RMSE after each round, of the rows learned from and the held-out ones."""
        return self.trees.curves_

    def predict(self, features: Matrix) -> Target:
        """Return predictions, ``(n,)``."""
        return np.asarray(self.trend.predict(features) + self.trees.predict(features))
