"""Where the processor time of batch scoring goes, by stopwatches around its parts.

Reading, prediction and writing overlap, so that seconds on the wall do not add up; each thread's
processor time does. A profiler would not do: it sees one thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from mlops.data.references import SourceFile
from mlops.inference import batch
from mlops.inference.writing import PredictionWriter
from mlops.serving.model.compiled import CompiledModel
from mlops.training.artifact import TabularModel

PARTS = ("hashing", "reading", "validation", "features", "model", "interval", "writing")


class Stopwatch:
    """Adds up the processor seconds that threads spend in parts."""

    def __init__(self) -> None:
        # A list per part: appending is atomic, adding to a number is not.
        self._laps: defaultdict[str, list[float]] = defaultdict(list)

    def seconds(self, part: str) -> float:
        """Return the sum over all calls and threads."""
        return sum(self._laps[part])

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time counted as ``part``."""

        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                self._laps[part].append(time.thread_time() - started)

        return timed

    def around_generator(
        self, part: str, function: Callable[..., Iterator[Any]]
    ) -> Callable[..., Iterator[Any]]:
        """Return the generator function with the time of its own steps counted as ``part``."""

        def timed(*arguments: Any) -> Iterator[Any]:
            step = self.around(part, function(*arguments).__next__)
            while True:
                try:
                    item = step()
                except StopIteration:
                    return
                yield item

        return timed


class Timed:
    """Stands for an object, with one of its methods timed."""

    def __init__(self, whole: Any, method: str, part: str, watch: Stopwatch) -> None:
        self._whole = whole
        setattr(self, method, watch.around(part, getattr(whole, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


def timed_model(model: TabularModel | CompiledModel, watch: Stopwatch) -> Any:
    """Return the model with its parts timed; a compiled one's bounds are part of the model."""
    parts: Any = {"encoder": Timed(model.encoder, "encode", "features", watch)}
    if isinstance(model, CompiledModel):
        return replace(model, kernel=Timed(model.kernel, "predict", "model", watch), **parts)
    parts["estimator"] = Timed(model.estimator, "predict", "model", watch)
    if model.interval is not None:
        parts["interval"] = Timed(model.interval, "bounds", "interval", watch)
    return replace(model, **parts)


def shares_of_scoring(
    model: TabularModel | CompiledModel,
    files: Sequence[SourceFile | str],
    score: Callable[..., Any],
) -> dict[str, float]:
    """Score files and return the processor seconds of each part; they add up to the whole.

    Args:
        model: The model.
        files: What to score.
        score: Called with a model and the files.
    """
    watch = Stopwatch()
    with ExitStack() as patches:
        for owner, name, part in (
            (batch, "_sources", "hashing"),
            (batch, "split_requests", "validation"),
            (PredictionWriter, "predicted", "writing"),
            (PredictionWriter, "set_aside", "writing"),
            (PredictionWriter, "__exit__", "writing"),
        ):
            around = watch.around(part, getattr(owner, name))
            patches.enter_context(patch.object(owner, name, around))
        reading = watch.around_generator("reading", batch._chunks)
        patches.enter_context(patch.object(batch, "_chunks", reading))
        started = time.process_time()
        score(timed_model(model, watch), files)
        whole = time.process_time() - started
    found = {part: watch.seconds(part) for part in PARTS if watch.seconds(part)}
    # Arrow decompresses in threads of its own.
    return {**found, "the rest, Arrow's threads": whole - sum(found.values())}
