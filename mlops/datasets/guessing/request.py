"""What a person has said of a table, checked as a whole: all that is wrong comes in one error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from zoneinfo import available_timezones

import numpy as np

from mlops.counting import counted
from mlops.datasets.consistency import is_zone
from mlops.datasets.guessing.columns import ColumnGuess, guess_column
from mlops.datasets.guessing.sampling import TableSample
from mlops.errors import ConfigurationError, did_you_mean
from mlops.settings import NAME

_SHOWN: Final = 30  # columns in a message
UTC: Final = "UTC"  # zone of times, unless a person or the files name another


class Request(NamedTuple):
    """What a person has said; everything else is guessed.

    Attributes:
        target: Column to predict.
        time: Column of the event; empty: guess.
        outcome: Column of the time at which the target is known; empty: guess.
        name: Of the dataset; empty: after the files.
        title: The question; empty: after the target.
        zone: Time zone of times that carry none; empty: that of the files, or UTC.
    """

    target: str
    time: str = ""
    outcome: str = ""
    name: str = ""
    title: str = ""
    zone: str = ""


def columns_for(sample: TableSample, request: Request) -> dict[str, ColumnGuess]:
    """Guess what the columns of a table are, if all that was said of them can be true.

    Args:
        sample: Rows of the table.
        request: What was said.

    Returns:
        A guess for each column; that of the target holds numbers.

    Raises:
        ConfigurationError: Naming each option that is wrong, and what to write instead.
    """
    zone = request.zone if is_zone(request.zone) else sample.zone or UTC
    columns = {name: guess_column(name, each, zone) for name, each in sample.columns.items()}
    problems = [*_problems(sample, request, columns)]
    if problems:
        raise _all_of(problems)
    target = request.target
    return {**columns, target: _numeric(columns[target])}


def _problems(
    sample: TableSample, request: Request, columns: Mapping[str, ColumnGuess]
) -> Iterator[ConfigurationError]:
    name, zone = request.name, request.zone
    if name and not re.fullmatch(NAME, name):
        yield ConfigurationError(
            f"--name {name}: this is no name",
            "use small letters, digits and _, a letter first",
        )
    if zone and not is_zone(zone):
        hint = did_you_mean(zone, available_timezones())
        yield ConfigurationError(
            f"--zone {zone}: this is no time zone", hint or "give an IANA name: Europe/Rome"
        )
    times = [n for n, each in columns.items() if each.kind == "time" and _is_usable(each)]
    target = columns.get(request.target)
    if target is None:
        yield _unknown("--target", request.target, sample, [*columns])
    else:
        try:
            _numeric(target)
        except ConfigurationError as error:
            yield error
    for option, column in (("--time", request.time), ("--outcome", request.outcome)):
        if column and column not in columns:
            yield _unknown(option, column, sample, times, "times")
        elif column and column not in times:
            kind = columns[column].unusable or columns[column].evidence
            yield ConfigurationError(
                f"{option} {column}: this is no time ({kind})", _nearest(column, times, "times")
            )


def _unknown(
    option: str, column: str, sample: TableSample, names: list[str], what: str = "columns"
) -> ConfigurationError:
    """Return the error of a column that is not there, or that the files spoil."""
    if column in sample.left_out:
        hint = "correct the files, or name another column"
        return ConfigurationError(f"{option} {column}: {sample.left_out[column]}", hint)
    hint = _nearest(column, names, what)
    return ConfigurationError(f"{option} {column}: there is no such column", hint)


def _nearest(name: str, names: list[str], what: str) -> str:
    return did_you_mean(name, names) or f"{what} are: {', '.join(names[:_SHOWN]) or 'none'}"


def _all_of(problems: list[ConfigurationError]) -> ConfigurationError:
    if len(problems) == 1:
        return problems[0]
    lines = (f"\n  {each.message}: {each.hint}" for each in problems)
    return ConfigurationError(
        f"{counted(len(problems), 'option')} cannot be used:{''.join(lines)}",
        "correct them all, then run it again",
    )


def _is_usable(column: ColumnGuess) -> bool:
    return not column.unusable or column.identifier


def _numeric(target: ColumnGuess) -> ColumnGuess:
    if target.kind == "category":
        numbers = np.array([_number(each) for each in target.values], dtype=np.float64)
        if target.unusable in ("", "names single rows") and np.isfinite(numbers).any():
            given = np.array([each is not None for each in target.values])
            if np.isfinite(numbers[given]).all():
                target = target._replace(kind="number", values=numbers, unusable="")
    if target.kind not in ("number", "flag"):
        reason = target.unusable or f"its values are {target.evidence}"
        raise ConfigurationError(
            f"--target {target.name}: only numbers can be predicted, and {reason}",
            "name a column of numbers, or convert this one in the file",
        )
    numbers = np.where(np.isfinite(target.values), target.values, np.nan)
    if len(np.unique(numbers[np.isfinite(numbers)])) < 2:
        raise ConfigurationError(
            f"--target {target.name}: all rows have the same value, so there is nothing to learn",
            "name another column, or give files with more rows",
        )
    return target._replace(kind="number", values=numbers)


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")
