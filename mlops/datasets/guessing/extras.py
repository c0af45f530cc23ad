"""What a definition may say beyond roles: histories, split, rules, slices, floors and units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from unicodedata import normalize

import numpy as np
import pandas as pd

from mlops.datasets.checking.leakage import KnownAfterwards, power_alone
from mlops.datasets.guessing.ageing import half_lives
from mlops.datasets.guessing.columns import ColumnGuess, words_of
from mlops.datasets.guessing.roles import Times

_GAIN: Final = 0.002  # R² that a group must explain to be worth a history
_ROWS_PER_GROUP: Final = 20
_HISTORIES: Final = 3  # of single columns
_RULES: Final = 8
_SLICES: Final = 3
_MOST_SLICES: Final = 20  # values of a category whose errors a person still looks at
_TESTED_ROWS: Final = 2_000  # enough to judge by, or else a tenth of all
_MONTHS: Final = 90  # days from which on a month can be spared for the test
_ENTITY: Final = re.compile(
    r"(?:^|_)(?:id|user|customer|client|patient|driver|device|account)", re.I
)
_LEVELS: Final = 40  # whole numbers up to which they are levels, such as hours, with exact limits
_TAIL: Final = 0.001
_DAY: Final = np.timedelta64(1, "D")
_UNITS: Final = (
    (r"(?:^|_)(?:min|mins|minutes)$", "minutes"),
    (r"(?:^|_)(?:s|sec|secs|seconds)$", "seconds"),
    (r"(?:^|_)(?:ms|millis|milliseconds)$", "ms"),
    (r"(?:^|_)(?:h|hrs|hours)$", "hours"),
    (r"(?:^|_)days$", "days"),
    (r"(?:^|_)(?:mi|miles)$", "miles"),
    (r"(?:^|_)km$", "km"),
    (r"(?:^|_)(?:m2|sqm)$", "m²"),
    (r"(?:^|_)sq_?ft$", "ft²"),
    (r"(?:^|_)(?:kg|kilos)$", "kg"),
    (r"(?:^|_)(?:eur|euro|euros)$", "EUR"),
    (r"(?:^|_)(?:usd|dollars)$", "USD"),
    (r"(?:^|_)(?:pct|percent)$", "%"),
    (r"(?:^|_)celsius$", "°C"),
    (r"(?:^|_)fahrenheit$", "°F"),
    (r"(?:^|_)kwh$", "kWh"),
    (r"(?:^|_)kw$", "kW"),
    (r"%$", "%"),
)


def unit_of(name: str) -> str:
    """Return the unit that a column's name ends with, if any."""
    if bracketed := re.search(r"[(\[]\s*([^()\[\]]{1,12}?)\s*[)\]]\s*$", name):
        return bracketed[1]
    return next((unit for pattern, unit in _UNITS if re.search(pattern, name, re.I)), "")


def histories(
    features: Mapping[str, ColumnGuess],
    times: Times,
    known: KnownAfterwards,
    less: str,
    columns: Mapping[str, ColumnGuess],
    target_name: str,
) -> dict[str, Any]:
    """Propose histories by the categories, alone and in pairs, that explain the target.

    Args:
        features: By name.
        times: Without an event there is no past.
        known: The target.
        less: Number feature that the target follows one to one; empty: none.
        columns: Every column, by name.
        target_name: Of the target.
    """
    if not times.event:
        return {}
    target = known.target - features[less].values if less else known.target
    rows = np.isfinite(target)
    if rows.sum() < 10 * _ROWS_PER_GROUP:
        return {}
    given = KnownAfterwards(target[rows])
    candidates = {n: each for n, each in features.items() if each.kind == "category"}
    gains = {
        name: power_alone(each.values[rows], given)
        for name, each in candidates.items()
        if each.distinct * 2 <= rows.sum()
    }
    best = sorted((n for n in gains if gains[n] >= _GAIN), key=lambda n: -gains[n])[:_HISTORIES]
    proposed: dict[str, Any] = {plain_name(name): {"by": [name]} for name in best}
    pair = _best_pair(best, candidates, rows, given, gains)
    if pair:
        prior = max(pair, key=lambda n: gains[n])
        proposed["_".join(map(plain_name, pair))] = {"by": [*pair], "prior": [prior]}
    if less:
        proposed = {name: {**history, "less": less} for name, history in proposed.items()}
    lives = half_lives(proposed, columns, times, target_name, less) if proposed else {}
    return {
        name: {
            **history,
            **({"half_life": lives[name]} if name in lives else {}),
            "statistics": ["mean", "count"],
        }
        for name, history in proposed.items()
    }


def _best_pair(
    best: list[str],
    candidates: Mapping[str, ColumnGuess],
    rows: Any,
    given: KnownAfterwards,
    gains: Mapping[str, float],
) -> tuple[str, str] | None:
    """Return the pair of categories that explains more than each of the two, if any."""
    found: tuple[float, tuple[str, str]] | None = None
    for position, left in enumerate(best):
        for right in [n for n in candidates if n in gains and n not in best[: position + 1]]:
            pair = _joined(candidates[left].values[rows], candidates[right].values[rows])
            codes, _ = pd.factorize(pair)
            if np.median(np.bincount(codes)[codes]) < _ROWS_PER_GROUP:
                continue
            gain = power_alone(pair, given)
            if gain > max(gains[left], gains[right]) + _GAIN and (not found or gain > found[0]):
                found = gain, (left, right)
    return found[1] if found else None


