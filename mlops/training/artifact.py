"""The model as one artifact: raw request columns in, answers with an interval out.

Encoder, histories, estimator and interval travel together, so that training and serving
cannot drift apart. Loading needs neither the search nor the tracking library.
"""

from __future__ import annotations

import pickle
import platform
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.cores import usable_cores
from mlops.datasets.answers import ANSWER
from mlops.datasets.dataset import Encoder, Target, training_matrix
from mlops.errors import MlopsError, cause_of
from mlops.records.atomic import atomic_file
from mlops.training import stored_classes
from mlops.training.estimators import Estimator
from mlops.training.families import QUANTILES, family_of
from mlops.training.intervals import (
    IntervalModel,
    QuantileInterval,
    ResidualInterval,
    folds_of,
    out_of_fold,
)

_FORMAT: Final = "mlops.tabular_model/1"
# Rows encoded and predicted at a time: a block's matrix stays in a core's cache.
_BLOCK_ROWS: Final = 16_384
MEDIAN: Final = QUANTILES.index(0.5)
_PACKAGES: Final = ("numpy", "pandas", "scikit-learn", "xgboost-cpu")


@dataclass(frozen=True, eq=False)
class TabularModel:
    """A fitted model.

    Attributes:
        family: Name of its family.
        params: Its complete hyperparameters.
        encoder: From requests to features.
        estimator: From features to answers.
        target: Column of what it predicts.
        shortest: No prediction is below: the smallest answer it was taught.
        longest: No prediction is above.
        rows: It learned from.
        interval: Puts bounds around predictions; None until calibrated.
        versions: Of Python and of the libraries it was fitted with.
        threads: That prediction may use; 0 means all cores. Not stored.
    """

    family: str
    params: Mapping[str, Any]
    encoder: Encoder
    estimator: Estimator
    target: str
    shortest: float
    longest: float
    rows: int
    interval: IntervalModel | None = None
    versions: Mapping[str, str] = field(default_factory=lambda: _versions())
    threads: int = 0

    @classmethod
    def fit(
        cls,
        family: str,
        params: Mapping[str, Any],
        rows: pd.DataFrame,
        encoder: Encoder,
        target: str,
        *,
        seed: int,
        threads: int,
    ) -> TabularModel:
        """Fit a family with given hyperparameters.

        Args:
            family: Name in `FAMILIES` or `OBJECTIVES`.
            params: Hyperparameters; missing ones take their default.
            rows: To learn from: what was known of each, and the target.
            encoder: With what the model will know of the past when it is asked.
            target: Column of what is predicted.
            seed: Of everything random.
            threads: For fitting.

        Raises:
            ConfigurationError: If the family or a hyperparameter does not exist.
            DataQualityError: If there are no rows, or a column is missing.
        """
        from threadpoolctl import threadpool_limits

        definition = family_of(family)
        complete = definition.complete(params)
        features, answers = training_matrix(encoder, rows, target)
        estimator = definition.build(complete, encoder.layout, seed, threads)
        with threadpool_limits(threads):
            estimator.fit(features, answers)
        if hasattr(estimator, "n_jobs"):
            # A forest's threads add up its trees in any order, which changes the last digits;
            # and blocks of rows already keep all cores busy.
            estimator.n_jobs = 1
        return cls(
            family=family,
            params=complete,
            encoder=encoder,
            estimator=estimator,
            target=target,
            shortest=float(answers.min()),
            longest=float(answers.max()),
            rows=len(answers),
        )

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of the encoder."""
        return self.encoder.layout.names

    def predict_point(self, frame: pd.DataFrame) -> Target:
        """Predict answers without their interval.

        Args:
            frame: Request columns; optional ones may be missing.

        Returns:
            Shape ``(n,)``, in the unit of the target.

        Raises:
            DataQualityError: If a needed column is missing.
        """
        return self._in_blocks(frame, self._center, 1)[:, 0]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Predict answers with their interval.

        Args:
            frame: As for `predict_point`.

        Returns:
            `ANSWER` with the frame's index; the prediction never lies outside of the interval.
            Bounds are NaN before calibration.
        """
        answers = self._in_blocks(frame, self._center_and_bounds, len(ANSWER))
        return pd.DataFrame(answers, columns=list(ANSWER), index=frame.index)

    def with_residual_interval(self, twin: TabularModel, validation: pd.DataFrame) -> TabularModel:
        """Return the model with an interval from the errors of its twin.

        Args:
            twin: The same model fitted without the validation window.
            validation: Rows that the twin never saw, with their answers.
        """
        actual = validation[self.target].to_numpy(dtype=np.float64)
        interval = ResidualInterval.calibrate(twin.predict_point(validation), actual)
        return replace(self, interval=interval)

    def with_own_quantiles(
        self, rows: pd.DataFrame, event: str, *, seed: int, threads: int
    ) -> TabularModel:
        """Return a model of quantiles with the interval that its outer quantiles make.

        It is calibrated on every row that the model learned from, each predicted by a fit of the
        same kind that did not see the row's day. One week alone may be unusual: in the worked case,
        calibrated on the last of December, 4 of 23 slices of January lay outside of 76 to 84 %; on
        all days, 1.

        Args:
            rows: Those the model was fitted on.
            event: Column of their time; empty where there is none.
            seed: Of the fits; as the model's own.
            threads: For the fits.
        """
        build = family_of(self.family).build
        layout = self.encoder.layout
        features, answers = training_matrix(self.encoder, rows, self.target)
        events = rows[event].to_numpy() if event else np.empty(0, dtype="datetime64[us]")
        unseen = out_of_fold(
            lambda: build(self.params, layout, seed, threads),
            features,
            answers,
            folds_of(events, len(rows)),
        )
        interval = QuantileInterval.calibrate(self.estimator, features, unseen, answers, layout)
        return replace(self, interval=interval)

    def with_interval_of(self, quantiles: TabularModel) -> TabularModel:
        """Return the model with the interval of a model of quantiles.

        Args:
            quantiles: From `with_own_quantiles`, with the same histories as this model.

        Raises:
            ValueError: If the two models do not encode requests the same way.
        """
        if self.encoder.sha256 != quantiles.encoder.sha256:
            raise ValueError("the quantile model has other histories than the model")
        return replace(self, interval=quantiles.interval)

    def save(self, path: Path) -> None:
        """Write the whole model to one file, whole or not at all."""
        with atomic_file(Path(path)) as temporary, temporary.open("wb") as stream:
            pickle.dump((_FORMAT, replace(self, threads=0)), stream, protocol=5)

    @classmethod
    def load(cls, path: Path, threads: int = 0) -> TabularModel:
        """Read a model written by `save`. Only load files you trust: a pickle can run code.

        Args:
            path: The file.
            threads: That prediction may use; 0 means all cores.

        Raises:
            MlopsError: If the file is missing, damaged or no such model.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise MlopsError(
                f"{path}: cannot be read: {cause_of(error)}", "check the path"
            ) from error
        return cls.loads(content, str(path), threads)

    @classmethod
    def loads(cls, content: bytes, source: str, threads: int = 0) -> TabularModel:
        """Return the model in the content of a file written by `save`; as `load`.

        Args:
            content: Of a file that you trust.
            source: Where it is from, for errors.
            threads: That prediction may use; 0 means all cores.
        """
        try:
            kind, model = stored_classes.loads(content)
        except Exception as error:  # a damaged pickle may raise anything
            raise MlopsError(
                f"{source}: is not a complete model: {type(error).__name__}: {error}",
                "train it again",
            ) from error
        if kind == stored_classes.FORMER_FORMAT:
            kind, model = _FORMAT, stored_classes.upgraded(model, source)
        if kind != _FORMAT:
            raise MlopsError(
                f"{source}: this model was saved by another version of the project",
                "train it again",
            )
        loaded: TabularModel = replace(model, threads=threads)
        return loaded

    def _center(self, frame: pd.DataFrame) -> Target:
        return self._clipped(middle(self.estimator.predict(self.encoder.encode(frame))))[:, None]

    def _center_and_bounds(self, frame: pd.DataFrame) -> Target:
        features = self.encoder.encode(frame)
        center = self._clipped(middle(self.estimator.predict(features)))
        if self.interval is None:
            unknown = np.full(len(center), np.nan)
            return np.stack([center, unknown, unknown], axis=1)
        lower, upper = (self._clipped(b) for b in self.interval.bounds(features, center))
        return np.stack([center, np.minimum(lower, center), np.maximum(upper, center)], axis=1)

    def _clipped(self, answers: Target) -> Target:
        return np.clip(np.asarray(answers, dtype=np.float64), self.shortest, self.longest)

    def _in_blocks(
        self, frame: pd.DataFrame, predict: Callable[[pd.DataFrame], Target], width: int
    ) -> Target:
        """Predict block by block, as many at a time as there are threads."""
        starts = range(0, len(frame), _BLOCK_ROWS)
        if len(starts) <= 1:
            return predict(frame) if len(frame) else np.empty((0, width))
        threads = self.threads or usable_cores()
        blocks = (frame.iloc[start : start + _BLOCK_ROWS] for start in starts)
        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(predict, blocks)))


def middle(predicted: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the prediction itself: of quantiles, ``(n, quantiles)``, the median."""
    return predicted if predicted.ndim == 1 else predicted[:, MEDIAN]


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # e.g. the other distribution of XGBoost
        return ""
