"""What is wrong with a definition although each of its parts is well formed.

Parts refer to columns, times and each other; each mistake is found here at its path, so that
`mlops.datasets.loading` can name the line of every one of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, get_args
from zoneinfo import available_timezones

from mlops.datasets.definition import (
    CalendarPart,
    DatasetDefinition,
    HistoryDeclaration,
    RuleDeclaration,
    SliceDeclaration,
    Span,
)
from mlops.errors import did_you_mean

Path = tuple[str | int, ...]
PARTS: Final[tuple[str, ...]] = get_args(CalendarPart)


class Mistake(NamedTuple):
    """One thing to correct.

    Attributes:
        path: Where it is: keys and positions, from the top of the file.
        message: What is wrong and what to write instead.
    """

    path: Path
    message: str


def mistakes_in(definition: DatasetDefinition) -> Iterator[Mistake]:
    """Find what contradicts itself in a well-formed definition."""
    yield from _in_roles(definition)
    yield from _in_features(definition)
    yield from _in_split(definition)
    for name, history in definition.histories.items():
        yield from _in_history(("histories", name), name, history, definition)
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


def _in_roles(definition: DatasetDefinition) -> Iterator[Mistake]:
    target, time = definition.task.target, definition.time
    roles: dict[str, Path] = {target: ("task", "target")}
    if time:
        if time.zone not in available_timezones():
            hint = did_you_mean(time.zone, available_timezones())
            yield Mistake(
                ("time", "zone"),
                f"{time.zone!r} is no time zone; {hint or 'give an IANA name: Europe/Rome'}",
            )
        if time.event == target:
            yield Mistake(("time", "event"), f"{target} is the target, so it is no time")
        if time.outcome and time.outcome == time.event:
            yield Mistake(
                ("time", "outcome"), f"{time.outcome} is the event; leave outcome out for this"
            )
        if time.outcome:
            roles[time.outcome] = ("time", "outcome")
    for name, path in roles.items():
        if name in definition.features:
            yield Mistake(
                ("features", name),
                f"{name} is known only afterwards ({'.'.join(map(str, path))}), so it is no"
                " feature; remove it from the features",
            )
    for name in definition.context:
        if name in definition.features:
            yield Mistake(("context", name), f"{name} is a feature, too; list it once")


def _in_features(definition: DatasetDefinition) -> Iterator[Mistake]:
    for section, columns in (("features", definition.features), ("context", definition.context)):
        for name, feature in columns.items():
            given = feature.model_fields_set
            if feature.type != "time" and feature.calendar:
                yield Mistake((section, name, "calendar"), f"{name} is a {feature.type}, no time")
            if feature.type != "category" and "unseen" in given:
                yield Mistake((section, name, "unseen"), f"{name} is no category")
            if feature.type != "number" and feature.unit:
                yield Mistake((section, name, "unit"), f"{name} is no number")
            event = definition.time.event if definition.time else None
            if feature.type != "time" and name == event:
                yield Mistake((section, name, "type"), f"{name} is the event, hence a time")
            idle = section == "features" and feature.type == "time" and not feature.calendar
            if idle and not definition.time:
                yield Mistake(
                    (section, name),
                    f"without an event nothing can be made of the time {name}; list parts of its"
                    " calendar, or declare time.event",
                )
    taken = set(definition.features)
    for name, history in definition.histories.items():
        for made in history_features(name, history):
            if made in taken:
                yield Mistake(("histories", name), f"there is a feature {made} already; rename it")
            taken.add(made)


def _in_split(definition: DatasetDefinition) -> Iterator[Mistake]:
    split = definition.split
    by_time = split.by == "time"
    if by_time and not definition.time:
        yield Mistake(
            ("split", "by"),
            "without time.event rows cannot be split by time; write by: random or by: group",
        )
    for field in ("validation", "test"):
        length = getattr(split, field)
        if by_time != isinstance(length, Span):
            wanted = "a length of time, such as 7d" if by_time else "a share, such as 0.2"
            yield Mistake(("split", field), f"a split by {split.by} needs {wanted}")
    shares = [x for x in (split.validation, split.test) if isinstance(x, float)]
    if sum(shares) >= 1:
        yield Mistake(("split", "test"), "validation and test together leave nothing to learn from")
    if (split.by == "group") != bool(split.group):
        yield Mistake(("split", "group"), "by: group and the columns of the group belong together")


def _in_history(
    path: Path, name: str, history: HistoryDeclaration, definition: DatasetDefinition
) -> Iterator[Mistake]:
    if not definition.time:
        yield Mistake(path, "a history needs time.event: without it nothing is past")
    known = _groups(definition)
    for column in history.by:
        yield from _unknown((*path, "by"), column, known, "is no column of a group")
    for column in history.prior:
        if column not in history.by:
            yield Mistake(
                (*path, "prior"),
                f"{column} is not in by: {', '.join(history.by)}; the broader"
                " group has some of its columns",
            )
    if set(history.prior) >= set(history.by):
        yield Mistake((*path, "prior"), "the broader group has all columns of by; leave one out")
    numbers = _numbers(definition)
    if history.of:
        yield from _unknown((*path, "of"), history.of, numbers, "is no number")
    if history.less:
        features = [n for n in numbers if n in definition.features]
        yield from _unknown((*path, "less"), history.less, features, "is no number feature")


def _in_rule(path: Path, rule: RuleDeclaration, definition: DatasetDefinition) -> Iterator[Mistake]:
    columns = definition.columns
    yield from _unknown((*path, "column"), rule.column, columns, "is no column")
    if rule.between is None and rule.one_of is None and not rule.given and not rule.whole:
        yield Mistake(path, "it forbids nothing; add between, one_of, given or whole")
    kind = columns[rule.column].type if rule.column in columns else "number"
    if kind != "number" and (rule.between or rule.whole):
        yield Mistake(path, f"{rule.column} is a {kind}; between and whole are about numbers")
    if rule.between:
        low, high = rule.between
        if low is not None and high is not None and low > high:
            yield Mistake((*path, "between"), f"{low:g} is above {high:g}")


def _in_slice(
    path: Path, declared: SliceDeclaration, definition: DatasetDefinition
) -> Iterator[Mistake]:
    given = {name: column for name, column in declared.model_dump().items() if column}
    if len(given) != 1:
        yield Mistake(path, "give one of column, hours_of, weekday_of and quantiles_of")
    kinds = {"column": ("category", "flag"), "quantiles_of": ("number",)}
    for name, column in given.items():
        wanted = kinds.get(name, ("time",))
        fitting = [n for n, c in definition.columns.items() if c.type in wanted]
        yield from _unknown((*path, name), column, fitting, f"is no {' or '.join(wanted)}")


def _groups(definition: DatasetDefinition) -> list[str]:
    """Return what a group can be made of: categories, flags, and parts of the calendar."""
    columns = {n: c for n, c in definition.columns.items() if n != definition.task.target}
    plain = [n for n, c in columns.items() if c.type in ("category", "flag")]
    times = [n for n, c in columns.items() if c.type == "time"]
    later = definition.time.outcome if definition.time else ""
    return plain + [f"{name}.{part}" for name in times if name != later for part in PARTS]


def _numbers(definition: DatasetDefinition) -> list[str]:
    return [name for name, column in definition.columns.items() if column.type == "number"]


def _unknown(path: Path, name: str, known: Iterable[str], what: str) -> Iterator[Mistake]:
    names = list(known)
    if name not in names:
        hint = did_you_mean(name, names) or f"there are: {', '.join(names[:30]) or 'none'}"
        yield Mistake(path, f"{name!r} {what}; {hint}")
