"""Which runtime predicts fastest: the same trees in each, one trip or many, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measuring import measure
from benchmarks.onnx_trees import onnx_session
from benchmarks.report import Section, Table
from benchmarks.trips import MONTHS, TAXI, Bench, file_name
from mlops.data.months import month_bounds
from mlops.datasets.taxi.features.encoding import FEATURES, FeatureEncoder, Matrix
from mlops.datasets.taxi.features.routes import RouteHistory, RouteStatistics
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, REQUEST_COLUMNS, TARGET, VENDOR
from mlops.serving.model.compilation import compile_model, output_trees
from mlops.serving.model.kernels import TreeKernel
from mlops.serving.model.trees import merged_booster
from mlops.settings import FeatureSettings
from mlops.training.artifact import TabularModel
from mlops.training.intervals import QuantileInterval

MODELS = ("squared_error", "hist_gradient_boosting", "random_forest")
ROWS = (1, 100, 16_384)
PACKAGES = {
    "ONNX Runtime": ("onnxruntime", "onnx"),
    "treelite (GTIL)": ("treelite",),
}
# Each runtime gets this many turns, the runtimes in turn; the best counts, since what disturbs a
# measurement only ever makes it longer.
TURNS = 5
_ONE_BY_ONE = 300
_LAST_DAYS = 7  # of the month, for calibration

Predict = Callable[[Matrix], Any]


def run(bench: Bench) -> Section:
    """Fit the models on a month and measure all runtimes that are installed."""
    measured = measure(
        time_runtimes, bench.scratch / "runtimes", file=str(bench.folder / file_name(MONTHS[0]))
    ).result
    return section(bench, measured["kernels"], measured["answers"])


def time_runtimes(file: str) -> dict[str, list[list[Any]]]:
    """Return the rows of both tables.

    Args:
        file: A month of trips.
    """
    models, requests = fitted(Path(file))
    features = models[0].encoder.encode(requests)
    return {
        "kernels": [row for model in models for row in kernel_rows(model, features)],
        "answers": [row for model in models for row in answer_rows(model, requests)],
    }


def fitted(file: Path) -> tuple[list[TabularModel], pd.DataFrame]:
    """Fit `MODELS` with their interval on a month; return them and the last rows to ask about."""
    start, end = month_bounds(MONTHS[0])
    boundary: datetime = end - timedelta(days=_LAST_DAYS)
    trips = read_trips(file, TAXI)
    trips[TARGET] = (trips[DROPOFF_AT] - trips[PICKUP_AT]) / pd.Timedelta(minutes=1)
    inside = (trips[PICKUP_AT] >= start) & (trips[PICKUP_AT] < end)
    trips = trips[inside & trips[TARGET].between(1, 60)].sort_values(PICKUP_AT)
    trips = trips.reset_index(drop=True)
    trips = pd.concat([trips, RouteHistory(FeatureSettings()).annotate(trips)], axis=1)
    later = trips[PICKUP_AT] >= boundary
    statistics = RouteStatistics.of(trips, boundary, FeatureSettings())

    def fit(family: str) -> TabularModel:
        return TabularModel.fit(
            family, {}, trips[~later], FeatureEncoder(statistics), TARGET, seed=1, threads=1
        )

    quantiles = fit("quantiles").with_own_quantiles(trips[~later], PICKUP_AT, seed=1, threads=1)
    models = [fit(family).with_interval_of(quantiles) for family in MODELS]
    requests = trips[list(REQUEST_COLUMNS)].sample(max(ROWS), replace=True, random_state=1)
    return models, requests.reset_index(drop=True)


def kernel_rows(model: TabularModel, features: Matrix) -> Iterator[list[Any]]:
    """Yield per runtime: model, runtime, microseconds per row, and the largest difference."""
    runtimes = dict(installed_runtimes(model))
    best = best_seconds(
        {
            (name, rows): _turn(predict, features, rows)
            for name, predict in runtimes.items()
            for rows in ROWS
        }
    )
    expected = as_trained(model)(features)
    for name, predict in runtimes.items():
        found = _stacked(predict, features, 1 if name == ROW_CALL else len(features))
        yield [
            model.family,
            name,
            *(best[name, rows] * 1e6 for rows in ROWS),
            float(np.abs(found - expected[: len(found)]).max()),
        ]


ROW_CALL = "treelite, C call per row (how one trip is served)"


def installed_runtimes(model: TabularModel) -> Iterator[tuple[str, Predict]]:
    """Yield runtimes: each takes features and returns centre and bounds, ``(n, 3)``."""
    outputs = output_trees(model)
    booster = merged_booster(outputs, len(FEATURES))
    kernel = TreeKernel(booster)
    yield "as trained: one model each", as_trained(model)
    yield "XGBoost, one booster, in place", kernel.predict
    yield ROW_CALL, lambda rows: np.array([kernel.predict_row(row) for row in rows])
    if installed("ONNX Runtime"):
        session = onnx_session(outputs, len(FEATURES))
        yield "ONNX Runtime", lambda rows: session.run(None, {"X": rows})[0]
    if installed("treelite (GTIL)"):
        import treelite

        trees = treelite.frontend.from_xgboost(booster)
        yield (
            "treelite (GTIL)",
            lambda rows: treelite.gtil.predict(trees, rows, nthread=1).reshape(len(rows), -1),
        )


def as_trained(model: TabularModel) -> Predict:
    """Return what the training-time model does with features: its own libraries, one by one."""
    assert isinstance(model.interval, QuantileInterval)
    quantiles = model.interval.estimator

    def predict(features: Matrix) -> Any:
        bounds = quantiles.predict(features)
        return np.column_stack([model.estimator.predict(features), bounds[:, 0], bounds[:, -1]])

    return predict


def answer_rows(model: TabularModel, requests: pd.DataFrame) -> Iterator[list[Any]]:
    """Yield per way to ask, from a request's columns to the answer: model, way, microseconds."""
    compiled = compile_model(model, 1)
    names = [name for name in REQUEST_COLUMNS if name != VENDOR]
    arrays = {name: requests[name].to_numpy() for name in names}
    few = requests[names].head(_ONE_BY_ONE)
    trips = [
        (row[0].to_pydatetime(), *(None if value != value else value for value in row[1:]))
        for row in few.astype(object).itertuples(index=False)
    ]
    frames = [few.iloc[i : i + 1] for i in range(20)]
    small = {name: values[:10] for name, values in arrays.items()}
    ways: dict[str, tuple[Callable[[], Any], int]] = {
        "one trip, trained model": (lambda: [model.predict(frame) for frame in frames], 20),
        "one trip, compiled": (lambda: [compiled.predict_one(*trip) for trip in trips], len(trips)),
        "list of 16,384, trained model": (lambda: model.predict(requests), len(requests)),
        "list of 16,384, compiled": (lambda: compiled.predict(arrays), len(requests)),
        "explanation, compiled": (lambda: compiled.explain(small), 10),
    }
    best = best_seconds({way: (work, rows) for way, (work, rows) in ways.items()})
    for way, seconds in best.items():
        yield [model.family, way, seconds * 1e6]


