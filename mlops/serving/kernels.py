"""What turns a matrix of features into minutes inside the server: XGBoost's trees, or a sum.

A kernel predicts ``(n, outputs)``: the centre, and the two bounds where the interval has a model of
its own. Nothing here knows where it was trained.
"""

from __future__ import annotations

import ctypes
import json
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from mlops.errors import MlopsError
from mlops.features.encoding import COLUMN, FEATURES, Matrix

Values = npt.NDArray[np.float64]

TREES_FILE: Final = "trees.ubj"
LINEAR_FILE: Final = "linear.npz"
_HOURS: Final = 24


class Kernel(Protocol):
    """Predicts for rows of `FEATURES`; the centre is explained exactly."""

    def predict(self, features: Matrix) -> npt.NDArray[Any]:
        """Return minutes, ``(n, outputs)``."""

    def predict_row(self, row: Matrix) -> list[float]:
        """Return the outputs of one row, shape ``(len(FEATURES),)``; for one thread at a time."""

    def contributions(self, features: Matrix) -> tuple[Values, float]:
        """Return minutes of the centre per feature, ``(n, len(FEATURES))``, and its base."""

    def save(self, folder: Path) -> None:
        """Write the kernel into a folder."""


class TreeKernel:
    """A booster of one or more outputs, the centre first.

    Args:
        booster: From `mlops.serving.trees.merged_booster`.
    """

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        self._row = _RowPredictor(booster)

    def predict(self, features: Matrix) -> npt.NDArray[Any]:
        """Return minutes, ``(n, outputs)``, float32."""
        if not len(features):  # XGBoost forgets how many outputs there are
            return np.empty((0, self._row.outputs))
        return np.asarray(self._booster.inplace_predict(features, strict_shape=True))

    def predict_row(self, row: Matrix) -> list[float]:
        """Return the outputs of one row."""
        return self._row(row)

    def contributions(self, features: Matrix) -> tuple[Values, float]:
        """Return exact SHAP values of the centre and the mean of the training trips.

        Lundberg et al., "From local explanations to global understanding with explainable AI for
        trees", Nature Machine Intelligence 2020: the path-dependent algorithm, in float32.
        """
        import xgboost

        if not len(features):
            nothing, base = self.contributions(np.zeros((1, features.shape[1]), np.float32))
            return nothing[:0], base
        matrix = xgboost.DMatrix(features, nthread=1)
        # The first layer is the centre's trees: the others' values are not asked for.
        values = self._booster.predict(
            matrix, pred_contribs=True, iteration_range=(0, 1), strict_shape=True
        )[:, 0].astype(np.float64)
        return values[:, :-1], float(values[0, -1])

    def save(self, folder: Path) -> None:
        """Write the booster."""
        self._booster.save_model(folder / TREES_FILE)

    @classmethod
    def load(cls, folder: Path) -> TreeKernel:
        """Read what `save` wrote; raises what XGBoost raises."""
        import xgboost

        return cls(xgboost.Booster({"nthread": 1}, model_file=folder / TREES_FILE))


class _RowPredictor:
    """XGBoost's C function for one row, without what Python and cgroups add to each call.

    `Booster.inplace_predict` spends 20 times as long on building descriptions of the array and on
    reading the limits of the control group from files (once per new proxy matrix) as on 100 trees.
    Here both are made once. Reference: ``XGBoosterPredictFromDense`` in
    https://xgboost.readthedocs.io/en/release_3.0.0/dev/group__Prediction.html.
    """

    def __init__(self, booster: Any) -> None:
        from xgboost.libpath import find_lib_path

        # PyDLL keeps the GIL: giving it up for a few microseconds costs more than them.
        self._library = ctypes.PyDLL(find_lib_path()[0])
        self._library.XGBGetLastError.restype = ctypes.c_char_p
        self._predict = self._library.XGBoosterPredictFromDense
        self._booster = booster  # owns the handle
        self._row = np.zeros((1, booster.num_features()), np.float32)
        self._result = ctypes.POINTER(ctypes.c_float)()
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._dimensions = ctypes.c_uint64()
        proxy = ctypes.c_void_p()
        self._check(self._library.XGProxyDMatrixCreate(ctypes.byref(proxy)))
        weakref.finalize(self, self._library.XGDMatrixFree, proxy)
        options = {
            "type": 0,
            "training": False,
            "iteration_begin": 0,
            "iteration_end": 0,
            "missing": np.nan,
            "strict_shape": True,
            "cache_id": 0,
        }
        self._arguments = (
            booster.handle,
            json.dumps(_array_interface(self._row)).encode(),
            json.dumps(options).encode(),
            proxy,
            ctypes.byref(self._shape),
            ctypes.byref(self._dimensions),
            ctypes.byref(self._result),
        )
        self._check(self._predict(*self._arguments))  # now the shape is known
        self.outputs = int(self._shape[1])

    def __call__(self, row: Matrix) -> list[float]:
        self._row[0] = row
        self._check(self._predict(*self._arguments))
        return self._result[: self.outputs]

    def _check(self, status: int) -> None:
        if status:
            raise MlopsError(
                f"XGBoost cannot predict: {self._library.XGBGetLastError().decode()}",
                "deploy another version",
            )


