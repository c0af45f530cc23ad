"""What rows must obey: the rules that a definition declares, and those that follow from its roles.

Each rule is held to whole frames and to one row, with the same verdict. A missing value obeys every
rule but those about missing values. `quarantine` sets a row aside with the names of the rules that
it breaks; `flag` keeps it, because production sees such rows too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from math import floor
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops import extensions
from mlops.datasets.declared.calendar import times_of
from mlops.datasets.declared.groups import Row
from mlops.datasets.definition import DatasetDefinition, FeatureDeclaration, RuleDeclaration
from mlops.errors import ConfigurationError

Mask = npt.NDArray[np.bool_]

# Larger numbers are infinite to a model, which computes in float32.
_LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class DatasetRule:
    """One rule; a row obeys it where it holds.

    Attributes:
        name: What is wrong, as the reasons of quarantined rows say it.
        action: What happens to a row that breaks it.
        meaning: The rule in words.
        asked: Whether it concerns only what is known when a prediction is asked for.
        holds: A frame to a mask, ``(n,)``.
        holds_for_one: One row, by column, to the same; None if the rule compares rows.
        dataset: Name of the dataset, of a rule in ``extensions/rules/``.
    """

    name: str
    action: Literal["quarantine", "flag"]
    meaning: str
    asked: bool
    holds: Callable[[pd.DataFrame], Mask]
    holds_for_one: Callable[[Row], bool] | None
    dataset: str = ""


def rules_of(definition: DatasetDefinition, *, labels: bool = True) -> tuple[DatasetRule, ...]:
    """Return the rules of a dataset: those of its roles, the declared ones, and what is added.

    Args:
        definition: Declares them.
        labels: With ``False`` only those that a request can be held to.
    """
    rules = [*_of_roles(definition), *(_declared(rule, definition) for rule in definition.rules)]
    rules += [r for r in extensions.added("rules", DatasetRule) if r.dataset == definition.name]
    return tuple(rule for rule in rules if labels or rule.asked)


def broken_rules(rules: Iterable[DatasetRule], frame: pd.DataFrame) -> dict[str, Mask]:
    """Return the rows that break each rule, in the order of the rules, if there are any.

    Args:
        rules: As from `rules_of`.
        frame: As from `mlops.datasets.declared.reading`.

    Raises:
        ConfigurationError: If a rule that the project adds fails.
    """
    masks = {rule.name: ~_held(rule, frame) for rule in rules}
    return {name: mask for name, mask in masks.items() if mask.any()}


def _held(rule: DatasetRule, frame: pd.DataFrame) -> Mask:
    if not rule.dataset:
        return rule.holds(frame)
    try:
        return np.asarray(rule.holds(frame), dtype=bool).reshape(len(frame))
    except Exception as error:  # whatever the code of a user raises
        raise ConfigurationError(
            f"extensions/rules: {rule.name}: {type(error).__name__}: {error}",
            "correct the rule: it is given the columns of the definition, and returns a truth value"
            " for each row",
        ) from error


def broken_by_one(rules: Iterable[DatasetRule], row: Row) -> list[str]:
    """Return the names of the rules that one row breaks; those that compare rows are left out.

    Args:
        rules: As from `rules_of`.
        row: Python's own values by column; None where a value is missing.
    """
    return [rule.name for rule in rules if rule.holds_for_one and not rule.holds_for_one(row)]


def _of_roles(definition: DatasetDefinition) -> Iterable[DatasetRule]:
    time, target = definition.time, definition.task.target
    if time:
        yield _given("event_missing", time.event, asked=True)
    yield _given("target_missing", target, asked=False)
    if time and time.outcome:
        event, outcome = time.event, time.outcome
        yield DatasetRule(
            "outcome_before_event",
            "flag",
            f"{outcome} is not before {event}",
            False,
            lambda frame: ~(times_of(frame[outcome]) < times_of(frame[event])),
            lambda row: not _before(row[outcome], row[event]),
        )
    numbers = [name for name, column in definition.columns.items() if column.type == "number"]
    for asked in (True, False):
        names = [n for n in numbers if (n in definition.request_columns) == asked]
        if names:
            yield _finite("number_infinite" if asked else "outcome_infinite", names, asked)
    if definition.key:
        key = [*definition.key]
        yield DatasetRule(
            "duplicate",
            "quarantine",
            f"no earlier row has the same {', '.join(key)}",
            False,
            lambda frame: ~(frame.duplicated(key) & frame[key].notna().all(axis=1)).to_numpy(bool),
            None,
        )


def _given(name: str, column: str, *, asked: bool) -> DatasetRule:
    return DatasetRule(
        name,
        "quarantine",
        f"{column} is given",
        asked,
        lambda frame: frame[column].notna().to_numpy(bool),
        lambda row: row[column] is not None,
    )


def _finite(name: str, columns: list[str], asked: bool) -> DatasetRule:
    def of_one(row: Row) -> bool:
        return not any(v is not None and abs(v) > _LARGEST for v in map(row.get, columns))

    def of_rows(frame: pd.DataFrame) -> Mask:
        present = frame[[column for column in columns if column in frame]].to_numpy(np.float64)
        return np.asarray(~(np.abs(present) > _LARGEST).any(axis=1))

    return DatasetRule(name, "quarantine", "no number is infinite", asked, of_rows, of_one)


def _declared(rule: RuleDeclaration, definition: DatasetDefinition) -> DatasetRule:
    column = definition.columns[rule.column]
    name = rule.column
    low, high = rule.between or (None, None)
    accepted = None if rule.one_of is None else _values(rule.one_of, column)

    def of_rows(frame: pd.DataFrame) -> Mask:
        values = frame[name]
        holds = np.ones(len(frame), dtype=bool)
        if accepted is not None:
            holds &= values.isin(accepted).to_numpy(bool)
        if column.type == "number":
            numbers = values.to_numpy(np.float64)
            holds &= (numbers >= low) if low is not None else True
            holds &= (numbers <= high) if high is not None else True
            holds &= (numbers == np.floor(numbers)) if rule.whole else True
        return np.where(values.isna(), not rule.given, holds)

    def of_one(row: Row) -> bool:
        value = row.get(name)
        if value is None:
            return not rule.given
        if accepted is not None and value not in accepted:
            return False
        if column.type != "number":
            return True
        fits = (low is None or value >= low) and (high is None or value <= high)
        return fits and (not rule.whole or abs(value) == float("inf") or value == floor(value))

    meaning = rule.meaning or meaning_of(rule, column)
    asked = name in definition.request_columns
    return DatasetRule(rule.name, rule.otherwise, meaning, asked, of_rows, of_one)


def meaning_of(rule: RuleDeclaration, column: FeatureDeclaration) -> str:
    """Return a declared rule in words, written from its limits."""
    unit = f" {column.unit}" if column.unit else ""
    low, high = rule.between or (None, None)
    said = ["is given"] if rule.given else []
    said += ["is a whole number"] if rule.whole else []
    if low is not None and high is not None:
        said.append(f"is between {low:,g} and {high:,g}{unit}")
    elif low is not None or high is not None:
        limit = f"at least {low:,g}" if low is not None else f"at most {high:,g}"
        said.append(f"is {limit}{unit}")
    if rule.one_of is not None:
        said.append(f"is one of {', '.join(map(str, _values(rule.one_of, column)))}")
    return f"{rule.column} {' and '.join(said)}"


def _values(values: tuple[str | float, ...], column: FeatureDeclaration) -> tuple[Any, ...]:
    """Return accepted values as a column of this type holds them."""
    if column.type == "category":
        return tuple(f"{v:.15g}" if isinstance(v, float) else v for v in values)
    if column.type == "time":
        return tuple(pd.Timestamp(v).to_pydatetime() for v in values)
    return tuple(map(float, values))


def _before(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first < second
