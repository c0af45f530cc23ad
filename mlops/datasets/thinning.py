"""Some rows of a stream of any length, spread evenly over it, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

Rows = TypeVar("Rows")

SAMPLE_ROWS: Final = 200_000  # enough to judge a table by


def thinned(
    batches: Iterable[Rows],
    limit: int,
    join: Callable[[list[Rows]], Rows],
    take: Callable[[Rows, int, int], Rows],
) -> tuple[Rows | None, int]:
    """Keep every so many rows of a stream, so that at most ``limit`` stay.

    Args:
        batches: Consecutive rows.
        limit: At least 1.
        join: Makes one of several batches.
        take: Given rows, a first position and a step, takes every step-th row.

    Returns:
        The rows that stay, None if there are none, and how many there were.
    """
    kept: list[Rows] = []
    step, seen = 1, 0
    for batch in batches:
        size = len(batch)  # type: ignore[arg-type]
        kept.append(take(batch, -seen % step, step))
        seen += size
        while sum(map(len, kept)) > limit:  # type: ignore[arg-type]
            kept = [take(join(kept), 0, 2)]
            step *= 2
    return (join(kept) if kept else None), seen