def _array_interface(array: Matrix) -> dict[str, Any]:
    """Describe an array as XGBoost wants it: NumPy's array interface, version 3."""
    return {
        "data": [array.ctypes.data, True],
        "shape": list(array.shape),
        "strides": None,
        "typestr": "<f4",
        "version": 3,
    }


@dataclass(frozen=True, eq=False)
class LinearKernel:
    """A sum over indicators and numbers; the bounds, if any, come from trees.

    Attributes:
        intercept: Minutes, shape ``(1,)``.
        pickup: Minutes per pickup zone, ``(ZONES,)``.
        dropoff: Minutes per dropoff zone, ``(ZONES,)``.
        hour: Minutes per day of the week and hour, ``(7, 24)``.
        numbers: Columns of the other features, ``(numbers,)``.
        low: Below it a number is clipped, ``(numbers,)``; likewise ``high``.
        mean: Of the clipped number; a missing one counts as the mean.
        slope: Minutes per unit of the number.
        pickup_share: Share of each pickup zone in past trips: what contributions compare with.
        dropoff_share: Likewise of each dropoff zone.
        bounds: Predicts the lower and the upper bound.
    """

    intercept: Values
    pickup: Values
    dropoff: Values
    hour: Values
    numbers: npt.NDArray[np.int64]
    low: Values
    high: Values
    mean: Values
    slope: Values
    pickup_share: Values
    dropoff_share: Values
    bounds: TreeKernel | None = None

    def predict(self, features: Matrix) -> npt.NDArray[Any]:
        """Return minutes, ``(n, outputs)``."""
        center = self._center(features)[:, None]
        return center if self.bounds is None else np.hstack([center, self.bounds.predict(features)])

    def predict_row(self, row: Matrix) -> list[float]:
        """Return the outputs of one row."""
        center = [float(self._center(row[None])[0])]
        return center if self.bounds is None else center + self.bounds.predict_row(row)

    def contributions(self, features: Matrix) -> tuple[Values, float]:
        """Return what each feature adds to the minutes of an average trip.

        That trip has the mean of each number, zones as frequent as in past trips, and any hour of
        the week. The table of hours is shared between clock and weekday as by Shapley (Lundberg and
        Lee, "A unified approach to interpreting model predictions", NeurIPS 2017).
        """
        pickup, dropoff, hour, day = _codes(features)
        values = np.zeros((len(features), len(FEATURES)))
        values[:, self.numbers] = self._scaled(features) * self.slope
        mean_pickup = float(self.pickup @ self.pickup_share)
        mean_dropoff = float(self.dropoff @ self.dropoff_share)
        values[:, COLUMN["pickup_zone"]] = self.pickup[pickup] - mean_pickup
        values[:, COLUMN["dropoff_zone"]] = self.dropoff[dropoff] - mean_dropoff
        by_hour, by_day, any_time = self.hour.mean(0), self.hour.mean(1), self.hour.mean()
        here = self.hour[day, hour]
        values[:, COLUMN["minute_of_day"]] = (by_hour[hour] - any_time + here - by_day[day]) / 2
        values[:, COLUMN["weekday"]] = (by_day[day] - any_time + here - by_hour[hour]) / 2
        return values, float(self.intercept[0] + mean_pickup + mean_dropoff + any_time)

    def save(self, folder: Path) -> None:
        """Write the tables, and the bounds' trees."""
        tables = {name: table for name, table in vars(self).items() if name != "bounds"}
        np.savez(folder / LINEAR_FILE, **tables)
        if self.bounds is not None:
            self.bounds.save(folder)

    @classmethod
    def load(cls, folder: Path) -> LinearKernel:
        """Read what `save` wrote; raises what NumPy and XGBoost raise."""
        with np.load(folder / LINEAR_FILE, allow_pickle=False) as tables:
            bounds = TreeKernel.load(folder) if (folder / TREES_FILE).exists() else None
            return cls(**tables, bounds=bounds)

    def _center(self, features: Matrix) -> Values:
        pickup, dropoff, hour, day = _codes(features)
        places = self.pickup[pickup] + self.dropoff[dropoff]
        numbers = self._scaled(features) @ self.slope
        return np.asarray(numbers + places + self.hour[day, hour] + self.intercept)

    def _scaled(self, features: Matrix) -> Values:
        numbers = np.clip(features[:, self.numbers], self.low, self.high)
        return np.nan_to_num(numbers - self.mean)


def _codes(features: Matrix) -> tuple[npt.NDArray[np.int64], ...]:
    """Return pickup zone, dropoff zone, hour and weekday of each row."""
    pickup, dropoff, minute, day = (
        features[:, COLUMN[name]].astype(np.int64)
        for name in ("pickup_zone", "dropoff_zone", "minute_of_day", "weekday")
    )
    return pickup, dropoff, minute // (1_440 // _HOURS), day
