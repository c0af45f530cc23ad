"""Predict in threads while the caller reads what comes next and writes what came before.

Predicting is three quarters of the work and needs no GIL; done in turn with reading and writing, it
would leave all cores but one idle a third of the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

Label = TypeVar("Label")
Answers = npt.NDArray[np.float64]

# Rows one thread predicts at a time: few enough to share a chunk among threads, and enough for each
# tree of a forest to be fetched once for many rows.
_BLOCK_ROWS: Final = 16_384
_WIDTH: Final = 3  # prediction, lower and upper bound
# Chunks that wait for their predictions while the next one is read.
_AHEAD: Final = 1


class Model(Protocol):
    """What scoring needs of a model; it is called from several threads."""

    @property
    def shortest(self) -> float:
        """No prediction is below."""

    @property
    def longest(self) -> float:
        """No prediction is above."""

    def predict(self, requests: pd.DataFrame) -> Any:
        """Return the prediction, its lower and its upper bound: a frame or an array, ``(n, 3)``."""


def predictions_of(model: Model, requests: pd.DataFrame) -> Answers:
    """Return the prediction, lower and upper bound of each request, ``(n, 3)``."""
    return np.asarray(model.predict(requests))


def predicted_chunks(
    model: Model, chunks: Iterable[tuple[Label, pd.DataFrame]], threads: int
) -> Iterator[tuple[Label, Answers]]:
    """Predict chunk after chunk, in order.

    At most ``_AHEAD + 1`` chunks are in memory at a time.

    Args:
        model: Answers requests.
        chunks: Requests, each with anything that tells what they are; read in the caller's thread.
        threads: That predict.

    Yields:
        The label of each chunk, and its predictions, ``(n, 3)``.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
    waiting: deque[tuple[Label, list[Future[Answers]]]] = deque()
    try:
        for label, requests in chunks:
            blocks = range(0, len(requests), _BLOCK_ROWS)
            waiting.append(
                (
                    label,
                    [
                        pool.submit(predictions_of, model, requests.iloc[b : b + _BLOCK_ROWS])
                        for b in blocks
                    ],
                )
            )
            if len(waiting) > _AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(label: Label, blocks: list[Future[Answers]]) -> tuple[Label, Answers]:
    found = [block.result() for block in blocks]
    return label, np.concatenate(found) if found else np.empty((0, _WIDTH))
