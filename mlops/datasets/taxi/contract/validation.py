"""Hold a batch of months to the data contract: keep, set aside with reasons, or refuse it whole.

One month is in memory at a time. Each finished month is staged under a key made of the source
files, the limits and the code with its rules, so that a retry continues where it stopped and
nothing stale is ever taken for fresh. The files are those that lie there now: who mends one after
it was extracted continues with the corrected one, under its own key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mlops import fingerprints, progress
from mlops.data.files.described import as_it_lies_there, require_unchanged
from mlops.data.quality import (
    REASONS,
    MonthCount,
    RuleInForce,
    clean_file,
    finished,
    reasons_of,
    refuse_bad_batch,
    report_of,
    stage_month,
)
from mlops.data.references import Extraction, SourceFile, TripPart, ValidatedTrips
from mlops.datasets.taxi.clock import minutes_between
from mlops.datasets.taxi.contract.rules import Rule, meaning_of, rules_in_force
from mlops.datasets.taxi.contract.schema import (
    broken_by_requests,
    broken_rules,
    trip_schema,
)
from mlops.datasets.taxi.files.reading import (
    check_trip_file,
    missing_columns,
    pickups_have_zone,
    read_trips,
)
from mlops.datasets.taxi.files.stamps import contradiction
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TARGET, TRIP_COLUMNS, TRIP_TYPE
from mlops.errors import DataQualityError, SourceError
from mlops.settings import Settings, ValidationSettings


def validate(extraction: Extraction, settings: Settings) -> ValidatedTrips:
    """Validate every month of an extraction and stage the trips kept.

    Args:
        extraction: The source files.
        settings: `settings.validation` holds the limits and what to do about each rule.

    Returns:
        The extraction as it was validated: with the hashes of the bytes that were read. And one
        part per month in canonical columns plus the target, sorted by all columns beginning
        with the pickup time, and the quality report. Rows set aside lie beside the parts, one file
        per month, with the rules they break and the file they come from.

    Raises:
        ConfigurationError: If an action names an unknown rule.
        DataQualityError: If a file has the wrong schema, or the batch breaks a limit on volume,
            coverage or bad rows; its message holds a table of the rules.
        SourceError: If a file cannot be read, or changes meanwhile.
    """
    count = partial(check_trip_file, taxi=extraction.taxi)
    files = tuple(as_it_lies_there(file, count) for file in extraction.files)
    extraction = extraction.model_copy(update={"files": files})
    limits = settings.validation
    rules = rules_in_force(limits)
    folder = settings.staging / f"validated-{_key(extraction, limits)[:16]}"
    counts: dict[str, MonthCount] = {}
    for month in extraction.months:
        of_month = sorted((file for file in files if file.month == month), key=lambda f: f.sha256)
        try:
            counts[month] = finished(folder, month) or _validate_month(
                month, of_month, extraction.taxi, rules, limits, folder
            )
        except MemoryError as error:
            rows = sum(file.rows for file in of_month)
            raise SourceError(
                f"{', '.join(f.name for f in of_month)}: {rows:,} trips do not fit into memory",
                "a month is held in memory: use a machine with more of it, or fewer trips",
            ) from error
    quality = report_of(counts, _in_words(rules, limits), folder)
    refuse_bad_batch(counts, quality, limits, "trips")
    parts = tuple(
        TripPart(month=month, uri=str(clean_file(folder, month)), rows=count.kept)
        for month, count in counts.items()
    )
    return ValidatedTrips(extraction=extraction, quality=quality, parts=parts)


def split_requests(requests: pd.DataFrame, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separate requests that can be answered from those that cannot.

    Args:
        requests: At least the columns of `REQUEST_COLUMNS`; others are carried along.
        settings: The same limits and actions as for history.

    Returns:
        The good rows, and the bad rows with a column `reasons` (rule names joined by ``; ``). Both
        keep the index of ``requests``.

    Raises:
        DataQualityError: If a column is missing or has the wrong type.
    """
    rules = rules_in_force(settings.validation, at_pickup=True)
    rejecting = {name: rule for name, rule in rules.items() if rule.action == "quarantine"}
    broken = broken_by_requests(requests, rejecting, settings.validation)
    if not broken:
        return requests, requests.iloc[:0].assign(**{REASONS: pd.Series(dtype=object)})
    bad = np.logical_or.reduce(list(broken.values()))
    return requests[~bad], requests[bad].assign(**{REASONS: reasons_of(broken, bad)})


def _in_words(rules: Mapping[str, Rule], limits: ValidationSettings) -> list[RuleInForce]:
    return [
        RuleInForce(
            name, "flag" if rule.action == "flag" else "quarantine", meaning_of(rule, limits)
        )
        for name, rule in rules.items()
    ]


def _key(extraction: Extraction, limits: ValidationSettings) -> str:
    return fingerprints.of_values(
        fingerprints.of_code("data", "datasets/taxi"),
        extraction.taxi,
        # The names are written beside the rows set aside.
        sorted((file.month, file.sha256, file.name) for file in extraction.files),
        limits.model_dump(mode="json"),
    )


def _validate_month(
    month: str,
    files: Sequence[SourceFile],
    taxi: str,
    rules: Mapping[str, Rule],
    limits: ValidationSettings,
    folder: Path,
) -> MonthCount:
    frames = [_read(file, taxi, limits) for file in files]
    require_unchanged(files)
    trips = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    trips[TARGET] = minutes_between(trips[PICKUP_AT], trips[DROPOFF_AT])
    broken = broken_rules(trips, trip_schema(rules, limits, month))
    rejecting = {name for name in broken if rules[name].action == "quarantine"}
    lengths = [(file, len(frame)) for file, frame in zip(files, frames, strict=True)]
    return stage_month(trips, broken, rejecting, lengths, [*TRIP_COLUMNS], folder, month)


def _read(file: SourceFile, taxi: str, limits: ValidationSettings) -> pd.DataFrame:
    """Read a file of a month, unless its times contradict the way in which they are read."""
    trips = read_trips(file.uri, taxi, clock=limits.clock)
    lacking = [name for name in missing_columns(file.uri, taxi) if name != TRIP_TYPE]
    if lacking:
        progress.report(f"{file.name} has no {', '.join(lacking)}: these values count as missing")
    if limits.clock == "auto":
        zoned = pickups_have_zone(file.uri, taxi)
        if problem := contradiction(trips[PICKUP_AT], zoned, file.month):
            instead, kept = ("new_york", "utc") if zoned else ("utc", "new_york")
            raise DataQualityError(
                f"{file.name}: {problem}",
                f"if so, set validation.clock={instead}; if not, validation.clock={kept}"
                f" (--set validation.clock=…)",
            )
    return trips
