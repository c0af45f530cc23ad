"""What a dataset says of itself: its columns, what is asked, when that is known, and how to judge.

One file, ``dataset.yaml``, describes a prediction problem completely; whatever reads files, encodes
requests, validates rows or writes words about a model reads it from here. Features are an
allow-list: a column that is not listed is never learned from. `mlops.datasets.loading` reads such
a file and names the line of each mistake.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
)

from mlops.datasets.wording import CardProse
from mlops.settings import NAME

_SPAN: Final = re.compile(r"(\d{1,6})\s*(min|h|d|w|month)s?")
_UNITS: Final = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


class TimeSpan(NamedTuple):
    """A length of time; months are calendar months, which have no fixed length."""

    months: int
    rest: timedelta

    def __str__(self) -> str:
        if self.months:
            return f"{self.months} month{'s' if self.months > 1 else ''}"
        for name, unit in reversed(_UNITS.items()):
            if self.rest % unit == timedelta(0) and self.rest:
                return f"{self.rest // unit}{name}"
        return "0d"


def _span(value: Any) -> TimeSpan:
    if isinstance(value, TimeSpan):
        return value
    found = _SPAN.fullmatch(str(value).strip())
    if not found:
        raise ValueError("give a length of time such as 30min, 12h, 7d, 2w or 1 month")
    number, unit = int(found[1]), found[2]
    if unit == "month":
        return TimeSpan(number, timedelta(0))
    return TimeSpan(0, number * _UNITS[unit])


def _fixed_span(value: Any) -> TimeSpan:
    span = _span(value)
    if span.months:
        raise ValueError("months have no fixed length here; give days, such as 30d")
    return span


def _above_zero(span: TimeSpan) -> TimeSpan:
    if span == TimeSpan(0, timedelta(0)):
        raise ValueError("give a length of time above zero, such as 7d")
    return span


def _length(value: Any) -> TimeSpan | float:
    if isinstance(value, (int, float)):
        if not 0 < value < 1:
            raise ValueError("give a share between 0 and 1, or a length of time such as 7d")
        return float(value)
    return _above_zero(_span(value))


FixedSpan = Annotated[TimeSpan, PlainValidator(_fixed_span), PlainSerializer(str)]
Length = Annotated[
    Any, PlainValidator(_length), PlainSerializer(lambda x: x if isinstance(x, float) else str(x))
]


class DefinitionPart(BaseModel):
    """Base of all parts: strict, frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Give what was stored with a model before a key existed that key's default."""
        stored = state["__dict__"]
        values = {
            name: stored[name] if name in stored else field.get_default(call_default_factory=True)
            for name, field in type(self).model_fields.items()
            if name in stored or not field.is_required()
        }
        super().__setstate__({**state, "__dict__": values})


