"""Golden requests of a declared dataset: by them, a compiled model proves what it answers.

They come from the definition and the encoder alone: values that the rules accept, each optional
column missing once on its own and sometimes with others, and categories that training never saw.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.declared.encoding import OTHER, TableEncoder
from mlops.datasets.declared.reading import dtype_of
from mlops.datasets.declared.rules import broken_rules, rules_of
from mlops.datasets.definition import DatasetDefinition, FeatureDeclaration, RuleDeclaration

_ROWS: Final = 48
_SEED: Final = 20_240_119
_SHARE_MISSING: Final = 0.15
_ROWS_UNSEEN: Final = 5
UNSEEN: Final = "never seen"
_DAYS: Final = 365  # after the histories end
_MINUTES_AROUND: Final = 2_880  # that other times lie before or after the event
_WIDTH: Final = 100.0  # of the range of a number whose rules leave an end open
_NO_HISTORY: Final = datetime(2024, 1, 1)


def golden_rows(encoder: TableEncoder, days: int = _DAYS) -> pd.DataFrame:
    """Make the requests that prove a bundle: always the same for the same encoder.

    Args:
        encoder: Of the model.
        days: After the end of its histories over which the events are spread.

    Returns:
        The columns of a request, with the types of `mlops.datasets.declared.reading`; at most 48
        rows, of which each obeys the rules that refuse a request.
    """
    definition, random = encoder.definition, np.random.default_rng(_SEED)
    columns = definition.request_columns
    event = definition.event
    start = encoder.snapshot.as_of if encoder.snapshot else _NO_HISTORY
    minutes = random.integers(0, days * 24 * 60, _ROWS)
    events = np.array([start + timedelta(minutes=int(m)) for m in minutes], "datetime64[us]")
    given = {rule.column for rule in definition.rules if rule.given}
    values: dict[str, Any] = {}
    for name, column in columns.items():
        if name == event:
            values[name] = events
        else:
            values[name] = _values(name, column, encoder, events, random)
    absent = [name for name, each in columns.items() if each.optional and name not in given]
    for row, name in enumerate(absent):
        lacks = random.random(_ROWS) < _SHARE_MISSING
        lacks[: len(absent)] = np.arange(min(len(absent), _ROWS)) == row
        values[name][lacks] = np.array([None], dtype=dtype_of(columns[name]))[0]
    frame = pd.DataFrame(values)
    return frame[~_refused(definition, frame)].reset_index(drop=True)


def _values(
    name: str,
    column: FeatureDeclaration,
    encoder: TableEncoder,
    events: npt.NDArray[Any],
    random: np.random.Generator,
) -> Any:
    """Draw values of one column, ``(rows,)``, none of them missing."""
    rules = [rule for rule in encoder.definition.rules if rule.column == name]
    accepted = next((rule.one_of for rule in rules if rule.one_of is not None), None)
    if column.type == "category":
        if accepted is not None:
            known = [f"{v:.15g}" if isinstance(v, float) else str(v) for v in accepted]
        else:
            known = [v for v in encoder.categories.get(name, ()) if v != OTHER] or [UNSEEN]
        drawn = np.array(known, dtype=object)[random.integers(0, len(known), _ROWS)]
        if accepted is None:
            drawn[random.choice(_ROWS, _ROWS_UNSEEN, replace=False)] = UNSEEN
        return drawn
    if column.type == "time":
        if accepted is not None:
            return np.array(accepted, "datetime64[us]")[random.integers(0, len(accepted), _ROWS)]
        around = random.integers(-_MINUTES_AROUND, _MINUTES_AROUND, _ROWS)
        return events + around.astype("timedelta64[m]")
    if column.type == "flag":
        return random.integers(0, 2, _ROWS).astype(np.float64)
    if accepted is not None:
        return np.array(accepted, np.float64)[random.integers(0, len(accepted), _ROWS)]
    low, high = _range(rules)
    numbers = np.round(random.uniform(low, high, _ROWS), 3)
    if any(rule.whole for rule in rules):
        numbers = np.floor(numbers)
    return np.clip(numbers, low, high)


def _range(rules: list[RuleDeclaration]) -> tuple[float, float]:
    """Return a range that all rules of a number accept, if there is one."""
    limits = [rule.between for rule in rules if rule.between]
    lows = [low for low, _ in limits if low is not None]
    highs = [high for _, high in limits if high is not None]
    low = max(lows) if lows else (min(highs) - _WIDTH if highs else -_WIDTH / 2)
    high = min(highs) if highs else low + _WIDTH
    return low, max(low, high)


def _refused(definition: DatasetDefinition, frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    rules = [r for r in rules_of(definition, labels=False) if r.action == "quarantine"]
    masks = broken_rules(rules, frame).values()
    return np.asarray(np.logical_or.reduce([np.zeros(len(frame), dtype=bool), *masks]))