def best_seconds(turns: Mapping[Any, tuple[Callable[[], Any], int]]) -> dict[Any, float]:
    """Return the seconds per row of each piece of work, the best of `TURNS`, all in turn.

    Args:
        turns: By any name, the work and the rows that it handles.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in turns}
    for _ in range(TURNS):
        for name, (work, rows) in turns.items():
            started = time.perf_counter()
            work()
            seconds[name].append((time.perf_counter() - started) / rows)
    return {name: min(found) for name, found in seconds.items()}


def _turn(predict: Predict, features: Matrix, rows: int) -> tuple[Callable[[], Any], int]:
    """Return the work of predicting different rows, ``rows`` at a time, and how many they are."""
    count = max(1, min(len(features) // rows, _ONE_BY_ONE if rows == 1 else 20))
    batches = [features[i * rows : (i + 1) * rows] for i in range(count)]

    def work() -> None:
        for batch in batches:
            predict(batch)

    return work, count * rows


def _stacked(predict: Predict, features: Matrix, rows: int) -> Any:
    some = features if rows > 1 else features[:_ONE_BY_ONE]
    return np.concatenate([predict(some[i : i + rows]) for i in range(0, len(some), rows)])


def installed(runtime: str) -> bool:
    """Tell whether the packages of a runtime are there."""
    return all(find_spec(package) is not None for package in PACKAGES[runtime])


def section(
    bench: Bench, kernels: Sequence[Sequence[Any]], answers: Sequence[Sequence[Any]]
) -> Section:
    """Lay both tables out, and name the runtimes that are not there."""
    return Section(
        title="Runtimes: from features to minutes",
        method="Models with default hyperparameters and a quantile interval, fitted on"
        f" {MONTHS[0]} ({bench.label}). Each runtime evaluates the same trees on one thread, for"
        " the prediction and both bounds of the interval. The numbers are microseconds per row, the"
        f" best of {TURNS} rounds in which the runtimes take turns; no call gets the rows of the"
        " call before. The server uses one XGBoost booster for lists and treelite's C function"
        " for single trips.",
        tables=(
            Table(
                (
                    "model",
                    "runtime",
                    *(f"{rows:,} at a time, µs/row" for rows in ROWS),
                    "largest difference, minutes",
                ),
                [[*row[:-1], f"{row[-1]:.1e}"] for row in kernels],
            ),
            Table(("model", "from request to answer", "µs/trip"), answers),
        ),
        notes=tuple(
            f"{name} is not installed. To measure it: pip install {' '.join(packages)}"
            for name, packages in PACKAGES.items()
            if not installed(name)
        ),
    )
