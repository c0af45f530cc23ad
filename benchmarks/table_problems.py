"""Tables of three shapes, ready for every contestant of `benchmarks.tables`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measuring import REPOSITORY
from mlops.datasets.declared.histories import DatasetHistory
from mlops.datasets.declared.reading import read_table
from mlops.datasets.declared.rules import broken_rules, rules_of
from mlops.datasets.declared.splitting import split_rows
from mlops.datasets.definition import DatasetDefinition
from mlops.datasets.loading import load_definition, parse_definition
from mlops.errors import SourceError

FLIGHTS = REPOSITORY / "datasets" / "flights"
TRAIN_MONTHS = [f"2013-{month:02d}" for month in range(1, 6)]
TEST_MONTH = "2013-06"
_SEED = 1
Mask = np.ndarray[Any, np.dtype[np.bool_]]

DIABETES = """
name: diabetes
title: How far has the disease progressed a year later?
source: {location: diabetes.csv}
task: {target: progression}
features: {age: number, sex: category, bmi: number, bp: number, s1: number, s2: number, s3: number,
           s4: number, s5: number, s6: number}
split: {by: random, validation: 0.15, test: 0.25}
"""
HOUSES = """
name: houses
title: What does a house cost?
source: {location: houses.csv}
task: {target: price, unit: thousand}
key: [house]
features: {latitude: number, longitude: number, income: number, rooms: number, age: number,
           district: category, heating: {type: category, optional: true}, garden: flag}
split: {by: random, validation: 0.15, test: 0.25}
"""


@dataclass(frozen=True)
class Problem:
    """A table, ready for every contestant.

    Attributes:
        definition: Of the dataset.
        learning: Rows to learn from, with histories as of each day, in order of time.
        validation: Mask over these: rows on which the search judges.
        judging: Rows of the test, with histories as of each day.
    """

    definition: DatasetDefinition
    learning: pd.DataFrame
    validation: Mask
    judging: pd.DataFrame

    @property
    def target(self) -> str:
        """Name of the column that is predicted."""
        return self.definition.task.target


def flights_folder() -> Path:
    """Return the folder of the months of flights.

    Raises:
        SourceError: If it is missing.
    """
    folder = (
        Path(os.environ.get("MLOPS_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / "flights"
    )
    if not folder.is_dir():
        raise SourceError(f"{folder}: missing", "give the folder of the months of flights")
    return folder


def flights(folder: Path) -> Problem:
    """Return the flights of five months, and those of the sixth with a known arrival."""
    location = str(folder / "flights_{month}.csv.gz")
    definition = load_definition(FLIGHTS).with_source(location)
    months = [read_table(definition, [month]) for month in (*TRAIN_MONTHS, TEST_MONTH)]
    rows = pd.concat(months, ignore_index=True)
    in_test = np.arange(len(rows)) >= len(rows) - len(months[-1])
    kept = ~_unusable(definition, rows)
    # Every flight of the test month with a known arrival is judged, whatever rule it breaks.
    known = rows[definition.task.target].notna().to_numpy()
    rows, in_test = rows[np.where(in_test, known, kept)], in_test[np.where(in_test, known, kept)]
    histories = DatasetHistory(definition).annotate(rows)
    rows = pd.concat([rows, histories], axis=1)
    learning = rows[~in_test].sort_values("departed_at", kind="stable")
    last = pd.Timestamp(f"{TEST_MONTH}-01") - pd.Timedelta(definition.split.validation.rest)
    validation = (learning["departed_at"] >= last).to_numpy()
    return Problem(definition, learning, validation, rows[in_test])


def generated(folder: Path) -> list[Problem]:
    """Return a small table of patients, and a larger one of invented houses."""
    from sklearn.datasets import load_diabetes

    patients = load_diabetes(as_frame=True, scaled=False).frame
    patients = patients.rename(columns={"target": "progression"})
    problems = []
    for text, rows in ((DIABETES, patients), (HOUSES, houses())):
        definition = parse_definition(text, "dataset.yaml")
        path = folder / definition.source.location
        rows.to_csv(path, index=False)
        definition = definition.with_source(str(path))
        table = read_table(definition)
        table = table[~_unusable(definition, table)]
        train, validation, test = split_rows(definition, table)
        learning = table[train | validation]
        problems.append(Problem(definition, learning, validation[train | validation], table[test]))
    return problems


def houses(rows: int = 20_000) -> pd.DataFrame:
    """Invent houses: prices depend on place, income and district, with gaps and rare districts."""
    rng = np.random.default_rng(_SEED)
    latitude, longitude = rng.uniform(32, 42, rows), rng.uniform(-124, -114, rows)
    district = np.minimum(rng.zipf(1.4, rows), 400)
    worth = rng.normal(0, 25, 401)[district]
    income, room = rng.gamma(4, 1, rows), rng.integers(1, 9, rows)
    age = np.where(rng.random(rows) < 0.1, np.nan, rng.uniform(0, 90, rows))
    heating = rng.choice(np.array(["gas", "oil", "pump", None], dtype=object), rows)
    coast = np.exp(-np.abs(longitude + 124 - (42 - latitude) * 0.8))
    price = 60 * income + 120 * coast * np.sqrt(income) + 8 * room * (income > 4) + worth
    price += np.where(heating == "pump", 30, 0) - np.where(np.isnan(age), -15, 0.6 * age)
    return pd.DataFrame(
        {
            **{"house": np.arange(rows), "latitude": latitude, "longitude": longitude},
            **{"income": income, "rooms": room, "age": age, "heating": heating},
            "district": [f"D{number}" for number in district],
            "garden": rng.random(rows) < 0.5,
            "price": price * rng.lognormal(0, 0.15, rows),
        }
    )


def _unusable(definition: DatasetDefinition, rows: pd.DataFrame) -> Mask:
    serious = [rule for rule in rules_of(definition) if rule.action == "quarantine"]
    unusable = np.zeros(len(rows), dtype=bool)
    for mask in broken_rules(serious, rows).values():
        unusable |= mask
    return unusable
