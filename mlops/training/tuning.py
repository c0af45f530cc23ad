"""Search: the best hyperparameters of one family, judged on rows later than those it learns from.

The Tree-structured Parzen Estimator (Bergstra et al., NeurIPS 2011) as hyperopt has it. The first
trial is the family's defaults, so no search ends worse than not searching.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from mlops.counting import counted
from mlops.datasets.dataset import Encoder, FeatureLayout, Matrix, Target, training_matrix
from mlops.errors import MlopsError
from mlops.settings import TrainingSettings
from mlops.training.artifact import TabularModel, middle
from mlops.training.boosting import BoostedTrees, HistogramTrees
from mlops.training.families import QUANTILES, family_of
from mlops.training.family import Family, Params
from mlops.training.spaces import Scalar
from mlops.training.trend import TrendAndTrees

_CURVE_POINTS: Final = 100
ROUNDS: Final = "rounds"


@dataclass(frozen=True)
class Trial:
    """One set of hyperparameters, tried.

    Attributes:
        number: Position in the search, from 0.
        params: Complete hyperparameters, constants and overrides included; JSON scalars.
        rmse: On validation; None if it failed. Of the median, for quantiles.
        mae: On validation; None if it failed.
        loss: What the search minimises: the RMSE; for quantiles, the pinball loss.
        seconds: Wall time.
        status: ``ok`` or ``failed``.
        error: Why it failed.
    """

    number: int
    params: Params
    rmse: float | None
    mae: float | None
    loss: float | None
    seconds: float
    status: Literal["ok", "failed"]
    error: str = ""


@dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Attributes:
        family: Name of the family.
        best_params: Complete hyperparameters of the best trial, rounds found included.
        best_trial: The trial with the least loss; of equal ones, the earliest.
        trials: In order.
        learning_curve: Loss on validation (see `Trial.loss`) of the best trial after each of
            ``curve_rounds``; empty if the family is not boosted.
        training_curve: The same on the training rows.
        curve_rounds: Rounds, from 1, at most 100 of them.
        model: Fitted on the training rows with the best hyperparameters.
    """

    family: str
    best_params: Params
    best_trial: Trial
    trials: tuple[Trial, ...]
    learning_curve: tuple[float, ...]
    training_curve: tuple[float, ...]
    curve_rounds: tuple[int, ...]
    model: TabularModel


def tune(
    family: str,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    encoder: Encoder,
    target: str,
    settings: TrainingSettings,
    threads: int,
    on_trial: Callable[[Trial], None] | None = None,
) -> SearchResult:
    """Search the hyperparameters of a family.

    Args:
        family: Name in `FAMILIES` or `OBJECTIVES`.
        train: Rows to learn from, with what was known of each.
        validation: Later rows. They are encoded with what the encoder knows alone, as a served
            model would.
        encoder: With what is known of the past when validation begins.
        target: Column of what is predicted, in both.
        settings: Trials, time budget, seed, and fixed hyperparameters, which win over the space.
        threads: For each fit.
        on_trial: Called after each trial.

    Returns:
        The same for the same arguments, as long as the time budget is not what ends the search.

    Raises:
        ConfigurationError: If a family or a hyperparameter to override does not exist.
        MlopsError: If every trial failed.
    """
    from threadpoolctl import threadpool_limits

    for name, fixed in settings.overrides.items():
        family_of(name).complete(fixed)  # a typo is an error, not a default
    held_out = encoder.encode(validation), validation[target].to_numpy(dtype=np.float64)
    learned = training_matrix(encoder, train, target)
    search = _Search(
        family_of(family), encoder.layout, learned, held_out, settings, threads, on_trial
    )
    with threadpool_limits(threads):
        search.run()
    if search.best is None:
        raise MlopsError(
            f"{family}: none of {counted(len(search.trials), 'trial')} succeeded; the first error:"
            f" {search.trials[0].error}",
            f"check training.overrides.{family} and the training rows",
        )
    params = search.best.params
    model = TabularModel.fit(
        family, params, train, encoder, target, seed=settings.seed, threads=threads
    )
    rounds = len(search.curves.get("validation", []))
    points = np.unique(np.linspace(1, rounds, min(rounds, _CURVE_POINTS)).astype(int)).tolist()
    validation_curve, training_curve = (
        tuple(search.curves[name][point - 1] for point in points) if points else ()
        for name in ("validation", "train")
    )
    return SearchResult(
        family=family,
        best_params=params,
        best_trial=search.best,
        trials=tuple(search.trials),
        learning_curve=validation_curve,
        training_curve=training_curve,
        curve_rounds=tuple(points),
        model=model,
    )


