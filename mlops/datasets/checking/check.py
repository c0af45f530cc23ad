"""The check of a definition against its table: everything that would spoil a model, at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from mlops.datasets.checking.findings import Severity, TableFinding
from mlops.datasets.checking.leakage import KnownAfterwards, suspicion
from mlops.datasets.checking.planting import missed, planted
from mlops.datasets.checking.shift import shifted
from mlops.datasets.consistency import history_features
from mlops.datasets.declared.groups import GroupKeys
from mlops.datasets.declared.reading import iter_frames, source_files
from mlops.datasets.declared.rules import broken_rules, rules_of
from mlops.datasets.declared.splitting import split_rows
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.thinning import SAMPLE_ROWS, thinned
from mlops.errors import DataQualityError

_BREAKING: Final[Mapping[Severity, float]] = {
    "error": 0.3,
    "warning": 0.03,
}  # share of rows that a rule sets aside
_DUPLICATES: Final = 0.01
_FEW_ROWS: Final = 30
_ROWS_PER_GROUP: Final = 5
_FEW_VALUES: Final = 10
_MOSTLY: Final = 0.5
_LATER: Final = 0.9  # share of rows; plans may be earlier or later than the event


class TableCheck(NamedTuple):
    """The result.

    Attributes:
        findings: Worst first.
        rows: Of the table.
        sampled: Rows that were looked at.
        planted: How many columns that know the future were planted and found.
    """

    findings: tuple[TableFinding, ...]
    rows: int
    sampled: int
    planted: int

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(finding.severity == "error" for finding in self.findings)


def check_table(definition: DatasetDefinition, months: Sequence[str] = ()) -> TableCheck:
    """Check a definition against its table.

    Args:
        definition: With an absolute location.
        months: To read, for a location with ``{month}``.

    Raises:
        SourceError: If a file cannot be read or lacks a declared column.
    """
    frame, rows = _sample(definition, months)
    if frame is None:
        finding = TableFinding(
            "error", ("source",), "the table has no rows", "give files with rows"
        )
        return TableCheck((finding,), 0, 0, 0)
    findings = [*_target(definition, frame), *_times(definition, frame), *_key(definition, frame)]
    findings += _rules(definition, frame)
    findings += _columns(definition, _learnable(definition, frame))
    leaks, count = _leakage(definition, frame)
    findings += leaks
    findings += _split(definition, frame, rows / len(frame))
    findings += _histories(definition, frame, rows / len(frame))
    order = {"error": 0, "warning": 1, "note": 2}
    findings.sort(key=lambda finding: order[finding.severity])
    return TableCheck(tuple(findings), rows, len(frame), count)


def _sample(definition: DatasetDefinition, months: Sequence[str]) -> tuple[Any, int]:
    files = [path for month in months or [""] for path in source_files(definition, month)]
    limit = max(1, SAMPLE_ROWS // len(files))
    frames, total = [], 0
    for path in files:
        kept, rows = thinned(
            iter_frames(definition, path),
            limit,
            lambda parts: pd.concat(parts, ignore_index=True),
            _every,
        )
        total += rows
        if kept is not None and len(kept):
            frames.append(kept)
    return (pd.concat(frames, ignore_index=True) if frames else None), total


def _every(part: Any, first: int, step: int) -> Any:
    return part.iloc[first::step]


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


def _learnable(definition: DatasetDefinition, frame: Any) -> Any:
    """Return the rows with a target and an event: the others are set aside anyway."""
    needed = [definition.task.target, *([definition.time.event] if definition.time else [])]
    return frame[frame[needed].notna().all(axis=1)]


def _columns(definition: DatasetDefinition, frame: Any) -> Iterator[TableFinding]:
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


def _leakage(definition: DatasetDefinition, frame: Any) -> tuple[list[TableFinding], int]:
    time, target = definition.time, definition.task.target
    frame = _learnable(definition, frame)
    frame = frame[np.isfinite(frame[target].to_numpy(np.float64))]
    event = frame[time.event].to_numpy() if time else None
    outcome = frame[time.outcome].to_numpy() if time and time.outcome else None
    known = KnownAfterwards(frame[target].to_numpy(np.float64), event, outcome)
    if len(frame) < _FEW_ROWS or np.ptp(known.target) == 0:
        return [], 0
    findings = []
    for name in definition.request_columns:
        found = suspicion(frame[name].to_numpy(), known)
        if found and not (time and name == time.event):
            findings.append(
                TableFinding(
                    "error" if found.certain else "warning",
                    ("features", name),
                    f"{name} {found.reason}",
                    "remove it, unless it really is known when a prediction is asked for",
                )
            )
    if time:
        for name, feature in definition.features.items():
            later = (
                frame[name] > frame[time.event] if feature.type == "time" else pd.Series([False])
            )
            if name != time.event and later.mean() > _LATER:
                message = f"{name} is later than {time.event} in {later.mean():.0%} of the rows"
                remedy = "remove it, unless it is a plan that is known by then"
                findings.append(TableFinding("warning", ("features", name), message, remedy))
    categories = [n for n, each in definition.features.items() if each.type == "category"]
    groups = next((n for n in categories if 2 <= frame[n].nunique() <= len(frame) / 10), "")
    values = frame[groups].to_numpy() if groups else None
    for name in missed(known, values):
        message = f"a planted column was not found: {name}; others of its kind would not be, either"
        remedy = "read more rows, and look at each feature yourself"
        findings.append(TableFinding("error", ("task", "target"), message, remedy))
    return findings, len(planted(known, values))


def _split(definition: DatasetDefinition, frame: Any, scale: float) -> Iterator[TableFinding]:
    try:
        parts = split_rows(definition, frame)
    except DataQualityError as error:
        yield TableFinding("error", ("split",), error.message.removeprefix("split: "), error.hint)
        return
    sizes = {name: int(mask.sum() * scale) for name, mask in parts._asdict().items()}
    for name, size in sizes.items():
        if size < _FEW_ROWS:
            path = ("split", name) if name != "train" else ("split",)
            message = f"{name} has only {size} rows; an error measured on them says little"
            yield TableFinding("warning", path, message, "make it longer, or read more rows")
    if sizes["train"] < sizes["test"]:
        message = f"more rows judge ({sizes['test']:,}) than are learned from ({sizes['train']:,})"
        yield TableFinding("warning", ("split", "test"), message, "shorten the test")
    shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    yield TableFinding("note", ("split",), f"rows: {shown}", "nothing")
    for name, reason in shifted(definition, frame[parts.train], frame[parts.test]).items():
        message = f"{name} is different in the test rows: {reason}"
        remedy = "check that it means the same throughout; remove it if it counts or numbers rows"
        yield TableFinding("warning", ("features", name), message, remedy)


def _histories(definition: DatasetDefinition, frame: Any, scale: float) -> Iterator[TableFinding]:
    for name, history in definition.histories.items():
        codes, _ = GroupKeys(history.by, definition.columns).of_rows(frame)
        per_row = np.bincount(codes)[codes] * scale
        if np.median(per_row) < _ROWS_PER_GROUP:
            message = (
                f"{name}: half of the rows are in groups of {np.median(per_row):.0f} rows or fewer,"
                f" so {history_features(name, history)[0]} mostly says what all rows say"
            )
            yield TableFinding("warning", ("histories", name), message, "use fewer columns in by")
