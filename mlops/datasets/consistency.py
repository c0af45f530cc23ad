"""What is wrong with a definition although each of its parts is well formed.

Parts refer to columns, times and each other; each mistake is found here at its path, so that
`mlops.datasets.loading` can name the line of every one of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, get_args
from zoneinfo import ZoneInfo, available_timezones

from mlops.datasets.definition import (
    CalendarPart,
    DatasetDefinition,
    HistoryDeclaration,
    RuleDeclaration,
    SliceDeclaration,
    TimeSpan,
)
from mlops.datasets.text import KeyPath, Mistake
from mlops.errors import did_you_mean

PARTS: Final[tuple[str, ...]] = get_args(CalendarPart)
COLUMNS: Final = "every column"  # a mistake that refers to it needs the list of columns
_EVENT: Final = "time.event"
_SHOWN: Final = 12  # names in a message


def mistakes_in(definition: DatasetDefinition) -> Iterator[Mistake]:
    """Find what contradicts itself in a well-formed definition."""
    yield from _in_source(definition)
    yield from _in_roles(definition)
    yield from _in_features(definition)
    yield from _in_split(definition)
    for name, history in definition.histories.items():
        yield from _in_history(("histories", name), history, definition)
    for position, rule in enumerate(definition.rules):
        yield from _in_rule(("rules", position), rule, definition)
    names = [rule.name for rule in definition.rules]
    for position, name in enumerate(names):
        if name in names[:position]:
            yield Mistake(("rules", position, "name"), f"another rule is called {name}, too")
    for name, declared in definition.slices.items():
        yield from _in_slice(("slices", name), declared, definition)


def history_features(name: str, history: HistoryDeclaration) -> tuple[str, ...]:
    """Return the names of the features that a history makes."""
    return tuple(f"{name}_{statistic}" for statistic in history.statistics)


def _in_source(definition: DatasetDefinition) -> Iterator[Mistake]:
    location, partition = definition.source.location, definition.source.partition
    names = set(re.findall(r"\{(.*?)\}", location))
    for name in sorted(names - {"month"}):
        yield Mistake(("source", "location"), f"{{{name}}} stands for nothing; there is {{month}}")
    if partition == "month" and "month" not in names:
        yield Mistake(
            ("source", "location"),
            "with partition: month the location contains {month} where file names differ",
            ("source.partition",),
        )
    if partition == "none" and "month" in names:
        yield Mistake(
            ("source", "partition"),
            "the location contains {month}, so write partition: month",
            ("source.location",),
        )


def _in_roles(definition: DatasetDefinition) -> Iterator[Mistake]:
    target, time = definition.task.target, definition.time
    afterwards: dict[str, KeyPath] = {target: ("task", "target")}
    if time:
        if not is_zone(time.zone):
            hint = did_you_mean(time.zone, available_timezones())
            yield Mistake(
                ("time", "zone"),
                f"{time.zone!r} is no time zone; {hint or 'give an IANA name: Europe/Rome'}",
            )
        if time.event == target:
            yield Mistake(
                ("time", "event"), f"{target} is the target, so it is no time", ("task.target",)
            )
        if time.outcome and time.outcome in (time.event, target):
            role = "event" if time.outcome == time.event else "target"
            yield Mistake(
                ("time", "outcome"),
                f"{time.outcome} is the {role}; name the column with the time at which the target"
                " is known, or leave outcome out",
                (_EVENT, "task.target"),
            )
        elif time.outcome:
            afterwards[time.outcome] = ("time", "outcome")
    roles = (
        ("features", "feature", definition.features),
        ("key", "part of the key", definition.key),
    )
    for section, role, names in roles:
        for position, name in enumerate(names):
            if name in afterwards:
                source = ".".join(map(str, afterwards[name]))
                yield Mistake(
                    (section, name if section == "features" else position),
                    f"{name} is known only afterwards ({source}), so it is no {role}; remove it",
                    (source,),
                )
    for name in definition.context:
        if name in definition.features:
            yield Mistake(("context", name), f"{name} is a feature, too; list it once")


def _in_features(definition: DatasetDefinition) -> Iterator[Mistake]:
    for section, columns in (("features", definition.features), ("context", definition.context)):
        for name, feature in columns.items():
            kind = f"{section}.{name}.type"
            if feature.type != "time" and feature.calendar:
                message = f"{name} is a {feature.type}, which has no calendar; remove it"
                yield Mistake((section, name, "calendar"), message, (kind,))
            if feature.type != "category" and feature.unseen != "other":
                message = f"{name} is a {feature.type}; only a category has unseen; remove it"
                yield Mistake((section, name, "unseen"), message, (kind,))
            if feature.type != "number" and feature.unit:
                message = f"{name} is a {feature.type}; only a number has a unit; remove it"
                yield Mistake((section, name, "unit"), message, (kind,))
            if feature.type != "time" and name == definition.event:
                message = f"{name} is the event; write type: time"
                yield Mistake((section, name, "type"), message, (_EVENT,))
            idle = section == "features" and feature.type == "time" and not feature.calendar
            if idle and not definition.event:
                yield Mistake(
                    (section, name),
                    f"without an event nothing can be derived from the time {name}; list parts of"
                    " its calendar, or declare time.event",
                    (kind, _EVENT, f"{section}.{name}.calendar"),
                )
    known = set(definition.features)
    for name, history in definition.histories.items():
        for feature_name in history_features(name, history):
            if feature_name in known:
                message = f"there is a feature {feature_name} already; rename the history"
                yield Mistake(("histories", name), message)
            known.add(feature_name)


def _in_split(definition: DatasetDefinition) -> Iterator[Mistake]:
    split = definition.split
    by_time = split.by == "time"
    if by_time and not definition.time:
        yield Mistake(
            ("split", "by"),
            "without time.event rows cannot be split by time; write by: random or by: group",
            (_EVENT,),
        )
    for field in ("validation", "test"):
        length = getattr(split, field)
        if by_time != isinstance(length, TimeSpan):
            form = "a length of time, such as 7d" if by_time else "a share, such as 0.2"
            yield Mistake(
                ("split", field), f"a split by {split.by} needs {form}", ("split.by", _EVENT)
            )
    shares = [x for x in (split.validation, split.test) if isinstance(x, float)]
    if sum(shares) >= 1:
        yield Mistake(
            ("split", "test"),
            "validation and test together leave nothing to learn from; write smaller shares",
            ("split.validation",),
        )
    if split.by == "group" and not split.group:
        message = "by: group needs the columns whose rows stay together; add group"
        yield Mistake(("split", "by"), message, ("split.group",))
    elif split.group and split.by != "group":
        message = f"only by: group has a group, and this is by: {split.by}; remove it"
        yield Mistake(("split", "group"), message, ("split.by",))


def _in_history(
    path: KeyPath, history: HistoryDeclaration, definition: DatasetDefinition
) -> Iterator[Mistake]:
    if not definition.time:
        message = "a history needs time.event: without it nothing is past; remove the history"
        yield Mistake(path, message, (_EVENT,))
    if not history.half_life.rest:
        message = "a past row must count for a while; write a length such as 30d"
        yield Mistake((*path, "half_life"), message)
    groups = _groups(definition)
    for column in history.by:
        what = "is no category, flag or part of a calendar among the features"
        yield from _unknown((*path, "by"), column, groups, what)
    for column in history.prior:
        if column not in history.by:
            yield Mistake(
                (*path, "prior"),
                f"{column} is not in by: {', '.join(history.by)}; the broader group has some of"
                " its columns",
            )
    if set(history.prior) >= set(history.by):
        yield Mistake((*path, "prior"), "the broader group has all columns of by; leave one out")
    numbers = _of_type(definition, "number")
    if history.of:
        yield from _unknown((*path, "of"), history.of, numbers, "is no number")
    if history.less:
        features = [name for name in numbers if name in definition.features]
        yield from _unknown((*path, "less"), history.less, features, "is no number feature")


def _in_rule(
    path: KeyPath, rule: RuleDeclaration, definition: DatasetDefinition
) -> Iterator[Mistake]:
    columns = definition.columns
    yield from _unknown((*path, "column"), rule.column, columns, "is no column")
    if rule.between is None and rule.one_of is None and not rule.given and not rule.whole:
        yield Mistake(path, "it forbids nothing; add between, one_of, given or whole")
    kind = columns[rule.column].type if rule.column in columns else "number"
    if kind != "number":
        for field in ("between", "whole"):
            if getattr(rule, field):
                message = f"{rule.column} is a {kind}; {field} is about numbers"
                yield Mistake((*path, field), message, (rule.column, COLUMNS))
    if rule.between:
        low, high = rule.between
        if low is not None and high is not None and low > high:
            message = f"{low:g} is above {high:g}; write the smaller one first"
            yield Mistake((*path, "between"), message)
        if low is None and high is None:
            yield Mistake((*path, "between"), "both ends are open; give one of them")


def _in_slice(
    path: KeyPath, declared: SliceDeclaration, definition: DatasetDefinition
) -> Iterator[Mistake]:
    fields = {name: column for name, column in declared.model_dump().items() if column}
    if len(fields) != 1:
        yield Mistake(path, "give one of column, hours_of, weekday_of and quantiles_of")
    kinds = {"column": ("category", "flag"), "quantiles_of": ("number",)}
    for name, column in fields.items():
        accepted = kinds.get(name, ("time",))
        what = f"is no {' or '.join(accepted)}"
        yield from _unknown((*path, name), column, _of_type(definition, *accepted), what)


def _groups(definition: DatasetDefinition) -> list[str]:
    """Return what a group can consist of: categories and calendars that a request knows."""
    columns = definition.request_columns
    plain = [name for name, column in columns.items() if column.type in ("category", "flag")]
    times = [name for name, column in columns.items() if column.type == "time"]
    return plain + [f"{name}.{part}" for name in times for part in PARTS]


def is_zone(name: str) -> bool:
    """Tell whether a name is one of a time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _of_type(definition: DatasetDefinition, *kinds: str) -> list[str]:
    return [name for name, column in definition.columns.items() if column.type in kinds]


def _unknown(path: KeyPath, name: str, known: Iterable[str], what: str) -> Iterator[Mistake]:
    names = list(known)
    if name not in names:
        more = ", …" if len(names) > _SHOWN else ""
        hint = did_you_mean(name, names) or (
            f"there are: {', '.join(names[:_SHOWN])}{more}" if names else "there is none"
        )
        yield Mistake(path, f"{name!r} {what}; {hint}", (name, name.partition(".")[0], COLUMNS))
