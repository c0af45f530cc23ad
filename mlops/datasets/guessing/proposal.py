"""Everything that is guessed about a table, as a definition with a reason for each guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from zoneinfo import available_timezones

import numpy as np

from mlops.datasets.checking.leakage import KnownAfterwards, power_alone
from mlops.datasets.consistency import is_zone
from mlops.datasets.guessing.columns import ColumnGuess, guess_column, refined
from mlops.datasets.guessing.explaining import Request, comments, report
from mlops.datasets.guessing.extras import floors, histories, rules, slices, split, unit_of
from mlops.datasets.guessing.keys import guess_key
from mlops.datasets.guessing.roles import (
    Times,
    difference_unit,
    guess_times,
    unknown_in_advance,
)
from mlops.datasets.guessing.sampling import TableSample
from mlops.errors import ConfigurationError, did_you_mean
from mlops.settings import NAME

_SHOWN: Final = 30  # columns in a message
_OPTIONAL: Final = 0.0  # share of missing values above which a request may lack the column
_MOST_FEATURES: Final = 200  # whose power is measured one by one


class Proposal(NamedTuple):
    """A guessed definition.

    Attributes:
        content: The definition as plain values.
        comments: What a person should check, by path.
        left_out: Columns that are not used, and why.
        report: A row per column: column, role, type, evidence, sureness.
    """

    content: dict[str, Any]
    comments: dict[tuple[str, ...], str]
    left_out: dict[str, str]
    report: list[dict[str, Any]]


def propose(sample: TableSample, request: Request) -> Proposal:
    """Guess a definition of a table.

    Args:
        sample: Its rows.
        request: What a person has said.

    Raises:
        ConfigurationError: If the target is no column of numbers, or a named time is none.
    """
    zone = request.zone or "UTC"
    target = request.target
    _check_request(sample, request)
    columns = {name: guess_column(name, each, zone) for name, each in sample.columns.items()}
    y = _numbers_of(columns[target])
    columns = {n: each if n == target else refined(each, y) for n, each in columns.items()}
    columns[target] = columns[target]._replace(kind="number", values=y)
    usable = {n: each for n, each in columns.items() if not each.unusable or each.identifier}
    usable[target] = columns[target]
    times = guess_times(usable, target, request.time, request.outcome)
    # What is learned from are rows with a target and an event; others say nothing about features.
    asked = (
        np.isfinite(y)
        if not times.event
        else np.isfinite(y) & ~np.isnat(columns[times.event].values)
    )
    whole = usable
    columns = {name: each.among(asked) for name, each in columns.items()}
    usable = {name: columns[name] for name in usable}
    y = y[asked]
    reasons, doubts = unknown_in_advance(
        {n: each for n, each in usable.items() if not each.identifier}, target, times
    )
    afterwards = [target, times.outcome, *reasons]
    key, key_note = guess_key(whole, afterwards, times.event)
    roles = {target, times.event, times.outcome}
    features = {
        n: each
        for n, each in usable.items()
        if n not in roles and n not in reasons and not each.identifier
    }
    if not features and not times.event:
        raise ConfigurationError(
            f"no column is left to learn {target} from: "
            + "; ".join(f"{n} {why}" for n, why in {**sample.left_out, **reasons}.items()),
            "give a table with columns that are known when a prediction is asked for",
        )
    left_out = {n: each.unusable for n, each in columns.items() if each.unusable and n not in key}
    left_out = {**sample.left_out, **left_out, **reasons}
    known = _known(columns, target, times)
    strengths = _strengths(features, known)
    units = {n: _unit(each, columns, times) for n, each in features.items()}
    plain = {n: strength for n, strength in strengths.items() if n not in doubts}
    unit, less = _unit_of_target(target, times, features, units, known, plain)

    content: dict[str, Any] = {
        "name": request.name or name_of(sample.location),
        "title": request.title or f"What is {target}?",
        "source": {
            "location": sample.location,
            **({"partition": "month"} if sample.months else {}),
            **({"decimal": ","} if sample.decimal == "," else {}),
        },
        "task": {"target": target, **({"unit": unit} if unit else {})},
    }
    if times.event:
        moments = _calendar(columns[times.event].values)
        content["time"] = {
            "event": times.event,
            **({"outcome": times.outcome} if times.outcome else {}),
            "zone": zone,
            "calendar": moments,
        }
    if key:
        content["key"] = [*key]
    content["features"] = {n: _feature(each, units[n]) for n, each in features.items()} or {
        times.event: {"type": "time", "calendar": content["time"]["calendar"]}
    }
    context = {n: columns[n].kind for n in key if n not in content["features"] and n not in roles}
    if context:
        content["context"] = context
    extras = {
        "histories": histories(features, times, known, less, columns, target),
        "split": split(columns, usable, times),
        "rules": rules(target, columns, features, strengths, times),
        "slices": slices(features, times, columns, strengths),
        "floors": floors(y),
    }
    content |= {name: values for name, values in extras.items() if values}
    rows = report(columns, sample.left_out, roles, content, left_out, times, strengths, doubts)
    notes = comments(content, request, times, key_note, features, columns, less)
    notes |= {("features", name): doubt for name, doubt in doubts.items()}
    return Proposal(content, notes, left_out, rows)


def _check_request(sample: TableSample, request: Request) -> None:
    target, name, zone = request.target, request.name, request.zone
    if name and not re.fullmatch(NAME, name):
        raise ConfigurationError(
            f"--name {name}: this is no name",
            "use small letters, digits and _, a letter first",
        )
    if zone and not is_zone(zone):
        hint = did_you_mean(zone, available_timezones())
        raise ConfigurationError(
            f"--zone {zone}: this is no time zone", hint or "give an IANA name: Europe/Rome"
        )
    if target not in sample.columns:
        names = [*sample.columns]
        reason = sample.left_out.get(target, "there is no such column")
        hint = did_you_mean(target, names) or f"columns are: {', '.join(names[:_SHOWN])}"
        if target in sample.left_out:
            hint = "correct the files, or name another column"
        raise ConfigurationError(f"--target {target}: {reason}", hint)


def _numbers_of(target: ColumnGuess) -> Any:
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
    return numbers


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return float("nan")


def _known(columns: Mapping[str, ColumnGuess], target: str, times: Times) -> KnownAfterwards:
    event = columns[times.event].values if times.event else None
    outcome = columns[times.outcome].values if times.outcome else None
    return KnownAfterwards(columns[target].values, event, outcome)


def _strengths(features: Mapping[str, ColumnGuess], known: KnownAfterwards) -> dict[str, float]:
    """Return the R² of each feature alone; of very many features only the first ones'."""
    rows = np.isfinite(known.target)
    given = KnownAfterwards(known.target[rows], None if known.event is None else known.event[rows])
    return {
        name: power_alone(each.values[rows], given)
        for name, each in [*features.items()][:_MOST_FEATURES]
    }


