"""What a model costs to serve: the time of one prediction and the bytes on disk."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd


class Servable(Protocol):
    """What evaluation needs of a model; `mlops.training.artifact.TabularModel` has it."""

    def predict_point(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Predict answers, shape ``(n,)``, from request columns."""
        ...

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Predict `mlops.datasets.answers.ANSWER`."""
        ...

    def save(self, path: Path) -> None:
        """Write the whole model to ``path``."""
        ...


def prediction_latency_ms(
    model: Servable, requests: pd.DataFrame, samples: int, warm_up: int
) -> float:
    """Time predictions of one row each, as a caller of an online service would make them.

    Args:
        model: The model, raw request columns in.
        requests: Rows to draw requests from, at least one; they are taken in turn.
        samples: Timed predictions.
        warm_up: Untimed predictions before, which pay for lazy imports and cold caches.

    Returns:
        The median, in milliseconds: unlike the mean it does not move when a busy machine delays a
        few of the calls.
    """
    rows = [requests.iloc[[i % len(requests)]] for i in range(samples + warm_up)]
    timings = []
    for row in rows:
        started = time.perf_counter()
        model.predict(row)
        timings.append(time.perf_counter() - started)
    return float(np.median(timings[warm_up:])) * 1_000


def size_mb(path: Path) -> float:
    """Return the size of a file, or of all files below a folder, in megabytes (10⁶ bytes)."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def saved_size_mb(model: Servable) -> float:
    """Save a model to a temporary place and return its size in megabytes (10⁶ bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        model.save(target)
        return size_mb(target)
