"""Boosted trees that stop on the validation window and say how many rounds were worth keeping.

Both libraries' own early stopping does not fit: scikit-learn's holds out rows at random, which is
never right for rows ordered in time, and XGBoost's needs the curves for the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np

from mlops.datasets.dataset import Matrix, Target

HeldOut: TypeAlias = tuple[Matrix, Target]

_PATIENCE: Final = 15


class BoostedTrees:
    """XGBoost's histogram trees, which predict without copying the matrix.

    Args:
        objective: An objective of XGBoost, e.g. ``reg:squarederror``.
        rounds: Boosting rounds; with a validation set, at most.
        threads: For fitting. Prediction uses one: callers run blocks of rows side by side.
        seed: Of row and column sampling.
        patience: Rounds without gain on the validation set before stopping.
        **params: Further parameters of XGBoost, e.g. ``quantile_alpha``.
    """

    def __init__(
        self,
        objective: str,
        rounds: int,
        threads: int,
        seed: int,
        patience: int = _PATIENCE,
        **params: Any,
    ) -> None:
        self.rounds = rounds
        self.patience = patience
        self.params: Mapping[str, Any] = {
            "objective": objective,
            "tree_method": "hist",
            "nthread": threads,
            "seed": seed,
            "max_bin": 256,
            **params,
        }
        self.curves_: dict[str, list[float]] = {}

    def fit(
        self, features: Matrix, target: Target, held_out: HeldOut | None = None
    ) -> BoostedTrees:
        """Learn; with a validation set, stop when it no longer gains and keep the best rounds.

        Args:
            features: Shape ``(n, features)``.
            target: Shape ``(n,)``.
            held_out: Later features and answers, which decide how many rounds to keep. Judged by
                RMSE, quantiles by their own (pinball) loss.
        """
        import xgboost

        # The bins of a quantised matrix must be those of the booster.
        bins = {name: self.params[name] for name in ("nthread", "max_bin")}
        train = xgboost.QuantileDMatrix(features, target, **bins)
        if held_out is None:
            self._booster = xgboost.train(self.params, train, self.rounds)
        else:
            curves: dict[str, dict[str, list[float]]] = {}
            quantiles = "quantile_alpha" in self.params
            booster = xgboost.train(
                {**self.params, **({} if quantiles else {"eval_metric": "rmse"})},
                train,
                self.rounds,
                evals=[
                    (train, "train"),
                    (xgboost.QuantileDMatrix(*held_out, ref=train, **bins), "validation"),
                ],
                early_stopping_rounds=self.patience,
                evals_result=curves,
                verbose_eval=False,
            )
            self.rounds = booster.best_iteration + 1
            self._booster = booster[: self.rounds]
            self.curves_ = {name: list(*curve.values()) for name, curve in curves.items()}
        self._booster.set_param({"nthread": 1})
        return self

    @property
    def booster(self) -> Any:
        """XGBoost's own model, once fitted."""
        return self._booster

    def predict(self, features: Matrix) -> Any:
        """Return answers, ``(n,)``, or one column per quantile."""
        return self._booster.inplace_predict(features)


class HistogramTrees:
    """scikit-learn's histogram trees.

    Args:
        rounds: Boosting rounds; with a validation set, at most.
        seed: Of column sampling.
        **params: Further parameters of ``HistGradientBoostingRegressor``.
    """

    def __init__(self, rounds: int, seed: int, **params: Any) -> None:
        self.rounds = rounds
        self.seed = seed
        self.params = params
        self.curves_: dict[str, list[float]] = {}

    def fit(
        self, features: Matrix, target: Target, held_out: HeldOut | None = None
    ) -> HistogramTrees:
        """Learn; with a validation set, keep the rounds that predict it best (by RMSE).

        Args:
            features: Shape ``(n, features)``.
            target: Shape ``(n,)``.
            held_out: Later features and answers.
        """
        self._model = self._fitted(features, target, self.rounds)
        if held_out is not None:
            self.curves_ = {
                name: [float(np.sqrt(np.mean((p - y) ** 2))) for p in self._model.staged_predict(x)]
                for name, (x, y) in {"train": (features, target), "validation": held_out}.items()
            }
            best = int(np.argmin(self.curves_["validation"])) + 1
            if best < self.rounds:
                # The library cannot forget rounds; the same seed repeats those that are kept.
                self.rounds = best
                self._model = self._fitted(features, target, best)
        return self

    @property
    def model(self) -> Any:
        """scikit-learn's own model, once fitted."""
        return self._model

    def predict(self, features: Matrix) -> Any:
        """Return answers, shape ``(n,)``."""
        with _thread_pools().limit(limits=1):
            return self._model.predict(features)

    def _fitted(self, features: Matrix, target: Target, rounds: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(
            max_iter=rounds, early_stopping=False, random_state=self.seed, **self.params
        )
        return model.fit(features, target)


@lru_cache(maxsize=1)
def _thread_pools() -> Any:
    """Return the controls of OpenMP; finding its libraries takes longer than a prediction.

    Callers run blocks of rows side by side: with OpenMP's threads below each, they would spend
    their time waiting for one another.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
