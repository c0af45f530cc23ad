"""Findings about the future: features that know it, and histories that might.

Both are proved on the table itself: columns that know the future are planted and must be found, and
what histories say of a morning must not change if everything that became known later is different.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from mlops.datasets.checking.findings import Severity, TableFinding
from mlops.datasets.checking.formulas import exact_formula
from mlops.datasets.checking.leakage import KnownAfterwards, suspicion
from mlops.datasets.checking.parts import learnable
from mlops.datasets.checking.planting import missed, planted
from mlops.datasets.declared.calendar import times_of
from mlops.datasets.declared.histories import DatasetHistory
from mlops.datasets.definition import DatasetDefinition

_FEW_ROWS: Final = 30
_LATER: Final = 0.9  # share of rows; plans may be earlier or later than the event
_PROVED: Final = 20_000  # rows on which histories are proved


def future_findings(definition: DatasetDefinition, frame: Any) -> tuple[list[TableFinding], int]:
    """Find features that know the future.

    Args:
        definition: The definition.
        frame: Rows of its table.

    Returns:
        The findings, and how many columns that know the future were planted to prove them.
    """
    time, target = definition.time, definition.task.target
    frame = learnable(definition, frame)
    frame = frame[np.isfinite(frame[target].to_numpy(np.float64))]
    event = frame[time.event].to_numpy() if time else None
    outcome = frame[time.outcome].to_numpy() if time and time.outcome else None
    known = KnownAfterwards(frame[target].to_numpy(np.float64), event, outcome)
    if len(frame) < _FEW_ROWS or np.ptp(known.target) == 0:
        return [], 0
    findings = [*_features(definition, frame, known), *_histories(definition, frame)]
    categories = [n for n, each in definition.features.items() if each.type == "category"]
    groups = next((n for n in categories if 2 <= frame[n].nunique() <= len(frame) / 10), "")
    values = frame[groups].to_numpy() if groups else None
    for name in missed(known, values):
        message = f"a planted column was not found: {name}; others of its kind would not be, either"
        remedy = "read more rows, and look at each feature yourself"
        findings.append(TableFinding("error", ("task", "target"), message, remedy))
    return findings, len(planted(known, values))


def _features(
    definition: DatasetDefinition, frame: Any, known: KnownAfterwards
) -> Iterator[TableFinding]:
    event = definition.event
    remedy = "remove it, unless it really is known when a prediction is asked for"
    certain: set[str] = set()
    for name, feature in definition.features.items():
        path = ("features", name)
        if name == event:
            continue
        found = suspicion(frame[name].to_numpy(), known)
        if found:
            if found.certain:
                certain.add(name)
            severity: Severity = "error" if found.certain else "warning"
            yield TableFinding(severity, path, f"{name} {found.reason}", remedy)
        if feature.type == "time" and event:
            later = float((frame[name] > frame[event]).mean())
            if later > _LATER:
                message = f"{name} is later than {event} in {later:.0%} of the rows"
                plan = "remove it, unless it is a plan that is known by then"
                yield TableFinding("warning", path, message, plan)
    numbers = {
        name: frame[name].to_numpy(np.float64)
        for name, feature in definition.features.items()
        if feature.type == "number" and name not in certain
    }
    if formula := exact_formula(numbers, known.target):
        for name in formula.columns:
            yield TableFinding("warning", ("features", name), f"{name} {formula.reason}", remedy)


def _histories(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
    """Change what became known after a morning, and compare what histories said until then."""
    time = definition.time
    if time is None or not definition.histories:
        return
    frame = frame.iloc[:: -(-len(frame) // _PROVED)]
    events = times_of(frame[time.event])
    outcomes = times_of(frame[time.outcome]) if time.outcome else events
    morning = np.sort(events)[len(events) // 2].astype("datetime64[D]")
    late = ~(np.fmax(outcomes, events) < morning)
    numbers = {history.of or definition.task.target for history in definition.histories.values()}
    changed = frame.copy()
    for name in numbers:
        changed.loc[late, name] = 1e6 - 3 * changed.loc[late, name]
    asked = events < morning + np.timedelta64(1, "D")
    before, after = (DatasetHistory(definition).annotate(each)[asked] for each in (frame, changed))
    for name in before:
        if not before[name].equals(after[name]):
            history = next(each for each in definition.histories if str(name).startswith(each))
            message = f"{name} of a morning depends on what became known later"
            remedy = "report this: a history must not know the future"
            yield TableFinding("error", ("histories", history), message, remedy)
