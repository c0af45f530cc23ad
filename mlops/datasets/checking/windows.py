"""Findings about groups of rows: windows that are too small or too different, rare groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from mlops.counting import counted
from mlops.datasets.checking.findings import TableFinding
from mlops.datasets.consistency import history_features
from mlops.datasets.declared.groups import GroupKeys
from mlops.datasets.declared.splitting import split_rows
from mlops.datasets.definition import DatasetDefinition
from mlops.errors import DataQualityError

_FEW_ROWS: Final = 30
_ROWS_PER_GROUP: Final = 5
_DISTANCE: Final = 0.9  # of two distributions of numbers, between 0 and 1 (Kolmogorov–Smirnov)
_UNSEEN: Final = 0.5  # share of test rows with a category that was never learned
_FEWEST: Final = 50  # rows of a window below which distributions are not compared


def split_findings(
    definition: DatasetDefinition, frame: Any, scale: float
) -> Iterator[TableFinding]:
    """Find windows that are too small, and features that are extremely different in the test.

    Args:
        definition: The definition.
        frame: Rows of its table.
        scale: Rows of the table for each of them.
    """
    try:
        parts = split_rows(definition, frame)
    except DataQualityError as error:
        yield TableFinding("error", ("split",), error.message.removeprefix("split: "), error.hint)
        return
    sizes = {name: int(mask.sum() * scale) for name, mask in parts._asdict().items()}
    for name, size in sizes.items():
        if size < _FEW_ROWS:
            path = ("split", name) if name != "train" else ("split",)
            message = (
                f"{name} has only {counted(size, 'row')}; an error measured on them says little"
            )
            yield TableFinding("warning", path, message, "make it longer, or read more rows")
    if sizes["train"] < sizes["test"]:
        message = f"more rows judge ({sizes['test']:,}) than are learned from ({sizes['train']:,})"
        yield TableFinding("warning", ("split", "test"), message, "shorten the test")
    shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    yield TableFinding("note", ("split",), f"rows: {shown}", "nothing")
    for name, reason in _shifted(definition, frame[parts.train], frame[parts.test]).items():
        message = f"{name} is different in the test rows: {reason}"
        remedy = "check that it means the same throughout; remove it if it counts or numbers rows"
        yield TableFinding("warning", ("features", name), message, remedy)


def history_findings(
    definition: DatasetDefinition, frame: Any, scale: float
) -> Iterator[TableFinding]:
    """Find histories of which most groups have hardly any rows; arguments as above."""
    for name, history in definition.histories.items():
        codes, _ = GroupKeys(history.by, definition.columns).of_rows(frame)
        per_row = np.bincount(codes)[codes] * scale
        if np.median(per_row) < _ROWS_PER_GROUP:
            message = (
                f"{name}: half of the rows are in groups of {np.median(per_row):.0f} rows or fewer,"
                f" so {history_features(name, history)[0]} mostly says what all rows say"
            )
            yield TableFinding("warning", ("histories", name), message, "use fewer columns in by")


def _shifted(definition: DatasetDefinition, train: Any, test: Any) -> dict[str, str]:
    """Say of each feature that is extremely different in the test rows how it is.

    Args:
        definition: Declares the features.
        train: The rows that are learned from.
        test: The rows that judge.

    Returns:
        A reason by name; shifts of a size that seasons have are left out.
    """
    from scipy.stats import ks_2samp  # a third of a second

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
            if ks_2samp(before, after, method="asymp").statistic > _DISTANCE:
                medians = np.median(before), np.median(after)
                reasons[name] = f"its median is {medians[1]:.4g}, and {medians[0]:.4g} before"
        elif feature.type == "category":
            unseen = float((~np.isin(after.astype(str), np.unique(before.astype(str)))).mean())
            if unseen > _UNSEEN:
                reasons[name] = f"{unseen:.0%} of them have a value that was never learned"
    return reasons
