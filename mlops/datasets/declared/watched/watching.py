"""What is watched of the rows of a declared dataset; see `mlops.datasets.watching.Watching`.

Categories are compared by the codes of the model's encoder, so that those with thousands of values
stay small; values that have no code are counted besides. Of times only what recurs every day is
compared: a window of a few days has weekdays and months of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from mlops.datasets.answers import PREDICTION
from mlops.datasets.dataset import Encoder
from mlops.datasets.declared.calendar import calendar_part, times_of
from mlops.datasets.declared.encoding import TableEncoder
from mlops.datasets.declared.names import PARTS_OF_DAY
from mlops.datasets.declared.preparing.validating import declared_rules_in_force
from mlops.datasets.declared.reading import dtype_of
from mlops.datasets.declared.rules import DatasetRule, broken_rules
from mlops.datasets.declared.slices import slice_labels
from mlops.datasets.declared.watched.order import require_order
from mlops.datasets.declared.words import words_of_definition
from mlops.datasets.definition import CalendarPart, DatasetDefinition, TimeDeclaration
from mlops.datasets.watching import Feature, Ints, Mask, WatchedRule, numbers, observed_answers
from mlops.errors import ConfigurationError
from mlops.settings import ValidationSettings

_DAILY: Final[frozenset[CalendarPart]] = frozenset({"minute_of_day", "hour", "part_of_day"})
_SATURDAY: Final = 5
_MICROSECONDS_PER_MINUTE: Final = 60_000_000


@dataclass(frozen=True)
class TableWatching:
    """What is watched of rows.

    Attributes:
        definition: Declares the columns.
        limits: Changed actions of rules.
        time: Of the definition.
    """

    definition: DatasetDefinition
    limits: ValidationSettings
    time: TimeDeclaration

    possible = (datetime.min, datetime.max)
    strata = 2 * len(PARTS_OF_DAY)
    units = None
    every_minute = False  # timetables prefer some minutes

    @classmethod
    def of(cls, definition: DatasetDefinition, limits: ValidationSettings) -> TableWatching:
        """Return what is watched of a definition's rows.

        Raises:
            ConfigurationError: If rows have no time, or the test does not follow training in time.
        """
        return cls(definition, limits, require_order(definition))

    @property
    def plural(self) -> str:
        """What the definition calls rows."""
        return words_of_definition(self.definition).rows

    @property
    def event(self) -> str:
        """The column of the time at which a prediction is asked for."""
        return self.time.event

    @property
    def outcome(self) -> str:
        """The column of the time at which the target is known."""
        return self.time.outcome or self.time.event

    @property
    def target(self) -> str:
        """The column of what is predicted."""
        return self.definition.task.target

    @property
    def unit(self) -> str:
        """The unit of the target."""
        return self.definition.task.unit

    @property
    def zone(self) -> ZoneInfo:
        """The zone of times that carry none."""
        return ZoneInfo(self.definition.zone)

    @property
    def label_delay(self) -> timedelta:
        """Until the files have the outcome."""
        return self.time.label_delay.rest

    @cached_property
    def asked(self) -> Mapping[str, Any]:
        """The columns of a request, those of the key included."""
        columns = self.definition.columns
        names = dict.fromkeys([*self.definition.request_columns, *self.definition.key])
        return {name: dtype_of(columns[name]) for name in names}

    @cached_property
    def labels(self) -> Mapping[str, Any]:
        """All other columns, the target first."""
        columns = self.definition.columns
        names = dict.fromkeys([self.target, *columns])
        return {name: dtype_of(columns[name]) for name in names if name not in self.asked}

    @property
    def optional(self) -> tuple[str, ...]:
        """The features."""
        return tuple(self.definition.features)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The features, what recurs daily of times, the answer, and the target."""
        return tuple(self._features())

    def _features(self) -> Iterator[Feature]:
        for name, column in self.definition.features.items():
            if column.type == "number":
                yield Feature(name, "number", column.unit, column.meaning or name)
            elif column.type != "time":
                yield Feature(name, "category", "", column.meaning or name)
        for name, part in self._times:
            unit = "min" if part in ("minute_of_day", "") else ""
            since = f"from {self.event} to {name}"
            meaning = f"{part.replace('_', ' ')} of {name}" if part else since
            yield Feature(f"{name} {part}".strip(), "number", unit, meaning)
        yield Feature(PREDICTION, "number", self.unit, f"predicted {self.target}")
        yield Feature("interval_width", "number", self.unit, "width of the prediction interval")
        yield Feature(self.target, "number", self.unit, f"actual {self.target}", label=True)

    @cached_property
    def _times(self) -> tuple[tuple[str, Any], ...]:
        """The times with a part that recurs daily; no part stands for the minutes from the event.

        Of the event there is one always: what a clock that stands still leaves of it is one value.
        """
        found: list[tuple[str, Any]] = [(self.event, "minute_of_day")]
        for name, column in self.definition.features.items():
            if column.type == "time" and name != self.event:
                parts = self.definition.calendar_of(name)
                found += [(name, part) for part in parts if part in _DAILY]
                found += [(name, "")] if not parts else []
        return tuple(found)

    @cached_property
    def rules(self) -> tuple[WatchedRule, ...]:
        """The rules that are not ignored."""
        return tuple(
            WatchedRule(rule.name, rule.asked, rule.action == "quarantine") for rule in self._rules
        )

    @cached_property
    def _rules(self) -> tuple[DatasetRule, ...]:
        return declared_rules_in_force(self.definition, self.limits)

    def stratum(self, events: pd.Series[Any]) -> Ints:
        """Return the part of the day of each event; Saturdays and Sundays have their own."""
        times = times_of(events)
        part, weekday = (calendar_part(times, name) for name in ("part_of_day", "weekday"))
        return np.asarray(part + len(PARTS_OF_DAY) * (weekday >= _SATURDAY), dtype=np.int64)

    def slices(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the slice of each row along each dimension that the definition declares."""
        return slice_labels(self.definition, rows)

    def observe(
        self, rows: pd.DataFrame, predictions: pd.DataFrame | None, encoder: Encoder
    ) -> pd.DataFrame:
        """Compute `features`, categories as the model's encoder codes them."""
        columns: dict[str, Any] = {}
        for name, column in self.definition.features.items():
            if column.type == "category":
                columns[name] = _table(encoder).codes(name, rows[name])
            elif column.type != "time":
                columns[name] = numbers(rows, name)
        for name, part in self._times:
            columns[f"{name} {part}".strip()] = self._part(rows, name, part)
        if predictions is not None:
            columns |= observed_answers(predictions, rows, self.plural)
        if self.target in rows:
            columns[self.target] = numbers(rows, self.target)
        return pd.DataFrame(columns, index=rows.index)

    def _part(self, rows: pd.DataFrame, name: str, part: Any) -> Any:
        times = times_of(rows[name])
        if part:
            return calendar_part(times, part)
        since = times - times_of(rows[self.event])
        minutes = since.astype(np.int64) / _MICROSECONDS_PER_MINUTE
        return np.where(np.isnat(since), np.nan, minutes)

    def broken(self, rows: pd.DataFrame, *, labelled: bool) -> Mapping[str, Mask]:
        """Return the rows that break each rule."""
        return broken_rules([rule for rule in self._rules if labelled or rule.asked], rows)

    def rare(self, rows: pd.DataFrame, encoder: Encoder) -> Mapping[str, Mask]:
        """Return the rows with a category that the model has never learned from."""
        known = _table(encoder).categories
        return {
            f"unknown {name}": (rows[name].notna() & ~rows[name].isin(known[name])).to_numpy()
            for name, column in self.definition.features.items()
            if column.type == "category"
        }

    def computed(self, rows: pd.DataFrame, encoder: Encoder) -> pd.DataFrame:
        """Return nothing: the log holds what was asked and what was answered."""
        return pd.DataFrame(index=rows.index)


def _table(encoder: Encoder) -> TableEncoder:
    if not isinstance(encoder, TableEncoder):
        raise ConfigurationError(
            "this model was not trained on a declared dataset, and knows none of its categories",
            "choose a version of this dataset",
        )
    return encoder
