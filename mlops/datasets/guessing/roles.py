"""Which columns say when, and which nobody knows when a prediction is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.checking.formulas import exact_formula
from mlops.datasets.checking.leakage import KnownAfterwards, suspicion
from mlops.datasets.guessing.columns import ColumnGuess, Sureness
from mlops.errors import ConfigurationError

_BEGINS: Final = re.compile(
    r"start|begin|pick.?up|depart|request|order|creat|open|booked|check.?in|asked|event|submit",
    re.I,
)
_ENDS: Final = re.compile(
    r"end|drop.?off|arriv|land|finish|complet|clos|deliver|return|resolv|outcome|label|check.?out"
    r"|stop|paid|until",
    re.I,
)
_UNITS: Final = {"minutes": 1.0, "hours": 60.0, "seconds": 1 / 60, "days": 1440.0}
_ROWS: Final = 20_000  # enough to see whether a number is a length of time
_MOSTLY: Final = 0.95  # share of rows from which on the others are exceptions
_LATER: Final = 0.9  # share of rows with a later time; plans may be earlier or later


class Note(NamedTuple):
    """Why a column has a role, and whether a person should check it."""

    evidence: str
    sureness: Sureness


class Times(NamedTuple):
    """The columns that say when.

    Attributes:
        event: Column of the event; empty: the table has no time.
        outcome: Column of the time at which the target is known; empty: not known.
        unit: Of the target, if it is the time between them.
        notes: Evidence by column.
    """

    event: str
    outcome: str
    unit: str
    notes: Mapping[str, Note]


def guess_times(
    columns: Mapping[str, ColumnGuess], target: str, event: str = "", outcome: str = ""
) -> Times:
    """Find the times of event and outcome.

    Args:
        columns: By name.
        target: Name of the target.
        event: A time, as a person has named it; empty: find it.
        outcome: The same.

    Raises:
        ConfigurationError: If event and outcome are the same column.
    """
    times = {name: each.values for name, each in columns.items() if each.kind == "time"}
    notes = {
        name: Note("named by --time or --outcome", "sure") for name in (event, outcome) if name
    }
    y = columns[target].values
    unit = ""
    for start, end in _pairs(times, event, outcome):
        unit = difference_unit(y, times[start], times[end])
        if unit:
            evidence = f"{target} is the time from {start} to {end} in {unit}"
            notes = {start: Note(evidence, "likely"), end: Note(evidence, "likely"), **notes}
            event, outcome = start, end
            break
    if not outcome and len(times) > 1:
        outcome, notes = _outcome(times, columns, target, event, notes)
    if not event and times:
        event, notes = _event(times, columns, outcome, notes)
    if event and event == outcome:
        raise ConfigurationError(
            f"{event} is named as the time of both event and outcome",
            "give different columns, or leave --outcome out",
        )
    return Times(event, outcome, unit, notes)


def _pairs(times: Mapping[str, Any], event: str, outcome: str) -> list[tuple[str, str]]:
    starts, ends = [event] if event else [*times], [outcome] if outcome else [*times]
    return [(start, end) for start in starts for end in ends if start != end]


def difference_unit(
    numbers: npt.NDArray[Any], start: npt.NDArray[Any], end: npt.NDArray[Any]
) -> str:
    """Return the unit in which numbers are the time between two columns; empty: they are not.

    Args:
        numbers: ``(n,)``; rounded ones count, too.
        start: ``(n,)`` times.
        end: ``(n,)`` times.
    """
    step = -(-len(numbers) // _ROWS)
    numbers = numbers[::step]
    minutes = (end[::step] - start[::step]) / np.timedelta64(1, "m")
    given = np.isfinite(minutes) & np.isfinite(numbers)
    if given.sum() < 10:
        return ""
    minutes, shown = minutes[given], numbers[given]
    for unit, length in _UNITS.items():
        expected = minutes / length
        fits = np.abs(shown - expected) <= 0.5 + 1e-6  # a rounded one
        rounded = bool((shown % 1 == 0).all())
        exact = np.abs(shown - expected) <= 0.02 * np.maximum(np.abs(expected), 0.5)
        share = float((fits if rounded else exact).mean())
        if share >= _MOSTLY and expected.std() > (2.0 if rounded else 0):
            return unit
    return ""


def _outcome(
    times: Mapping[str, Any],
    columns: Mapping[str, ColumnGuess],
    target: str,
    event: str,
    notes: dict[str, Note],
) -> tuple[str, dict[str, Note]]:
    """Find a time that is never before the others and goes with the target."""
    without_target = pd.isna(columns[target].values)
    for name, values in times.items():
        others = [times[event]] if event else [v for n, v in times.items() if n != name]
        early = max(float((values < other).mean()) for other in others)
        if name == event or early > 1 - _MOSTLY:
            continue
        without = pd.isna(values)
        if without_target.sum() >= 5 and (without != without_target).mean() < 0.001:
            evidence = f"the latest time, missing in the same rows as {target}"
            return name, {name: Note(evidence, "likely"), **notes}
        if _ENDS.search(name) and not _BEGINS.search(name):
            return name, {name: Note("the latest time, by its name an end", "check"), **notes}
    return "", notes


def _event(
    times: Mapping[str, Any],
    columns: Mapping[str, ColumnGuess],
    outcome: str,
    notes: dict[str, Note],
) -> tuple[str, dict[str, Note]]:
    """Find the time at which a prediction is asked for: by its name, or the latest one."""
    names = [
        n for n in times if n != outcome and columns[n].missing <= 0.5 and columns[n].distinct > 1
    ]
    if not names:
        return "", notes
    if len(names) == 1:
        return names[0], {names[0]: Note("the only time that can be the event", "check"), **notes}
    best = max(
        names, key=lambda n: (bool(_BEGINS.search(n)), np.nanmedian(times[n].astype(np.int64)))
    )
    others = ", ".join(n for n in names if n != best)
    why = "by its name a beginning" if _BEGINS.search(best) else "the latest time"
    return best, {best: Note(f"{why}; it may be {others} instead", "check"), **notes}


def unknown_in_advance(
    columns: Mapping[str, ColumnGuess], target: str, times: Times
) -> tuple[dict[str, str], dict[str, str]]:
    """Find the columns that nobody knows when a prediction is asked for.

    Args:
        columns: By name, those that could be features.
        target: Name of the target.
        times: As from `guess_times`.

    Returns:
        Why a column is not known, by name, and the same of columns that may be known.
    """
    reasons: dict[str, str] = {}
    doubts: dict[str, str] = {}
    event = columns[times.event].values if times.event else None
    later: dict[str, Any] = {}
    if times.outcome:
        later[times.outcome] = columns[times.outcome].values
    if event is not None:
        for name, each in columns.items():
            if each.kind != "time" or name in (times.event, times.outcome):
                continue
            share = float((each.values > event)[~pd.isna(each.values) & ~pd.isna(event)].mean())
            if share > _LATER:
                later[name] = each.values
                reasons[name] = (
                    f"later than {times.event} in {share:.0%} of the rows; if it is a plan that is"
                    " known by then, it may be a feature"
                )
    y = columns[target].values
    known = np.isfinite(y)
    outcome = columns[times.outcome].values if times.outcome else None
    afterwards = KnownAfterwards(
        y[known],
        None if event is None else event[known],
        None if outcome is None else outcome[known],
    )
    starts = {name: each.values for name, each in columns.items() if each.kind == "time"}
    for name, each in columns.items():
        if name in {target, times.event, times.outcome, *reasons}:
            continue
        if each.kind == "number":
            span = _span(each.values, starts, later)
            if span:
                reasons[name] = span
                continue
        found = suspicion(each.values[known], afterwards)
        if found and found.certain:
            reasons[name] = found.reason
        elif found:
            doubts[name] = f"{found.reason}; remove it if it is known only afterwards"
    numbers = {
        name: each.values[known]
        for name, each in columns.items()
        if each.kind == "number" and name != target and name not in reasons
    }
    if formula := exact_formula(numbers, y[known]):
        others = {*columns} - {target, times.event, times.outcome, *reasons, *formula.columns}
        # Where nothing else is left to learn from, a person has to say what is known.
        suspects = reasons if others or times.event else doubts
        suspects |= dict.fromkeys(formula.columns, formula.reason)
        doubts = {name: doubt for name, doubt in doubts.items() if name not in reasons}
    return reasons, doubts


def _span(values: Any, starts: Mapping[str, Any], later: Mapping[str, Any]) -> str:
    for end, until in later.items():
        for start, since in starts.items():
            unit = start != end and difference_unit(values, since, until)
            if unit:
                return f"the time from {start} to {end} in {unit}, which is known only afterwards"
    return ""
