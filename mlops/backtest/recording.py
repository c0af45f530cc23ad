"""From a source of trips to a recorded history: what was requested, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from mlops import progress
from mlops.backtest.history import ANSWERABLE, LEARNABLE, History
from mlops.data.references import Extraction
from mlops.datasets.taxi.clock import minutes_between
from mlops.datasets.taxi.contract.rules import rules_in_force
from mlops.datasets.taxi.contract.schema import broken_rules, trip_schema
from mlops.datasets.taxi.contract.validation import validate
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sources import extract
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TARGET
from mlops.errors import ConfigurationError
from mlops.settings import Settings, ValidationSettings

_OF_FILES = "pickup_outside_month"  # a rule on files: a stray trip was requested at another time


def record(settings: Settings, months: Sequence[str]) -> History:
    """Record the months of the configured source.

    Args:
        settings: The source, the data contract and the delay of labels.
        months: As ``YYYY-MM``.

    Raises:
        ConfigurationError: If `settings.source` gives other months than those asked for.
        DataQualityError: If a month breaks the data contract as a whole: no pipeline would have
            learned from it.
        SourceError: If a month is missing or cannot be read.
    """
    extraction = _extract(settings, months)
    validate(extraction, settings)
    parts = [_month(extraction, month, settings.validation) for month in extraction.months]
    trips = pd.concat(parts, ignore_index=True)
    progress.report("recorded", months=len(parts), trips=len(trips))
    return History(trips, timedelta(hours=settings.backtest.label_delay_hours))


def _extract(settings: Settings, months: Sequence[str]) -> Extraction:
    """Extract all months at once, but let each month from ``drift_from`` on drift by itself."""
    start = settings.backtest.drift_from or "9999-12"
    before = [month for month in months if month < start]
    groups = [([",".join(before)] if before else []), [m for m in months if m >= start]]
    extractions = []
    for steady, texts in zip((True, False), groups, strict=True):
        for text in texts:
            changes: dict[str, object] = {"months": text}
            if steady and len(groups[1]):
                changes["sample_drift"] = 0.0
            source = settings.source.model_copy(update=changes)
            extractions.append(extract(settings.model_copy(update={"source": source})))
    files = tuple(file for extraction in extractions for file in extraction.files)
    found = extractions[0].model_copy(update={"files": files})
    if missing := sorted(set(months) - set(found.months)):
        raise ConfigurationError(
            f"source.location has no trips of {', '.join(missing)}",
            f"add their files, or replay other months: there are {', '.join(found.months)}",
        )
    kept = tuple(file for file in files if file.month in set(months))
    return found.model_copy(update={"files": kept})


def _month(extraction: Extraction, month: str, limits: ValidationSettings) -> pd.DataFrame:
    files = sorted((f for f in extraction.files if f.month == month), key=lambda f: f.sha256)
    trips = pd.concat(
        [read_trips(f.uri, extraction.taxi, clock=limits.clock) for f in files], ignore_index=True
    )
    trips[TARGET] = minutes_between(trips[PICKUP_AT], trips[DROPOFF_AT])
    rules = rules_in_force(limits)
    broken = broken_rules(trips, trip_schema(rules, limits, month))
    refused = np.zeros(len(trips), dtype=bool)
    unclean = refused.copy()
    for name, mask in broken.items():
        if rules[name].action == "quarantine":
            unclean |= mask
            if rules[name].at_pickup or name == _OF_FILES:
                refused |= mask
    return trips.assign(**{ANSWERABLE: ~refused, LEARNABLE: ~unclean})