Number = Annotated[float, Strict()]
Switch = Annotated[bool, Strict()]
Column = Annotated[str, Field(min_length=1)]
Columns = Annotated[
    tuple[Column, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]
CalendarPart = Literal[
    "minute_of_day", "hour", "part_of_day", "weekday", "day_of_month", "day_of_year", "month"
]


class SourceDeclaration(DefinitionPart):
    """The files that hold the table."""

    location: str = Field(
        min_length=1,
        description="File, folder or URL, relative to the definition; {month} stands for YYYY-MM.",
    )
    partition: Literal["month", "none"] = Field(
        "none", description="Whether each file holds one month, or rows of any time."
    )
    decimal: Literal[".", ","] = Field(
        ".", description="How text writes decimals; thousands are never separated."
    )
    missing: Columns = Field(
        (), description="Texts that stand for a missing value, such as unknown or -, in any column."
    )


class TaskDeclaration(DefinitionPart):
    """What is asked of the table."""

    kind: Literal["regression"] = Field("regression", description="Kind of prediction.")
    target: Column = Field(description="Column that is predicted.")
    unit: str = Field("", description="Unit of the target, as people read it.")
    meaning: str = Field("", description="The target in words, such as delay at arrival.")


class TimeDeclaration(DefinitionPart):
    """When a row is asked about, and when its answer is known."""

    event: Column = Field(description="Column with the time at which a prediction is asked for.")
    outcome: str = Field(
        "", description="Column with the time at which the target is known; empty: at the event."
    )
    zone: str = Field("UTC", description="Time zone of times that carry none (IANA name).")
    label_delay: FixedSpan = Field(_span("0d"), description="Time until outcomes reach the files.")
    calendar: tuple[CalendarPart, ...] = Field(
        ("minute_of_day", "weekday"), description="Features made of the event's time."
    )


class FeatureDeclaration(DefinitionPart):
    """A column that a model may learn from: known when the prediction is asked for."""

    type: Literal["number", "category", "flag", "time"] = Field(description="Type of its values.")
    unit: str = Field("", description="Unit of a number, as people read it.")
    meaning: str = Field("", description="The column in words.")
    optional: Switch = Field(False, description="Whether a request may leave it out.")
    unseen: Literal["other", "missing"] = Field(
        "other", description="What a category that training never saw counts as."
    )
    calendar: tuple[CalendarPart, ...] = Field(
        (), description="Features made of a time; none: its distance to the event in minutes."
    )


class HistoryDeclaration(DefinitionPart):
    """Statistics of past rows of the same group, as of the day before a row's event."""

    by: Columns = Field(
        min_length=1,
        description="Columns of the group; column.part takes a part of the calendar of a time.",
    )
    of: str = Field("", description="Number that is summed up; empty: the target.")
    less: str = Field("", description="Number feature that is subtracted from it; empty: none.")
    statistics: tuple[Literal["mean", "spread", "count"], ...] = Field(
        ("mean",), min_length=1, description="Features made of the group's past rows."
    )
    half_life: FixedSpan = Field(
        _span("60d"), description="Time after which a past row counts half."
    )
    smoothing: Number = Field(
        20, gt=0, description="Weight of the broader group's mean, in rows (additive smoothing)."
    )
    prior: Columns = Field(
        (), description="Columns of the broader group; none: all rows. A part of by."
    )


class SplitDeclaration(DefinitionPart):
    """How rows are divided into training, validation (search) and test (gate)."""

    by: Literal["time", "random", "group"] = Field(
        "time", description="time: the newest rows judge; random or group: a share of rows, hashed."
    )
    group: Columns = Field((), description="Columns whose rows stay together (by: group).")
    validation: Length = Field(
        _span("7d"), description="Length of the validation window, or its share."
    )
    test: Length = Field(_span("1 month"), description="Length of the test window, or its share.")


class RuleDeclaration(DefinitionPart):
    """A rule that rows must obey; a missing value obeys every rule but `given`."""

    name: str = Field(pattern=NAME, description="Name of the rule: what is wrong.")
    column: Column = Field(description="Column that it is about.")
    between: tuple[Number | None, Number | None] | None = Field(
        None, description="Smallest and largest valid value; null leaves an end open."
    )
    one_of: tuple[str | Number, ...] | None = Field(
        None, min_length=1, description="All valid values."
    )
    given: Switch = Field(False, description="Whether a missing value breaks the rule.")
    whole: Switch = Field(False, description="Whether a fraction breaks the rule.")
    otherwise: Literal["quarantine", "flag"] = Field(
        "quarantine", description="What happens to rows that break it."
    )
    meaning: str = Field("", description="The rule in words; empty: written from its limits.")


class SliceDeclaration(DefinitionPart):
    """A way to group rows, by which errors are compared."""

    column: str = Field("", description="Category or flag whose values are the groups.")
    hours_of: str = Field("", description="Time whose part of the day is the group.")
    weekday_of: str = Field("", description="Time whose day of the week is the group.")
    quantiles_of: str = Field("", description="Number whose quarters are the groups.")


def _slice(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _feature(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class DatasetDefinition(DefinitionPart):
    """A prediction problem, completely described."""

    name: str = Field(pattern=NAME, description="Name in commands, folders and the registry.")
    title: str = Field(min_length=1, description="The question that a prediction answers.")
    row: str = Field(
        "row", min_length=1, description="What a row is, in the singular, such as flight or order."
    )
    source: SourceDeclaration
    task: TaskDeclaration
    time: TimeDeclaration | None = None
    key: Columns = Field((), description="Columns that identify a row, to join answers and labels.")
    features: dict[str, Annotated[FeatureDeclaration, BeforeValidator(_feature)]] = Field(
        min_length=1, description="Columns that a model may learn from: an allow-list."
    )
    context: dict[str, Annotated[FeatureDeclaration, BeforeValidator(_feature)]] = Field(
        default_factory=dict,
        description="Columns that rules, slices and keys use and that a model never sees.",
    )
    histories: dict[str, HistoryDeclaration] = Field(default_factory=dict)
    split: SplitDeclaration = Field(default_factory=SplitDeclaration)
    rules: tuple[RuleDeclaration, ...] = ()
    slices: dict[str, Annotated[SliceDeclaration, BeforeValidator(_slice)]] = Field(
        default_factory=dict
    )
    floors: dict[Literal["rmse", "mae"], Annotated[Number, Field(gt=0)]] = Field(
        default_factory=dict, description="Largest errors with which a model may pass the gate."
    )
    derive: str = Field(
        "",
        pattern=r"^(?:[\w.]+:\w+)?$",
        description="Python function, module:function, that adds columns to a table that was read.",
    )
    card: CardProse = Field(default_factory=CardProse)
    schedules: bool = Field(
        False,
        description="Whether the schedules of the project run for this dataset, too;"
        " `mlops triggers --write` writes them.",
    )

    @property
    def event(self) -> str:
        """Column of the time at which a prediction is asked for; empty where there is none."""
        return self.time.event if self.time else ""

    @property
    def zone(self) -> str:
        """Name of the zone of times that carry none."""
        return self.time.zone if self.time else "UTC"

    @property
    def columns(self) -> dict[str, FeatureDeclaration]:
        """Every column that is read, by name, with its type."""
        known = {**self.features, **self.context}
        task = self.task
        roles = {
            task.target: FeatureDeclaration(type="number", unit=task.unit, meaning=task.meaning)
        }
        if self.time:
            times = (self.time.event, self.time.outcome)
            roles |= {name: FeatureDeclaration(type="time") for name in times if name}
        names = [name for name in (*self.key, *self.split.group) if name not in roles]
        roles |= {name: FeatureDeclaration(type="category") for name in names}
        return {**roles, **known}

    @property
    def request_columns(self) -> dict[str, FeatureDeclaration]:
        """What is known when a prediction is asked for: the event's time and the features."""
        event = {self.time.event: self.columns[self.time.event]} if self.time else {}
        return {**event, **self.features}

    def calendar_of(self, column: str) -> tuple[CalendarPart, ...]:
        """Return which parts of the calendar of a time are features."""
        feature = self.features.get(column)
        if feature and feature.calendar:
            return feature.calendar
        return self.time.calendar if self.time and column == self.time.event else ()

    @property
    def of_rows(self) -> DatasetDefinition:
        """The definition as far as it says something of rows, wherever their files lie."""
        # Said for people, or about what is done with the rows.
        said = {"row": "row", "card": CardProse(), "schedules": False}
        return self.with_source("files").model_copy(update=said)

    def with_test_days(self, days: int) -> DatasetDefinition:
        """Return the definition with another test window, if rows are divided by time."""
        if self.split.by != "time":
            return self
        test = TimeSpan(0, timedelta(days=days))
        return self.model_copy(update={"split": self.split.model_copy(update={"test": test})})

    def with_source(self, location: str) -> DatasetDefinition:
        """Return the definition with another place of its files."""
        source = self.source.model_copy(update={"location": location})
        return self.model_copy(update={"source": source})
