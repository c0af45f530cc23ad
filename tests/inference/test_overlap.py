"""Chunks are predicted in order, in threads, with few of them in memory at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from mlops.inference import overlap
from mlops.inference.overlap import predicted_chunks


class Doubling:
    """Answers with twice the number in each row."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.most_rows = 0

    def predict(self, requests: pd.DataFrame) -> np.ndarray:
        self.threads.add(threading.get_ident())
        self.most_rows = max(self.most_rows, len(requests))
        number = requests["number"].to_numpy()
        return np.stack([2 * number] * 3, axis=1)


def chunks(sizes: list[int], read: list[int]) -> Iterator[tuple[int, pd.DataFrame]]:
    for index, size in enumerate(sizes):
        read.append(index)
        yield index, pd.DataFrame({"number": np.arange(size) + 1_000 * index})


def test_chunks_come_back_whole_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given blocks smaller than most chunks
    monkeypatch.setattr(overlap, "_BLOCK_ROWS", 7)
    model, sizes = Doubling(), [20, 0, 3, 50, 7]
    # When the chunks are predicted by three threads
    found = list(predicted_chunks(model, chunks(sizes, []), threads=3))
    # Then each has its own predictions, never computed here, at most a block at a time
    assert [index for index, _ in found] == list(range(len(sizes)))
    for (index, minutes), size in zip(found, sizes, strict=True):
        assert minutes.shape == (size, 3)
        assert minutes[:, 0].tolist() == [2 * (1_000 * index + row) for row in range(size)]
    assert threading.get_ident() not in model.threads
    assert model.most_rows == 7


def test_the_next_chunk_is_read_while_one_is_predicted_and_no_further() -> None:
    # Given a reader that is asked for one result at a time
    read: list[int] = []
    results = predicted_chunks(Doubling(), chunks([5] * 10, read), threads=2)
    # Then it is one chunk ahead, and stays so
    next(results)
    assert read == [0, 1]
    next(results)
    assert read == [0, 1, 2]
    results.close()


@pytest.mark.parametrize("culprit", ["model", "reader"])
def test_what_fails_in_a_thread_or_in_the_reader_is_raised_here(culprit: str) -> None:
    class Failing(Doubling):
        def predict(self, requests: pd.DataFrame) -> np.ndarray:
            raise ValueError("model")

    def failing() -> Iterator[tuple[int, pd.DataFrame]]:
        yield 0, pd.DataFrame({"number": [1]})
        raise ValueError("reader")

    model = Failing() if culprit == "model" else Doubling()
    source = failing() if culprit == "reader" else chunks([1, 1, 1], [])
    before = threading.active_count()

    with pytest.raises(ValueError, match=culprit):
        list(predicted_chunks(model, source, threads=2))

    assert threading.active_count() == before