def _unit(each: ColumnGuess, columns: Mapping[str, ColumnGuess], times: Times) -> str:
    if each.kind != "number":
        return ""
    moments = {n: c.values for n, c in columns.items() if c.kind == "time" and n != times.outcome}
    for start, since in moments.items():
        for end, until in moments.items():
            unit = start != end and difference_unit(each.values, since, until)
            if unit:
                return unit
    return unit_of(each.name)


def _unit_of_target(
    target: str,
    times: Times,
    features: Mapping[str, ColumnGuess],
    units: Mapping[str, str],
    known: KnownAfterwards,
    strengths: Mapping[str, float],
) -> tuple[str, str]:
    """Return the target's unit, and the number feature that it follows one to one, if any."""
    less = ""
    for name in sorted(strengths, key=lambda n: -strengths[n]):
        each = features[name]
        given = np.isfinite(known.target) & (
            np.isfinite(each.values) if each.kind == "number" else False
        )
        if strengths[name] < 0.5 or each.kind != "number" or given.sum() < 10:
            continue
        slope = float(np.polyfit(each.values[given], known.target[given], 1)[0])
        if 0.75 <= slope <= 1.25:
            less = name
            break
    return times.unit or unit_of(target) or (units[less] if less else ""), less


def _calendar(moments: Any) -> list[str]:
    given = moments[~np.isnat(moments)]
    dates = bool((given == given.astype("datetime64[D]")).all())
    parts = ["weekday"] if dates else ["minute_of_day", "weekday"]
    days = (given.max() - given.min()) / np.timedelta64(1, "D") if len(given) else 0
    return [*parts, "day_of_year"] if days > 2 * 365 else parts


def _feature(each: ColumnGuess, unit: str) -> dict[str, Any]:
    return {
        "type": each.kind,
        **({"unit": unit} if unit else {}),
        **({"optional": True} if each.missing > _OPTIONAL else {}),
    }


def name_of(location: str) -> str:
    """Return a name for the table that lies at a location."""
    stem = location.replace("{month}", "").rstrip("/").rpartition("/")[2].partition(".")[0]
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return name if name[:1].isalpha() else f"table_{name}".rstrip("_")
