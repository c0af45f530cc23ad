"""How long the past of a group says something: measured, because tables differ by months."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.checking.leakage import KnownAfterwards, power_alone
from mlops.datasets.declared.histories import DatasetHistory
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.guessing.columns import ColumnGuess
from mlops.datasets.guessing.roles import Times

_LENGTHS: Final = ("1d", "3d", "14d", "60d")
_LEARNED: Final = 0.3  # share of the rows, the oldest ones, before which little is known
_GAIN: Final = 0.005  # R² for which another half-life than the default is worth a line


def half_lives(
    histories: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, ColumnGuess],
    times: Times,
    target: str,
    less: str,
) -> dict[str, str]:
    """Return the half-life of each history with which it says most about rows that came later.

    Args:
        histories: As in a definition, by name.
        columns: By name.
        times: With an event.
        target: Name of the target.
        less: Number feature that the target follows one to one; empty: none.

    Returns:
        Half-lives by name of the history; without an entry the default is as good.
    """
    groups = {column for history in histories.values() for column in history["by"]}
    names = [name for name in (target, times.event, times.outcome, less, *groups) if name]
    frame = pd.DataFrame({name: columns[name].values for name in names})
    trials = {
        f"{name}_{length}": {**history, "half_life": length, "statistics": ["mean"]}
        for name, history in histories.items()
        for length in _LENGTHS
    }
    definition = DatasetDefinition.model_validate(
        {
            "name": "trial",
            "title": "trial",
            "source": {"location": "trial"},
            "task": {"target": target},
            "time": {"event": times.event, "outcome": times.outcome},
            "features": {**dict.fromkeys(groups, "category"), **({less: "number"} if less else {})},
            "histories": trials,
        }
    )
    means = DatasetHistory(definition).annotate(frame)
    values = frame[target] - frame[less] if less else frame[target]
    events = frame[times.event].to_numpy()
    first = np.sort(events)[int(_LEARNED * len(events))]
    rows = (events > first) & np.isfinite(values.to_numpy())
    known = KnownAfterwards(values.to_numpy(np.float64)[rows])
    chosen: dict[str, str] = {}
    for name in histories:
        power = {
            length: power_alone(means[f"{name}_{length}_mean"].to_numpy(np.float64)[rows], known)
            for length in _LENGTHS
        }
        best = max(power, key=lambda length: power[length])
        if power[best] > power[_LENGTHS[-1]] + _GAIN:
            chosen[name] = best
    return chosen
