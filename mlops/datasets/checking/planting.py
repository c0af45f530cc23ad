"""Columns that know the future, planted in memory: a detector that misses one cannot be trusted.

A report that no column knows the future is worth something only if one would have been found in
this very table, with its target, its rows and its times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.checking.leakage import KnownAfterwards, suspicion

_NOISE = 0.05  # of the target's standard deviation


def planted(
    known: KnownAfterwards, groups: npt.NDArray[Any] | None
) -> Mapping[str, npt.NDArray[Any]]:
    """Compute columns that no row can know when it is asked about.

    Args:
        known: The target and the times.
        groups: A category, ``(n,)``; None if there is none.

    Returns:
        A column for each way of knowing the future, by its description.
    """
    target = pd.Series(known.target)
    noise = np.random.default_rng(0).normal(0, _NOISE * float(target.std()), len(target))
    # Many rows may share the median, also the smallest or the largest value.
    middle = target.median()
    large = target >= middle if middle > target.min() else target > middle
    columns: dict[str, npt.NDArray[Any]] = {
        "the target with 5 % noise": known.target + noise,
        "the rank of the target": target.rank().to_numpy(),
        "whether the target is large": np.where(large, "large", "small"),
    }
    if known.outcome is not None and len(np.unique(known.outcome - known.event)) > 1:
        columns["the time at which the target is known"] = known.outcome
    if groups is not None:
        means = target.groupby(groups, dropna=False).transform("mean")
        columns["the mean of the target by category, over all rows"] = means.to_numpy()
    return columns


def missed(known: KnownAfterwards, groups: npt.NDArray[Any] | None = None) -> list[str]:
    """Plant columns that know the future, and return those that the detector does not find."""
    columns = planted(known, groups)
    return [name for name, values in columns.items() if suspicion(values, known) is None]
