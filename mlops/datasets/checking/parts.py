"""Findings about single parts of a definition: target, times, key, rules and features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlops.datasets.checking.findings import Severity, TableFinding
from mlops.datasets.declared.rules import broken_rules, rules_of
from mlops.datasets.definition import DatasetDefinition

_BREAKING: Final[Mapping[Severity, float]] = {"error": 0.3, "warning": 0.03}  # share of rows
_DUPLICATES: Final = 0.01
_FEW_ROWS: Final = 30
_FEW_VALUES: Final = 10
_MOSTLY: Final = 0.5


def part_findings(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
    """Find what is wrong with single parts of a definition.

    Args:
        definition: The definition.
        frame: Rows of its table.
    """
    yield from _target(definition, frame)
    yield from _times(definition, frame)
    yield from _key(definition, frame)
    yield from _rules(definition, frame)
    yield from _features(definition, learnable(definition, frame))


def learnable(definition: DatasetDefinition, frame: Any) -> Any:
    """Return the rows with a target and an event: the others are set aside anyway."""
    needed = [definition.task.target, *([definition.time.event] if definition.time else [])]
    return frame[frame[needed].notna().all(axis=1)]


def _target(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
    target = definition.task.target
    path = ("task", "target")
    values = frame[target].dropna()
    distinct = values.nunique()
    if distinct < 2:
        message = (
            f"{target} has no value" if not distinct else f"{target} is always {values.iloc[0]:g}"
        )
        yield TableFinding("error", path, message, "name a column whose values differ")
    elif distinct < _FEW_VALUES:
        yield TableFinding(
            "warning",
            path,
            f"{target} has only {distinct} different values; a regression predicts their mean",
            "check that it is a quantity and no code",
        )
    missing = float(frame[target].isna().mean())
    if missing > 0:
        severity: Severity = "warning" if missing > 0.2 else "note"
        message = f"{target} is missing in {missing:.1%} of the rows, which are set aside"
        yield TableFinding(severity, path, message, "nothing, if such rows have no outcome")


def _times(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
    time = definition.time
    if not time:
        return
    missing = float(frame[time.event].isna().mean())
    if missing > _BREAKING["warning"]:
        yield TableFinding(
            "error" if missing > _BREAKING["error"] else "warning",
            ("time", "event"),
            f"{time.event} is missing in {missing:.1%} of the rows, which are set aside",
            "name a time that every row has",
        )
    if time.outcome:
        early = float((frame[time.outcome] < frame[time.event]).mean())
        if early > 0:
            yield TableFinding(
                "error" if early > _BREAKING["warning"] else "warning",
                ("time", "outcome"),
                f"{time.outcome} is before {time.event} in {early:.2%} of the rows",
                "name the time at which the target is known, or check the time zone of both",
            )


def _key(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
    key = [*definition.key]
    if not key:
        message = "the definition has no key, so labels cannot be joined to answers later"
        yield TableFinding("note", ("name",), message, "add key: [columns that identify a row]")
        return
    doubled = float(frame.duplicated(key).mean())
    if doubled > 0:
        yield TableFinding(
            "error" if doubled > _DUPLICATES else "warning",
            ("key",),
            f"{doubled:.2%} of the rows repeat the {', '.join(key)} of another row",
            "add a column to the key that tells such rows apart",
        )


def _rules(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
    places: dict[str, Any] = {rule.name: ("rules", n) for n, rule in enumerate(definition.rules)}
    actions = {rule.name: rule.action for rule in rules_of(definition)}
    for name, broken in broken_rules(rules_of(definition), frame).items():
        share = float(broken.mean())
        if name not in places or share < 0.001:
            continue
        message = f"{name}: {share:.1%} of the rows break the rule and are "
        severity: Severity = "note"
        if actions[name] == "quarantine":
            severity = next((each for each, limit in _BREAKING.items() if share >= limit), "note")
        message += "flagged" if actions[name] == "flag" else "set aside"
        yield TableFinding(
            severity, places[name], message, "widen its limits if the rows are right"
        )


def _features(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
    for name, feature in definition.features.items():
        values = frame[name]
        missing = float(values.isna().mean())
        distinct = values.nunique()
        path = ("features", name)
        if distinct == 0:
            yield TableFinding("error", path, f"{name} has no value", "remove the feature")
        elif distinct == 1 and not missing:
            shown = str(values.iloc[0])[:30]
            message = f"{name} is always {shown}, so nothing is learned from it"
            yield TableFinding("warning", path, message, "remove the feature")
        if missing and distinct and not feature.optional:
            yield TableFinding(
                "warning",
                path,
                f"{name} is missing in {missing:.1%} of the rows, but a request must give it",
                f"write {name}: {{type: {feature.type}, optional: true}}",
            )
        if (
            feature.type == "category"
            and distinct > _MOSTLY * len(values)
            and len(values) > _FEW_ROWS
        ):
            message = f"{name} has {distinct:,} values in {len(values):,} rows: most are met once"
            yield TableFinding("warning", path, message, "remove the feature, or group its values")
