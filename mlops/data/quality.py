"""What holding months of any table to a data contract finds, and when it refuses a batch.

Each finished month is staged with the count of its rows, so that a retry continues where the last
run stopped. What a rule is, the caller knows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel

from mlops import progress
from mlops.counting import counted
from mlops.data.months import month_bounds
from mlops.data.references import QualityReport, RuleCount, SourceFile
from mlops.errors import DataQualityError
from mlops.records.atomic import atomic_file
from mlops.records.digests import find_changed, sha256_of
from mlops.records.files import find_or_report, write_record
from mlops.records.parquet import write_table
from mlops.settings import ValidationSettings

Mask = npt.NDArray[np.bool_]

# Columns of what is set aside.
REASONS: Final = "reasons"
SOURCE: Final = "source_file"
_ANY_TIME: Final = "all"  # names what is staged of a table without months


class MonthCount(BaseModel):
    """What validating one month found; its file marks the month as finished."""

    read: int
    kept: int
    days_covered: float  # share of the month's days with a kept row; 1 without a month
    broken: dict[str, int]  # rule → rows
    files: dict[str, str]  # staged with it, by place: SHA-256


class RuleInForce(NamedTuple):
    """A rule as a report names it."""

    name: str
    action: Literal["quarantine", "flag"]
    meaning: str


def finished(folder: Path, month: str) -> MonthCount | None:
    """Return what was found in a month that is staged whole in this folder."""
    count = find_or_report(_count_file(folder, month), MonthCount, "the month is validated again")
    changed = find_changed(folder, count.files) if count else None
    if changed is None:
        return count
    progress.report(f"{changed} was changed or damaged; {month} is validated again")
    return None


def stage_month(
    rows: pd.DataFrame,
    broken: Mapping[str, Mask],
    rejecting: Collection[str],
    files: Sequence[tuple[SourceFile, int]],
    order: Sequence[str],
    folder: Path,
    month: str,
) -> MonthCount:
    """Stage the rows of a month that are kept, and those set aside with their reasons.

    Args:
        rows: Of all files of the month, one after the other.
        broken: Rows that break each rule.
        rejecting: Names of the rules that set rows aside.
        files: The files, and how many of the rows are of each.
        order: All columns by which rows are sorted, so that the order of the input is forgotten;
            the first one is the time of the event, if there is one.
        folder: Made by a key of all inputs.
        month: ``YYYY-MM``; empty for rows of any time.
    """
    reasons = {name: mask for name, mask in broken.items() if name in rejecting}
    bad = np.logical_or.reduce([np.zeros(len(rows), bool), *reasons.values()])
    kept = rows[~bad] if bad.any() else rows
    clean, set_aside = clean_file(folder, month), folder / "quarantine" / f"{_named(month)}.parquet"
    set_aside.unlink(missing_ok=True)
    if bad.any():
        names = np.repeat([file.name for file, _ in files], [count for _, count in files])
        extra = {REASONS: reasons_of(reasons, bad), SOURCE: names[bad]}
        _write(rows[bad].assign(**extra), order, set_aside)
    _write(kept, order, clean)
    count = MonthCount(
        read=len(rows),
        kept=len(kept),
        days_covered=_days_covered(kept[order[0]], month) if month else 1.0,
        broken={name: int(mask.sum()) for name, mask in broken.items()},
        files={
            str(file.relative_to(folder)): sha256_of(file)
            for file in (clean, set_aside)
            if file.exists()
        },
    )
    write_record(_count_file(folder, month), count)
    progress.report("validated", month=_named(month), kept=count.kept, read=count.read)
    return count


def clean_file(folder: Path, month: str) -> Path:
    """Return where the kept rows of a month are staged."""
    return folder / "clean" / f"{_named(month)}.parquet"


def reasons_of(broken: Mapping[str, Mask], rows: Mask) -> list[str]:
    """Return, for each selected row, the names of the rules it breaks, joined by ``; ``."""
    names = list(broken)
    if not names:
        return [""] * int(rows.sum())
    bits = np.left_shift(1, np.arange(len(names)))
    codes = sum(bit * broken[name][rows] for bit, name in zip(bits, names, strict=True))
    kinds, which = np.unique(np.asarray(codes), return_inverse=True)
    texts = ["; ".join(n for b, n in zip(bits, names, strict=True) if kind & b) for kind in kinds]
    return [texts[index] for index in which]


def report_of(
    counts: Mapping[str, MonthCount], rules: Sequence[RuleInForce], folder: Path
) -> QualityReport:
    """Sum up what was found in all months, which are staged in this folder."""
    read = sum(count.read for count in counts.values())
    kept = sum(count.kept for count in counts.values())
    rows = {rule.name: sum(c.broken.get(rule.name, 0) for c in counts.values()) for rule in rules}
    return QualityReport(
        rows_read=read,
        rows_kept=kept,
        rows_quarantined=read - kept,
        bad_share=(read - kept) / max(read, 1),
        rules=tuple(
            RuleCount(
                rule=rule.name,
                action=rule.action,
                rows=rows[rule.name],
                share=rows[rule.name] / max(read, 1),
                meaning=rule.meaning,
            )
            for rule in rules
        ),
        quarantine_uri=str(folder / "quarantine") if kept < read else None,
    )


def refuse_bad_batch(
    counts: Mapping[str, MonthCount],
    quality: QualityReport,
    limits: ValidationSettings,
    rows: str = "rows",
    unlabelled: str = "",
) -> None:
    """Refuse a batch that breaks a limit on volume, coverage or bad rows.

    Args:
        counts: By month.
        quality: Of all.
        limits: In force.
        rows: What a row is, in the plural.
        unlabelled: Name of the rule that rows without a target break, if there is one. They are set
            aside, but not bad: the outcome of many rows is not known yet.

    Raises:
        DataQualityError: If so; its message holds a table of the rules.
    """
    problems = [
        f"{_named(month)}: {counted(count.kept, 'row')} kept, fewer than"
        f" min_rows = {limits.min_rows:,}"
        for month, count in counts.items()
        if count.kept < limits.min_rows
    ]
    problems += [
        f"{month}: {count.days_covered:.0%} of the days have {rows}, fewer than"
        f" min_days_covered = {limits.min_days_covered:.0%}"
        for month, count in counts.items()
        if count.days_covered < limits.min_days_covered
    ]
    waiting = sum(rule.rows for rule in quality.rules if rule.rule == unlabelled)
    bad_share = (quality.rows_quarantined - waiting) / max(quality.rows_read - waiting, 1)
    if bad_share > limits.max_bad_share:
        with_target = " with a target" if waiting else ""
        problems.append(
            f"{bad_share:.1%} of the rows{with_target} are bad, more than"
            f" max_bad_share = {limits.max_bad_share:.1%}"
        )
    if problems:
        raise DataQualityError(
            "the batch breaks the data contract; nothing was published\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + f"\n{quality_table(quality)}",
            "check the rows"
            + (f" in {quality.quarantine_uri}" if quality.quarantine_uri else " of the source")
            + "; fix the source, or change a limit that is wrong: --set validation.NAME=VALUE",
        )


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


def _named(month: str) -> str:
    return month or _ANY_TIME


def _count_file(folder: Path, month: str) -> Path:
    return folder / "counts" / f"{_named(month)}.json"


def _write(rows: pd.DataFrame, order: Sequence[str], target: Path) -> None:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    for place, field in enumerate(table.schema):
        if pa.types.is_null(field.type):  # texts of which every one is missing
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    table = table.sort_by([(name, "ascending") for name in order])
    with atomic_file(target) as path:
        write_table(table, path, compression="lz4")


def _days_covered(events: pd.Series[Any], month: str) -> float:
    start, end = month_bounds(month)
    inside = events[(events >= start) & (events < end)]
    return int(inside.dt.day.nunique()) / (end - start).days
