"""Features whose test rows have little to do with the rows that are learned from."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mlops.datasets.definition import DatasetDefinition

_DISTANCE: Final = 0.9  # of two distributions of numbers, between 0 and 1 (Kolmogorov–Smirnov)
_UNSEEN: Final = 0.5  # share of test rows with a category that was never learned
_FEWEST: Final = 50


def shifted(definition: DatasetDefinition, train: Any, test: Any) -> dict[str, str]:
    """Say of each feature that is extremely different in the test rows how it is.

    Args:
        definition: Declares the features.
        train: The rows that are learned from.
        test: The rows that judge.

    Returns:
        A reason by name; shifts of a size that seasons have are left out.
    """
    reasons: dict[str, str] = {}
    if min(len(train), len(test)) < _FEWEST:
        return reasons
    for name, feature in definition.features.items():
        before, after = train[name].dropna().to_numpy(), test[name].dropna().to_numpy()
        missing = float(train[name].isna().mean()), float(test[name].isna().mean())
        if abs(missing[0] - missing[1]) > _UNSEEN:
            reasons[name] = f"missing in {missing[1]:.0%} of them, in {missing[0]:.0%} before"
        elif not len(before) or not len(after):
            continue
        elif feature.type == "number":
            distance = _distance(before.astype(np.float64), after.astype(np.float64))
            if distance > _DISTANCE:
                medians = np.median(before), np.median(after)
                reasons[name] = f"its median is {medians[1]:.4g}, and {medians[0]:.4g} before"
        elif feature.type == "category":
            unseen = float((~np.isin(after.astype(str), np.unique(before.astype(str)))).mean())
            if unseen > _UNSEEN:
                reasons[name] = f"{unseen:.0%} of them have a value that was never learned"
    return reasons


def _distance(left: Any, right: Any) -> float:
    """Return the largest difference of the two distribution functions."""
    left, right = np.sort(left), np.sort(right)
    both = np.concatenate([left, right])
    places = (np.searchsorted(each, both, side="right") / len(each) for each in (left, right))
    return float(np.abs(next(places) - next(places)).max())