class _Search:
    """The state of one search: data encoded once, trials so far, curves of the best."""

    def __init__(
        self,
        family: Family,
        layout: FeatureLayout,
        train: tuple[Matrix, Target],
        held_out: tuple[Matrix, Target],
        settings: TrainingSettings,
        threads: int,
        on_trial: Callable[[Trial], None] | None,
    ) -> None:
        self.family, self.layout = family, layout
        self.settings, self.threads = settings, threads
        self.train, self.held_out = train, held_out
        self.on_trial = on_trial or (lambda trial: None)
        self.fixed = settings.overrides.get(family.name, {})
        self.trials: list[Trial] = []
        self.best: Trial | None = None
        self.curves: dict[str, list[float]] = {}

    def run(self) -> None:
        """Try the defaults, then what TPE proposes."""
        start = self.family.complete(self.fixed)
        free = {name: d for name, d in self.family.space.items() if name not in self.fixed}
        if not free:
            self.attempt(start)
            return
        from hyperopt import fmin, tpe
        from hyperopt.exceptions import AllTrialsFailed

        with suppress(AllTrialsFailed):  # reported by `tune`, with the cause
            fmin(
                self.attempt,
                # Constants are part of the space, so that what is tried is always complete.
                {**start, **{name: d.expression(name) for name, d in free.items()}},
                # TPE models nothing before so many trials; with its default, 20, it never would.
                algo=partial(tpe.suggest, n_startup_jobs=max(2, self.settings.max_evals // 3)),
                max_evals=self.settings.max_evals,
                timeout=self.settings.time_budget_seconds,
                points_to_evaluate=[{name: d.point(start[name]) for name, d in free.items()}],
                rstate=np.random.default_rng(self.settings.seed),
                early_stop_fn=lambda trials: (self.is_over(), []),
                return_argmin=False,
                show_progressbar=False,
                verbose=False,
            )

    def attempt(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Try one set of hyperparameters; a failure is recorded and costs the others nothing."""
        params = {name: _plain(value) for name, value in proposed.items()}
        number, started = len(self.trials), time.perf_counter()
        try:
            found, rmse, mae, loss, curves = self.measure(params)
            seconds = time.perf_counter() - started
            trial = Trial(number, {**params, **found}, rmse, mae, loss, seconds, "ok")
        except Exception as error:  # any library may raise anything here
            traceback.print_exc()
            seconds = time.perf_counter() - started
            why = f"{type(error).__name__}: {error}"
            trial = Trial(number, params, None, None, None, seconds, "failed", why)
        self.trials.append(trial)
        self.on_trial(trial)
        if trial.loss is None:
            return {"status": "fail"}
        if self.best is None or self.best.loss is None or trial.loss < self.best.loss:
            self.best, self.curves = trial, curves
        return {"status": "ok", "loss": trial.loss}

    def measure(self, params: Params) -> tuple[Params, float, float, float, dict[str, list[float]]]:
        """Fit, and return the rounds found, RMSE, MAE and loss on validation, and the curves."""
        features, target = self.train
        estimator = self.family.build(params, self.layout, self.settings.seed, self.threads)
        found: Params = {}
        curves: dict[str, list[float]] = {}
        if (
            isinstance(estimator, BoostedTrees | HistogramTrees | TrendAndTrees)
            and ROUNDS not in self.fixed
        ):
            estimator.fit(features, target, self.held_out)
            found, curves = {ROUNDS: estimator.rounds}, estimator.curves_
        else:
            estimator.fit(features, target)
        predicted = np.asarray(estimator.predict(self.held_out[0]), dtype=np.float64)
        predicted = np.clip(predicted, target.min(), target.max())
        error = (predicted if predicted.ndim == 1 else middle(predicted)) - self.held_out[1]
        rmse = float(np.sqrt(np.mean(error**2)))
        loss = rmse if predicted.ndim == 1 else _pinball(predicted, self.held_out[1])
        if not np.isfinite(loss):
            raise FloatingPointError("the predictions are not finite")
        return found, rmse, float(np.mean(np.abs(error))), loss, curves

    def is_over(self) -> bool:
        """Tell whether the trials are used up, or the last of them brought nothing."""
        # Hyperopt does not count the point it is given to evaluate first.
        last_gain = self.best.number if self.best else -1
        in_vain = len(self.trials) - 1 - last_gain
        used_up = len(self.trials) >= self.settings.max_evals
        return used_up or in_vain >= self.settings.no_progress_trials


def _pinball(quantiles: Matrix | Target, actual: Target) -> float:
    """Return the mean pinball loss (Koenker and Bassett, 1978) over `QUANTILES`."""
    error = actual[:, None] - quantiles
    levels = np.array(QUANTILES)
    return float(np.mean(np.maximum(levels * error, (levels - 1) * error)))


def _plain(value: Any) -> Scalar:
    """Return a numpy scalar as Python's own, which JSON can hold."""
    plain: Scalar = value.item() if isinstance(value, np.generic) else value
    return plain