def _joined(left: Any, right: Any) -> Any:
    """Return the group of each row as a text."""
    codes = pd.factorize(left, use_na_sentinel=False)[0] * (len(pd.unique(right)) + 1)
    return (codes + pd.factorize(right, use_na_sentinel=False)[0]).astype(str).astype(object)


def split(
    columns: Mapping[str, ColumnGuess], usable: Mapping[str, ColumnGuess], times: Times
) -> dict[str, Any]:
    """Propose a split: by time if there is one, else by the entity that repeats, else random."""
    if times.event:
        moments = columns[times.event].values
        moments = moments[~np.isnat(moments)]
        first, last = np.quantile(moments.astype(np.int64), [0.001, 0.999]).astype("datetime64[us]")
        days = int((last - first) / _DAY) + 1
        in_last_month = int((moments > last - 30 * _DAY).sum())
        if days >= _MONTHS and in_last_month >= min(_TESTED_ROWS, len(moments) / 10):
            return {"by": "time", "validation": "14d", "test": "1 month"}
        if days >= 5:
            tested = max(1, days // 5)
            return {"by": "time", "validation": f"{max(1, tested // 2)}d", "test": f"{tested}d"}
        return {"by": "random", "validation": 0.2, "test": 0.2}
    for name, each in usable.items():
        rows = len(each.values)
        repeats = each.kind == "category" and 10 <= each.distinct <= rows / 2 and not each.missing
        if repeats and _ENTITY.search(words_of(name)):
            return {"by": "group", "group": [name], "validation": 0.2, "test": 0.2}
    return {"by": "random", "validation": 0.2, "test": 0.2}


def rules(
    target: str,
    columns: Mapping[str, ColumnGuess],
    features: Mapping[str, ColumnGuess],
    strengths: Mapping[str, float],
    times: Times,
) -> list[dict[str, Any]]:
    """Propose limits far outside of what was seen; only what cannot be is set aside."""
    strongest = sorted(
        (n for n in strengths if features[n].kind == "number"), key=lambda n: -strengths[n]
    )
    proposed: list[dict[str, Any]] = []
    for name in [target, *strongest[: _RULES - 1]]:
        values = columns[name].values
        values = values[np.isfinite(values)]
        distinct = np.unique(values)
        if len(distinct) < 3:
            continue
        low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
        reach = 2 * (high - low)
        least = 0.0 if values.min() >= 0 else _rounded(min(low - reach, values.min()))
        most = _rounded(max(high + reach, values.max() if len(values) < 1_000 else high))
        if len(distinct) <= _LEVELS and (distinct % 1 == 0).all():
            least, most = float(distinct[0]), float(distinct[-1])
        proposed.append(
            {
                "name": f"{plain_name(name)}_plausible",
                "column": name,
                "between": [least, most],
                "otherwise": "flag",
            }
        )
    if times.unit:  # the target is the time between event and outcome
        impossible = {
            "name": f"{plain_name(target)}_negative",
            "column": target,
            "between": [0, None],
        }
        proposed.insert(0, {**impossible, "otherwise": "quarantine"})
    return [*{rule["name"]: rule for rule in reversed(proposed)}.values()][::-1]


def _rounded(value: float) -> float:
    """Return a number with two digits, away from zero: a limit need not be exact."""
    if value == 0 or not np.isfinite(value):
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(abs(value))) - 1)
    return float(f"{np.sign(value) * np.ceil(abs(value) / unit) * unit:.12g}")


def slices(
    features: Mapping[str, ColumnGuess],
    times: Times,
    columns: Mapping[str, ColumnGuess],
    strengths: Mapping[str, float],
) -> dict[str, Any]:
    """Propose groups whose errors are compared: few categories, part of the day, quarters."""
    few = [
        n
        for n, each in features.items()
        if each.kind in ("category", "flag") and 2 <= each.distinct <= _MOST_SLICES
    ]
    few.sort(key=lambda n: -strengths.get(n, 0))
    proposed: dict[str, Any] = {name: name for name in few[:_SLICES]}
    if times.event:
        moments = columns[times.event].values
        moments = moments[~np.isnat(moments)]
        if (moments != moments.astype("datetime64[D]")).any():
            proposed["part of day"] = {"hours_of": times.event}
        else:
            proposed["weekday"] = {"weekday_of": times.event}
    numbers = [n for n in strengths if features[n].kind == "number" and features[n].distinct >= 20]
    if numbers:
        strongest = max(numbers, key=lambda n: strengths[n])
        proposed[f"quarter of {strongest}"] = {"quantiles_of": strongest}
    return proposed


def floors(target: Any) -> dict[str, float]:
    """Propose the error of predicting the mean as the largest with which a model may pass."""
    spread = float(np.nanstd(target))
    return {"rmse": float(f"{spread:.3g}")} if spread > 0 else {}


def plain_name(text: str, kind: str = "column") -> str:
    """Return small letters, digits and ``_`` for a text, ``kind`` before what begins otherwise."""
    plain = normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return name if name[:1].isalpha() else f"{kind}_{name}".rstrip("_")
