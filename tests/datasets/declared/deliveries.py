"""A small table with every kind of column, and rows of it that hypothesis invents."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.loading import parse_definition

DELIVERIES = """
name: deliveries
title: How many minutes does a delivery take?
source: {location: "deliveries_{month}.csv", partition: month}
task: {target: minutes, unit: minutes}
time: {event: ordered_at, outcome: delivered_at, zone: Europe/Rome, label_delay: 6h,
       calendar: [minute_of_day, hour, part_of_day, weekday, day_of_month, day_of_year, month]}
key: [order]
features:
  weight: {type: number, unit: kg, optional: true}
  quoted: {type: number, unit: minutes}
  fragile: {type: flag, optional: true}
  city: category
  courier: {type: category, optional: true, unseen: missing}
  promised_at: {type: time, optional: true}
  ready_at: {type: time, optional: true, calendar: [hour]}
context:
  depot: category
histories:
  city_pace: {by: [city, courier], statistics: [mean, spread, count], prior: [city], smoothing: 3,
              half_life: 5d}
  hour_gain: {by: [city, ordered_at.part_of_day, fragile], of: minutes, less: quoted}
split: {validation: 2d, test: 2d}
rules:
  - {name: weight_wrong, column: weight, between: [0, 50], given: true}
  - {name: quoted_fraction, column: quoted, whole: true, between: [1, null], otherwise: flag}
  - {name: city_unknown, column: city, one_of: [Rome, Milan, 7]}
"""
START = datetime(2024, 2, 26)  # a leap day, and the clocks change four weeks later

_minutes = st.integers(0, 8 * 24 * 60)
_time = st.one_of(
    st.none(),
    st.builds(
        lambda m, s: START + timedelta(minutes=m, microseconds=s), _minutes, st.integers(0, 10**7)
    ),
)
_number = st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-3, 60).map(float))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "order": st.sampled_from([None, *"abcdefgh"]),
            "ordered_at": st.builds(lambda m: START + timedelta(minutes=m), _minutes),
            "lasts": st.one_of(st.none(), st.floats(1, 4_000)),
            "minutes": st.one_of(st.none(), st.floats(1, 500)),
            "weight": _number,
            "quoted": st.integers(1, 90).map(float),
            "fragile": st.sampled_from([None, True, False]),
            "city": st.sampled_from(["Rome", "Milan", "Turin", None]),
            "courier": st.sampled_from(["x", "y", None]),
            "promised_at": _time,
            "ready_at": _time,
            "depot": st.sampled_from(["north", None]),
        }
    ),
    max_size=40,
)


def deliveries(**changes: str) -> DatasetDefinition:
    """Return the definition, with sections of YAML in place of its own."""
    import yaml

    content = yaml.safe_load(DELIVERIES) | {k: yaml.safe_load(v) for k, v in changes.items()}
    return parse_definition(yaml.safe_dump(content), "deliveries.yaml")


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as they are read from files."""
    frame: dict[str, Any] = {}
    for name in ("order", "city", "courier", "depot"):
        frame[name] = np.array([row[name] for row in rows] + [None], dtype=object)[:-1]
    for name in ("minutes", "weight", "quoted", "fragile"):
        frame[name] = np.array([row[name] for row in rows], dtype=np.float64)
    for name in ("ordered_at", "promised_at", "ready_at"):
        frame[name] = np.array([row[name] for row in rows], dtype="datetime64[us]")
    lasts = [
        np.timedelta64("NaT") if r["lasts"] is None else np.timedelta64(int(r["lasts"]), "m")
        for r in rows
    ]
    frame["delivered_at"] = frame["ordered_at"] + np.array(lasts, dtype="timedelta64[us]")
    return pd.DataFrame(frame)
