"""Hold a batch of months to the data contract: keep, set aside with reasons, or refuse it whole.

One month is in memory at a time. Each finished month is staged under a key made of the source
files, the limits and the code with its rules, so that a retry continues where it stopped and
nothing stale is ever taken for fresh. The files are those that lie there now: who mends one after
it was extracted continues with the corrected one, under its own key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel

from mlops import fingerprints, progress
from mlops.counting import counted
from mlops.data.months import month_bounds
from mlops.data.references import (
    Extraction,
    QualityReport,
    RuleCount,
    SourceFile,
    TripPart,
    ValidatedTrips,
)
from mlops.datasets.taxi.clock import minutes_between
from mlops.datasets.taxi.contract.rules import Rule, meaning_of, rules_in_force
from mlops.datasets.taxi.contract.schema import (
    broken_by_requests,
    broken_rules,
    reasons_of,
    trip_schema,
)
from mlops.datasets.taxi.files.reading import missing_columns, pickups_have_zone, read_trips
from mlops.datasets.taxi.files.stamps import contradiction
from mlops.datasets.taxi.sources import cache
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, TARGET, TRIP_COLUMNS, TRIP_TYPE
from mlops.errors import DataQualityError, SourceError
from mlops.records.atomic import atomic_file
from mlops.records.digests import find_changed, sha256_of
from mlops.records.files import find_or_report, write_record
from mlops.records.parquet import write_table
from mlops.settings import Settings, ValidationSettings

REASONS: Final = "reasons"
SOURCE: Final = "source_file"


class _MonthCount(BaseModel):
    """What validating one month found; its file marks the month as finished."""

    read: int
    kept: int
    days_covered: float  # share of the month's days with a kept trip
    broken: dict[str, int]  # rule → rows
    files: dict[str, str]  # staged with it, by place: SHA-256


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
    files = tuple(cache.as_it_lies_there(file, extraction.taxi) for file in extraction.files)
    extraction = extraction.model_copy(update={"files": files})
    limits = settings.validation
    rules = rules_in_force(limits)
    folder = settings.staging / f"validated-{_key(extraction, limits)[:16]}"
    counts: dict[str, _MonthCount] = {}
    for month in extraction.months:
        of_month = sorted((file for file in files if file.month == month), key=lambda f: f.sha256)
        try:
            counts[month] = _finished(folder, month) or _validate_month(
                month, of_month, extraction.taxi, rules, limits, folder
            )
        except MemoryError as error:
            rows = sum(file.rows for file in of_month)
            raise SourceError(
                f"{', '.join(f.name for f in of_month)}: {rows:,} trips do not fit into memory",
                "a month is held in memory: use a machine with more of it, or fewer trips",
            ) from error
    quality = _report(counts, rules, limits, folder)
    _refuse_bad_batch(counts, quality, limits)
    parts = tuple(
        TripPart(month=month, uri=str(_clean(folder, month)), rows=count.kept)
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


def quality_table(quality: QualityReport) -> str:
    """Lay a report out as an aligned table: rule, action, rows, share, meaning."""
    rows = [("rule", "action", "rows", "share", "meaning")] + [
        (c.rule, c.action, f"{c.rows:,}", f"{c.share:.2%}", c.meaning) for c in quality.rules
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        f"{rule:<{widths[0]}}  {action:<{widths[1]}}  {count:>{widths[2]}}  {share:>{widths[3]}}"
        f"  {meaning}"
        for rule, action, count, share, meaning in rows
    )


def _key(extraction: Extraction, limits: ValidationSettings) -> str:
    return fingerprints.of_values(
        fingerprints.of_code("data", "datasets/taxi"),
        extraction.taxi,
        # The names are written beside the rows set aside.
        sorted((file.month, file.sha256, file.name) for file in extraction.files),
        limits.model_dump(mode="json"),
    )


def _clean(folder: Path, month: str) -> Path:
    return folder / "clean" / f"{month}.parquet"


def _count_file(folder: Path, month: str) -> Path:
    return folder / "counts" / f"{month}.json"


def _finished(folder: Path, month: str) -> _MonthCount | None:
    count = find_or_report(_count_file(folder, month), _MonthCount, "the month is validated again")
    changed = find_changed(folder, count.files) if count else None
    if changed is None:
        return count
    progress.report(f"{changed} was changed or damaged; {month} is validated again")
    return None


def _validate_month(
    month: str,
    files: Sequence[SourceFile],
    taxi: str,
    rules: Mapping[str, Rule],
    limits: ValidationSettings,
    folder: Path,
) -> _MonthCount:
    frames = [_read(file, taxi, limits) for file in files]
    cache.require_unchanged(files)
    trips = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    trips[TARGET] = minutes_between(trips[PICKUP_AT], trips[DROPOFF_AT])
    broken = broken_rules(trips, trip_schema(rules, limits, month))
    rejecting = {n: mask for n, mask in broken.items() if rules[n].action == "quarantine"}
    bad = np.logical_or.reduce([np.zeros(len(trips), bool), *rejecting.values()])
    kept = trips[~bad] if bad.any() else trips
    clean, set_aside = _clean(folder, month), folder / "quarantine" / f"{month}.parquet"
    set_aside.unlink(missing_ok=True)
    if bad.any():
        names = np.repeat([file.name for file in files], [len(frame) for frame in frames])
        extra = {REASONS: reasons_of(rejecting, bad), SOURCE: names[bad]}
        _write(trips[bad].assign(**extra), set_aside)
    _write(kept, clean)
    count = _MonthCount(
        read=len(trips),
        kept=len(kept),
        days_covered=_days_covered(kept[PICKUP_AT], month),
        broken={name: int(mask.sum()) for name, mask in broken.items()},
        files={
            str(file.relative_to(folder)): sha256_of(file)
            for file in (clean, set_aside)
            if file.exists()
        },
    )
    write_record(_count_file(folder, month), count)
    progress.report("validated", month=month, kept=count.kept, read=count.read)
    return count


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


def _write(trips: pd.DataFrame, target: Path) -> None:
    """Write trips sorted by all canonical columns, so that the order of the input is forgotten."""
    table = pa.Table.from_pandas(trips, preserve_index=False)
    table = table.sort_by([(name, "ascending") for name in TRIP_COLUMNS])
    with atomic_file(target) as path:
        write_table(table, path, compression="lz4")


def _days_covered(pickups: pd.Series[Any], month: str) -> float:
    start, end = month_bounds(month)
    inside = pickups[(pickups >= start) & (pickups < end)]
    return int(inside.dt.day.nunique()) / (end - start).days


def _report(
    counts: Mapping[str, _MonthCount],
    rules: Mapping[str, Rule],
    limits: ValidationSettings,
    folder: Path,
) -> QualityReport:
    read = sum(count.read for count in counts.values())
    kept = sum(count.kept for count in counts.values())
    rows = {name: sum(c.broken.get(name, 0) for c in counts.values()) for name in rules}
    return QualityReport(
        rows_read=read,
        rows_kept=kept,
        rows_quarantined=read - kept,
        bad_share=(read - kept) / max(read, 1),
        rules=tuple(
            RuleCount(
                rule=name,
                action="flag" if rule.action == "flag" else "quarantine",
                rows=rows[name],
                share=rows[name] / max(read, 1),
                meaning=meaning_of(rule, limits),
            )
            for name, rule in rules.items()
        ),
        quarantine_uri=str(folder / "quarantine") if kept < read else None,
    )


def _refuse_bad_batch(
    counts: Mapping[str, _MonthCount], quality: QualityReport, limits: ValidationSettings
) -> None:
    problems = [
        f"{month}: {counted(count.kept, 'row')} kept, fewer than min_rows = {limits.min_rows:,}"
        for month, count in counts.items()
        if count.kept < limits.min_rows
    ]
    problems += [
        f"{month}: {count.days_covered:.0%} of the days have trips, fewer than"
        f" min_days_covered = {limits.min_days_covered:.0%}"
        for month, count in counts.items()
        if count.days_covered < limits.min_days_covered
    ]
    if quality.bad_share > limits.max_bad_share:
        problems.append(
            f"{quality.bad_share:.1%} of the rows are bad, more than"
            f" max_bad_share = {limits.max_bad_share:.1%}"
        )
    if problems:
        raise DataQualityError(
            "the batch breaks the data contract; nothing was published\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + f"\n{quality_table(quality)}",
            "check the rows"
            + (f" in {quality.quarantine_uri}" if quality.quarantine_uri else " of the source")
            + "; fix the source, or change validation.* if the limit is wrong",
        )
