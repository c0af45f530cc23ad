"""What turns a matrix of features into minutes inside the server: trees, or a sum.

A kernel predicts ``(n, outputs)``: the centre, and the two bounds where the interval has a model of
its own. Nothing here knows where it was trained.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from mlops.datasets.dataset import Matrix
from mlops.errors import MlopsError

Values = npt.NDArray[np.float64]

TREES_FILE: Final = "trees.ubj"
LINEAR_FILE: Final = "linear.npz"
ESTIMATOR_FILE: Final = "estimator.pickle"
_MINUTES_PER_HOUR: Final = 60


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
        booster: From `mlops.serving.model.trees.merged_booster`.
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
        """Return exact SHAP values of the centre and the mean of the training rows."""
        return tree_contributions(self._booster, features)

    def save(self, folder: Path) -> None:
        """Write the booster."""
        self._booster.save_model(folder / TREES_FILE)

    @classmethod
    def load(cls, folder: Path) -> TreeKernel:
        """Read what `save` wrote; raises what XGBoost raises."""
        import xgboost

        return cls(xgboost.Booster({"nthread": 1}, model_file=folder / TREES_FILE))


def tree_contributions(booster: Any, features: Matrix) -> tuple[Values, float]:
    """Return exact SHAP values of a booster's first output, and the mean of the training rows.

    Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees", Nature Machine Intelligence 2020: the path-dependent algorithm, in float32.

    Args:
        booster: From `mlops.serving.model.trees.merged_booster`.
        features: Rows of `FEATURES`.

    Returns:
        Minutes per feature, ``(n, len(FEATURES))``, and the base they are added to.
    """
    import xgboost

    if not len(features):
        nothing, base = tree_contributions(booster, np.zeros((1, features.shape[1]), np.float32))
        return nothing[:0], base
    matrix = xgboost.DMatrix(features, nthread=1)
    # The first layer is the centre's trees: the others' values are not asked for.
    values = booster.predict(matrix, pred_contribs=True, iteration_range=(0, 1), strict_shape=True)[
        :, 0
    ].astype(np.float64)
    return values[:, :-1], float(values[0, -1])


class _RowPredictor:
    """The same trees for one row, by Treelite's inference library.

    XGBoost spends 20 microseconds of each call on itself, whatever the trees; Treelite's C function
    needs 8 for everything, though for many rows it is the slower one. It is called here as its own
    Python wrapper calls it, with the arguments made once. Reference: ``TreeliteGTILPredict`` in
    https://treelite.readthedocs.io/en/latest/treelite-c-api.html.
    """

    def __init__(self, booster: Any) -> None:
        from treelite.frontend import from_xgboost_json
        from treelite.gtil.gtil import GTILConfig
        from treelite.libpath import find_lib_path

        # PyDLL keeps the GIL: giving it up for a few microseconds costs more than them.
        self._library = ctypes.PyDLL(str(find_lib_path()[0]))
        self._library.TreeliteGetLastError.restype = ctypes.c_char_p
        self._predict = self._library.TreeliteGTILPredict
        # These two own what the handles among the arguments stand for.
        self._model = from_xgboost_json(bytes(booster.save_raw("json")))
        self._options = GTILConfig(predict_type="default", nthread=1)
        self._row = np.zeros((1, booster.num_features()), np.float32)
        self.outputs = int(booster.inplace_predict(self._row, strict_shape=True).shape[1])
        self._result = np.zeros(self.outputs, np.float32)
        self._arguments = (
            self._model.handle,
            ctypes.c_void_p(self._row.ctypes.data),
            ctypes.c_char_p(b"float32"),
            ctypes.c_uint64(1),  # rows
            ctypes.c_void_p(self._result.ctypes.data),
            self._options.handle,
        )

    def __call__(self, row: Matrix) -> list[float]:
        self._row[0] = row
        if self._predict(*self._arguments):
            raise MlopsError(
                f"Treelite cannot predict: {self._library.TreeliteGetLastError().decode()}",
                "deploy another version",
            )
        outputs: list[float] = self._result.tolist()
        return outputs


@dataclass(frozen=True, eq=False)
class LinearKernel:
    """A sum over indicators and numbers; the bounds, if any, and what the sum leaves, from trees.

    Attributes:
        intercept: Shape ``(1,)``.
        codes: Columns of the features that hold codes, ``(codes,)``.
        sizes: How many codes each has, the missing one included, ``(codes,)``.
        slopes: What each code adds, those of one feature after the other, ``(sizes.sum(),)``.
        shares: How frequent each code was in training, likewise: what contributions compare with.
        clock: Columns of the minute of the day and the weekday, ``(2,)``; empty without a clock.
        hour: What each day of the week and hour adds, ``(7, 24)``; empty without a clock.
        numbers: Columns of the other features, ``(numbers,)``.
        low: Below it a number is clipped, ``(numbers,)``; likewise ``high``.
        mean: Of the clipped number; a missing one counts as the mean.
        slope: Of each number.
        residual: Whether the first output of the trees is added to the sum, ``(1,)``.
        trees: Predicts the lower and the upper bound, after what the sum leaves if it does.
    """

    intercept: Values
    codes: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    slopes: Values
    shares: Values
    clock: npt.NDArray[np.int64]
    hour: Values
    numbers: npt.NDArray[np.int64]
    low: Values
    high: Values
    mean: Values
    slope: Values
    residual: npt.NDArray[np.bool_]
    trees: TreeKernel | None = None

    def predict(self, features: Matrix) -> npt.NDArray[Any]:
        """Return answers, ``(n, outputs)``."""
        center = self._center(features)[:, None]
        if self.trees is None:
            return center
        outputs = self.trees.predict(features)
        if self.residual[0]:
            center, outputs = center + outputs[:, :1], outputs[:, 1:]
        return np.hstack([center, outputs])

    def predict_row(self, row: Matrix) -> list[float]:
        """Return the outputs of one row."""
        center = float(self._center(row[None])[0])
        outputs = [] if self.trees is None else self.trees.predict_row(row)
        if self.residual[0]:
            center, outputs = center + outputs[0], outputs[1:]
        return [center, *outputs]

    def contributions(self, features: Matrix) -> tuple[Values, float]:
        """Return what each feature adds to the answer for an average row.

        That row has the mean of each number, codes as frequent as in training, and any hour of the
        week. The table of hours is shared between clock and weekday as by Shapley (Lundberg and
        Lee, "A unified approach to interpreting model predictions", NeurIPS 2017).
        """
        values = np.zeros(features.shape)
        values[:, self.numbers] = self._scaled(features) * self.slope
        base = float(self.intercept[0])
        for column, places, first, size in self._coded(features):
            own = slice(first, first + size)
            mean = float(self.slopes[own] @ self.shares[own])
            values[:, column] = self.slopes[places] - mean
            base += mean
        if len(self.clock):
            hour, day = self._moment(features)
            by_hour, by_day, any_time = self.hour.mean(0), self.hour.mean(1), self.hour.mean()
            here, (minutes, days) = self.hour[day, hour], self.clock
            values[:, minutes] = (by_hour[hour] - any_time + here - by_day[day]) / 2
            values[:, days] = (by_day[day] - any_time + here - by_hour[hour]) / 2
            base += float(any_time)
        if self.trees is not None and self.residual[0]:
            more, rest = self.trees.contributions(features)
            values, base = values + more, base + rest
        return values, base

    def save(self, folder: Path) -> None:
        """Write the tables, and the trees."""
        tables = {name: table for name, table in vars(self).items() if name != "trees"}
        np.savez(folder / LINEAR_FILE, **tables)
        if self.trees is not None:
            self.trees.save(folder)

    @classmethod
    def load(cls, folder: Path) -> LinearKernel:
        """Read what `save` wrote; raises what NumPy and XGBoost raise."""
        with np.load(folder / LINEAR_FILE, allow_pickle=False) as tables:
            trees = TreeKernel.load(folder) if (folder / TREES_FILE).exists() else None
            return cls(**tables, trees=trees)

    def _center(self, features: Matrix) -> Values:
        answers = self._scaled(features) @ self.slope + self.intercept
        for _, places, _, _ in self._coded(features):
            answers = answers + self.slopes[places]
        if len(self.clock):
            hour, day = self._moment(features)
            answers = answers + self.hour[day, hour]
        return np.asarray(answers)

    def _scaled(self, features: Matrix) -> Values:
        numbers = np.clip(features[:, self.numbers], self.low, self.high)
        return np.nan_to_num(numbers - self.mean)

    def _coded(self, features: Matrix) -> Iterator[tuple[int, npt.NDArray[np.int64], int, int]]:
        """Yield each feature of codes: its column, where its rows lie in the tables, its part."""
        first = 0
        for column, size in zip(self.codes.tolist(), self.sizes.tolist(), strict=True):
            values = features[:, column]
            codes = np.where(np.isnan(values), size - 1, values).astype(np.int64)
            yield column, codes + first, first, size
            first += size

    def _moment(self, features: Matrix) -> tuple[npt.NDArray[np.int64], ...]:
        """Return hour and weekday of each row."""
        minute, day = (np.nan_to_num(features[:, column]) for column in self.clock)
        return (minute // _MINUTES_PER_HOUR).astype(np.int64), day.astype(np.int64)
