"""The model as one artifact: raw request columns in, minutes with an interval out.

Encoder, route statistics, estimator and interval travel together, so that training and serving
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
from mlops.datasets.taxi.features.encoding import FEATURES, FeatureEncoder, training_matrix
from mlops.datasets.taxi.features.routes import RouteStatistics
from mlops.datasets.taxi.trips import PICKUP_AT, TARGET
from mlops.errors import MlopsError, cause_of
from mlops.records.atomic import atomic_file
from mlops.training import stored_classes
from mlops.training.estimators import Estimator, Minutes
from mlops.training.families import QUANTILES, family_of
from mlops.training.intervals import (
    IntervalModel,
    QuantileInterval,
    ResidualInterval,
    folds_of,
    out_of_fold,
)

OUTPUTS: Final = ("prediction_minutes", "lower_minutes", "upper_minutes")

_FORMAT: Final = "mlops.trip_duration_model/1"
# Rows encoded and predicted at a time: a block's matrix stays in a core's cache.
_BLOCK_ROWS: Final = 16_384
MEDIAN: Final = QUANTILES.index(0.5)
_PACKAGES: Final = ("numpy", "pandas", "scikit-learn", "xgboost-cpu")


@dataclass(frozen=True, eq=False)
class TripDurationModel:
    """A fitted model.

    Attributes:
        family: Name of its family.
        params: Its complete hyperparameters.
        encoder: From requests to features.
        estimator: From features to minutes.
        shortest: No prediction is below: the shortest duration it was taught.
        longest: No prediction is above.
        rows: Trips it learned from.
        interval: Puts bounds around predictions; None until calibrated.
        features: Names of the columns of the encoder, as they were.
        versions: Of Python and of the libraries it was fitted with.
        threads: That prediction may use; 0 means all cores. Not stored.
    """

    family: str
    params: Mapping[str, Any]
    encoder: FeatureEncoder
    estimator: Estimator
    shortest: float
    longest: float
    rows: int
    interval: IntervalModel | None = None
    features: tuple[str, ...] = FEATURES
    versions: Mapping[str, str] = field(default_factory=lambda: _versions())
    threads: int = 0

    @classmethod
    def fit(
        cls,
        family: str,
        params: Mapping[str, Any],
        trips: pd.DataFrame,
        statistics: RouteStatistics,
        *,
        seed: int,
        threads: int,
    ) -> TripDurationModel:
        """Fit a family with given hyperparameters.

        Args:
            family: Name in `FAMILIES` or `OBJECTIVES`.
            params: Hyperparameters; missing ones take their default.
            trips: Training trips: request columns, `AS_OF_COLUMNS` and the duration.
            statistics: What the model will know of routes when it is asked.
            seed: Of everything random.
            threads: For fitting.

        Raises:
            ConfigurationError: If the family or a hyperparameter does not exist.
            DataQualityError: If there are no trips, or a column is missing.
        """
        from threadpoolctl import threadpool_limits

        definition = family_of(family)
        complete = definition.complete(params)
        encoder = FeatureEncoder(statistics)
        features, minutes = training_matrix(encoder, trips)
        estimator = definition.build(complete, seed, threads)
        with threadpool_limits(threads):
            estimator.fit(features, minutes)
        if hasattr(estimator, "n_jobs"):
            # A forest's threads add up its trees in any order, which changes the last digits;
            # and blocks of rows already keep all cores busy.
            estimator.n_jobs = 1
        return cls(
            family=family,
            params=complete,
            encoder=encoder,
            estimator=estimator,
            shortest=float(minutes.min()),
            longest=float(minutes.max()),
            rows=len(minutes),
        )

    def predict_minutes(self, frame: pd.DataFrame) -> Minutes:
        """Predict durations.

        Args:
            frame: Request columns; all but pickup time and zones may be missing.

        Returns:
            Minutes, shape ``(n,)``.

        Raises:
            DataQualityError: If a needed column is missing.
        """
        return self._in_blocks(frame, self._center, 1)[:, 0]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Predict durations with their interval.

        Args:
            frame: As for `predict_minutes`.

        Returns:
            ``prediction_minutes``, ``lower_minutes`` and ``upper_minutes`` with the frame's index;
            the prediction never lies outside of the interval. Bounds are NaN before calibration.
        """
        minutes = self._in_blocks(frame, self._center_and_bounds, len(OUTPUTS))
        return pd.DataFrame(minutes, columns=list(OUTPUTS), index=frame.index)

    def with_residual_interval(
        self, twin: TripDurationModel, validation: pd.DataFrame
    ) -> TripDurationModel:
        """Return the model with an interval from the errors of its twin.

        Args:
            twin: The same model fitted without the validation window.
            validation: Trips that the twin never saw, with their duration.
        """
        actual = validation[TARGET].to_numpy(dtype=np.float64)
        interval = ResidualInterval.calibrate(twin.predict_minutes(validation), actual)
        return replace(self, interval=interval)

    def with_own_quantiles(
        self, trips: pd.DataFrame, *, seed: int, threads: int
    ) -> TripDurationModel:
        """Return a model of quantiles with the interval that its outer quantiles make.

        It is calibrated on every trip that the model learned from, each predicted by a fit of the
        same kind that did not see the trip's day. One week alone may be unusual: calibrated on the
        last of December, 4 of 23 slices of January lay outside of 76 to 84 %; on all days, 1.

        Args:
            trips: Those the model was fitted on.
            seed: Of the fits; as the model's own.
            threads: For the fits.
        """
        build = family_of(self.family).build
        features, minutes = training_matrix(self.encoder, trips)
        unseen = out_of_fold(
            lambda: build(self.params, seed, threads), features, minutes, folds_of(trips[PICKUP_AT])
        )
        interval = QuantileInterval.calibrate(self.estimator, features, unseen, minutes)
        return replace(self, interval=interval)

    def with_interval_of(self, quantiles: TripDurationModel) -> TripDurationModel:
        """Return the model with the interval of a model of quantiles.

        Args:
            quantiles: From `with_own_quantiles`, with the same route statistics as this model.

        Raises:
            ValueError: If the two models do not encode requests the same way.
        """
        if self.encoder.statistics.sha256 != quantiles.encoder.statistics.sha256:
            raise ValueError("the quantile model has other route statistics than the model")
        return replace(self, interval=quantiles.interval)

    def save(self, path: Path) -> None:
        """Write the whole model to one file, whole or not at all."""
        with atomic_file(Path(path)) as temporary, temporary.open("wb") as stream:
            pickle.dump((_FORMAT, replace(self, threads=0)), stream, protocol=5)

    @classmethod
    def load(cls, path: Path, threads: int = 0) -> TripDurationModel:
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
    def loads(cls, content: bytes, source: str, threads: int = 0) -> TripDurationModel:
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
        if kind != _FORMAT or model.features != FEATURES:
            raise MlopsError(
                f"{source}: this model was saved by another version of the project",
                "train it again",
            )
        loaded: TripDurationModel = replace(model, threads=threads)
        return loaded

    def _center(self, frame: pd.DataFrame) -> Minutes:
        return self._clipped(middle(self.estimator.predict(self.encoder.encode(frame))))[:, None]

    def _center_and_bounds(self, frame: pd.DataFrame) -> Minutes:
        features = self.encoder.encode(frame)
        center = self._clipped(middle(self.estimator.predict(features)))
        if self.interval is None:
            unknown = np.full(len(center), np.nan)
            return np.stack([center, unknown, unknown], axis=1)
        lower, upper = (self._clipped(b) for b in self.interval.bounds(features, center))
        return np.stack([center, np.minimum(lower, center), np.maximum(upper, center)], axis=1)

    def _clipped(self, minutes: Minutes) -> Minutes:
        return np.clip(np.asarray(minutes, dtype=np.float64), self.shortest, self.longest)

    def _in_blocks(
        self, frame: pd.DataFrame, predict: Callable[[pd.DataFrame], Minutes], width: int
    ) -> Minutes:
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
