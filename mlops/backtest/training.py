"""One training of the replay: windows, features, search, refit and interval, all of the library.

It does what the pipelines do, on what the clock shows, with a smaller search. The outcome depends
on nothing but its arguments, hence policies that train on the same day share it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops import progress
from mlops.backtest.history import Clock, content_sha256
from mlops.backtest.store import Store, key_of
from mlops.cores import usable_cores
from mlops.data.months import month_bounds
from mlops.data.references import Reference
from mlops.datasets.dataset import Division
from mlops.datasets.opening import dataset_of
from mlops.errors import ConfigurationError
from mlops.evaluation.evaluate import GateEvidence, gather_evidence
from mlops.evaluation.gate import judge
from mlops.evaluation.metrics import regression_metrics
from mlops.evaluation.verdict import Verdict
from mlops.records.digests import is_intact, sha256_of
from mlops.records.files import damaged, read_record
from mlops.registry.receipts import code_commit, lock_hash
from mlops.settings import Settings, WindowSettings
from mlops.training.artifact import TabularModel
from mlops.training.choice import with_baselines
from mlops.training.families import family_of
from mlops.training.tuning import SearchResult, tune

_QUANTILES: Final = "quantiles"  # the family that gives the others their interval


class Training(Reference):
    """One model of the replay; its file lies beside this record."""

    key: str
    at: datetime  # the clock
    months: tuple[str, ...]
    learned_until: datetime  # no event it learned from is later; from here on it was tested
    rows: int  # it learned from
    family: str
    params: dict[str, Any]
    trials: int
    validation_rmse: float  # in the unit of the target
    test_rmse: float
    test_rows: int
    baseline_rmse: float | None  # of the best baseline on test
    data_sha256: str
    artifact_sha256: str  # of the model's file
    seconds: float  # search, refits and interval


def months_known(months: Sequence[str], now: datetime, limit: int) -> tuple[str, ...]:
    """Return the months that are over by a time, at most the last ``limit``."""
    return tuple([month for month in months if month_bounds(month)[1] <= now][-limit:])


def _require_moving(windows: WindowSettings) -> None:
    """Refuse windows that are given as dates."""
    for name in ("validation_start", "test_start"):
        if getattr(windows, name) is not None:
            raise ConfigurationError(
                f"windows.{name} is a date, but a replay needs windows that move with it",
                "set windows.validation_days and windows.test_months or windows.test_days",
            )


@dataclass(frozen=True)
class Challenger:
    """A training with what the gate needs."""

    training: Training
    test: pd.DataFrame


def train(clock: Clock, months: Sequence[str], settings: Settings, store: Store) -> Challenger:
    """Train on what the clock shows, or find the same training done.

    Args:
        clock: Its present is the time of the training.
        months: To learn from and to test on.
        settings: Windows, features, budget of the search.
        store: Keeps the model and its record.
    """
    _require_moving(settings.windows)
    dataset = dataset_of(settings)
    known = clock.finished(month_bounds(months[0])[0])
    division = dataset.divide(known, months, settings)
    budget = {
        **{name: getattr(settings.backtest, name) for name in ("families", "max_evals")},
        "time_budget_seconds": settings.backtest.time_budget_seconds,
    }
    search = settings.training.model_copy(update=budget)
    data = content_sha256(known)
    key = key_of(
        "training", clock.now, division.validation_from, division.test_from, data,
        search.model_dump(exclude={"threads"}), settings.features.model_dump(),
        dataset.request_files(settings).identity,
    )  # fmt: skip

    path = store.path("trainings", key, ".model")

    def make() -> Training:
        return _Fit(known, division, settings.model_copy(update={"training": search})).outcome(
            key, clock.now, tuple(months), data, path
        )

    def is_whole(training: Training) -> bool:
        return is_intact(path, training.artifact_sha256)

    training = store.remembered("trainings", key, Training, make, is_whole)
    return Challenger(training, known[division.test])


class _Fit:
    """The windows of one training, encoded once for all families."""

    def __init__(self, known: pd.DataFrame, division: Division, settings: Settings) -> None:
        self.settings, self.dataset = settings, dataset_of(settings)
        self.threads = settings.training.threads or usable_cores()
        self.started = time.perf_counter()
        rows = pd.concat([known, self.dataset.annotate(known, settings)], axis=1)
        masks = (division.train, division.validation, division.test)
        self.train, self.validation, self.test = (rows[mask] for mask in masks)
        self.at_validation, self.at_test = (
            self.dataset.past(rows, start, settings)
            for start in (division.validation_from, division.test_from)
        )
        self.learned_until = division.test_from

    def outcome(
        self, key: str, at: datetime, months: tuple[str, ...], data: str, target: Path
    ) -> Training:
        """Search every family, refit the best and the baselines, and keep the best."""
        searches = [self._search(n) for n in with_baselines(self.settings.training.families)]
        baselines = [s for s in searches if family_of(s.family).baseline]
        learned = [s for s in searches if not family_of(s.family).baseline] or baselines
        best = min(learned, key=lambda search: search.best_trial.rmse or np.inf)
        model = self._refit(best)
        quantiles = next((s for s in searches if s.family == _QUANTILES), None)
        if quantiles is None:
            model = model.with_residual_interval(best.model, self.validation)
        else:
            bounds = model if quantiles is best else self._refit(quantiles)
            seed = self.settings.training.seed
            known = pd.concat([self.train, self.validation])
            bounds = bounds.with_own_quantiles(
                known, self.dataset.event, seed=seed, threads=self.threads
            )
            model = model.with_interval_of(bounds)
        floors = [self._rmse(self._refit(search)) for search in baselines]
        rmse = self._rmse(model)
        model.save(target)
        seconds = time.perf_counter() - self.started
        progress.report("trained", at=f"{at:%Y-%m-%d}", test_rmse=rmse, seconds=seconds)
        return Training(
            key=key,
            at=at,
            months=months,
            learned_until=self.learned_until,
            rows=model.rows,
            family=best.family,
            params=best.best_params,
            trials=sum(len(search.trials) for search in searches),
            validation_rmse=best.best_trial.rmse or np.inf,
            test_rmse=rmse,
            test_rows=len(self.test),
            baseline_rmse=min(floors, default=None),
            data_sha256=data,
            artifact_sha256=sha256_of(target),
            seconds=seconds,
        )

    def _search(self, family: str) -> SearchResult:
        return tune(
            family,
            self.train,
            self.validation,
            self.dataset.encoder(self.train, self.at_validation),
            self.dataset.target,
            self.settings.training,
            self.threads,
        )

    def _refit(self, search: SearchResult) -> TabularModel:
        known = pd.concat([self.train, self.validation])
        return TabularModel.fit(
            search.family,
            search.best_params,
            known,
            self.dataset.encoder(known, self.at_test),
            self.dataset.target,
            seed=self.settings.training.seed,
            threads=self.threads,
        )

    def _rmse(self, model: TabularModel) -> float:
        predicted = model.predict_point(self.test)
        return regression_metrics(self.test[self.dataset.target].to_numpy(), predicted).rmse


@lru_cache(maxsize=4)
def _load_model(path: Path, sha256: str, threads: int, way_out: str) -> TabularModel:
    """Read a model of the store; policies that share it read it once."""
    if not is_intact(path, sha256):
        raise damaged(path, "it is not what was written", way_out)
    return TabularModel.load(path, threads)


def read_training(key: str, store: Store) -> Training:
    """Return the record of a training that is in the store.

    Raises:
        DamagedFileError: If it is damaged.
    """
    return read_record(store.path("trainings", key, ".json"), Training, store.start_over)


def model_of(training: Training, settings: Settings, store: Store) -> TabularModel:
    """Return the model of a training.

    Raises:
        DamagedFileError: If its file is gone or damaged.
    """
    path, threads = store.path("trainings", training.key, ".model"), settings.training.threads
    return _load_model(path, training.artifact_sha256, threads, store.start_over)


def pass_gate(
    challenger: Challenger, champion: Training | None, settings: Settings, store: Store
) -> Verdict:
    """Let the gate compare a challenger with the champion, on the challenger's test window."""

    def measure(training: Training, gaps: tuple[str, ...] = ()) -> GateEvidence:
        model = model_of(training, settings, store)
        return gather_evidence(
            model, challenger.test, dataset_of(settings), settings.evaluation, gaps
        )

    receipt = {"code_commit": code_commit(), "lock_hash": lock_hash()}
    gaps = tuple(name for name, value in receipt.items() if value in ("", "unknown"))
    return judge(
        measure(challenger.training, gaps),
        measure(champion) if champion else None,
        challenger.training.baseline_rmse,
        settings.gate,
    )
