"""Everything that is guessed about a table, as a definition with a reason for each guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from mlops.datasets.checking.leakage import KnownAfterwards, power_alone
from mlops.datasets.guessing.columns import ColumnGuess, refined
from mlops.datasets.guessing.explaining import comments, report
from mlops.datasets.guessing.extras import (
    floors,
    histories,
    plain_name,
    rules,
    slices,
    split,
    unit_of,
)
from mlops.datasets.guessing.keys import guess_key
from mlops.datasets.guessing.request import UTC, Request, columns_for
from mlops.datasets.guessing.roles import (
    Times,
    difference_unit,
    guess_times,
    unknown_in_advance,
)
from mlops.datasets.guessing.sampling import TableSample
from mlops.errors import ConfigurationError

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
        ConfigurationError: If something that a person has said cannot be, or no column is left.
    """
    zone = request.zone or sample.zone or UTC
    target = request.target
    columns = columns_for(sample, request)
    y = columns[target].values
    columns = {n: each if n == target else refined(each, y) for n, each in columns.items()}
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
    division = split(columns, usable, times)
    groups = division.get("group", [])
    features = {
        n: each
        for n, each in usable.items()
        if n not in (*roles, *groups) and n not in reasons and not each.identifier
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
    units |= {n: "%" for n in sample.percents if n in features and features[n].kind == "number"}
    plain = {n: strength for n, strength in strengths.items() if n not in doubts}
    unit, less = _unit_of_target(target, times, features, units, known, plain)
    unit = "%" if target in sample.percents else unit

    content: dict[str, Any] = {
        "name": request.name or name_of(sample.location),
        "title": request.title or f"What is {target}?",
        "source": {
            "location": sample.location,
            **({"partition": "month"} if sample.months else {}),
            **({"decimal": ","} if sample.decimal == "," else {}),
            **({"missing": [*sample.missing]} if sample.missing else {}),
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
    context = [n for n in dict.fromkeys((*key, *groups)) if n not in (*content["features"], *roles)]
    if context:
        content["context"] = {n: columns[n].kind for n in context}
    extras = {
        "histories": histories(features, times, known, less, columns, target),
        "split": division,
        "rules": rules(target, columns, features, strengths, times),
        "slices": slices(features, times, columns, strengths),
        "floors": floors(y),
    }
    content |= {name: values for name, values in extras.items() if values}
    rows = report(columns, sample.left_out, roles, content, left_out, times, strengths, doubts)
    notes = comments(content, request, times, key_note, features, columns, less, sample.zone)
    if sample.missing:
        notes[("source",)] = "the texts under missing stand among numbers, as if nothing was known"
    notes |= {("features", name): doubt for name, doubt in doubts.items()}
    return Proposal(content, notes, left_out, rows)


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
    return plain_name(stem, "table")
