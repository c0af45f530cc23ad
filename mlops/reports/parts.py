"""Parts that several reports have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from mlops.data.references import QualityReport, SourceFile, Window
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.registry.receipts import Receipt
from mlops.reports.document import Block, Cell, DocumentTable, FactList, Fold, Notice, Text, Tone
from mlops.reports.numbers import (
    NOT_KNOWN,
    count,
    day,
    decimal,
    in_unit,
    megabytes,
    milliseconds,
    moment,
    percent,
)

SYNTHETIC: Final = Notice(
    "Synthetic data.",
    "Training and evaluation used synthetic trips, not real ones. The numbers do not show how well"
    " real trips would be predicted.",
    "bad",
)

_ROLES: Final[Mapping[str, str]] = {
    "train": "training",
    "validation": "guides the search, then training",
    "test": "never trained on; every error in this report was measured on it",
}
_SENSES: Final[Mapping[str, str]] = {"<=": "at most", ">=": "at least", ">": "more than"}


def outcome(passed: bool, yes: str = "passed", no: str = "refused") -> Cell:
    """Return a verdict as a coloured word."""
    return Cell(yes, "good") if passed else Cell(no, "bad")


def verdict_table(verdict: Verdict) -> DocumentTable:
    """Return every rule of the gate."""
    return DocumentTable(
        caption="Rules of the gate",
        columns=("rule", "value", "limit", "verdict", "reason"),
        rows=tuple(
            (
                Cell(rule.rule),
                Cell(rule_value(rule.value, rule)),
                Cell(f"{_SENSES[rule.sense]} {rule_value(rule.limit, rule)}"),
                outcome(rule.passed),
                Cell(rule.why),
            )
            for rule in verdict.rules
        ),
        words=frozenset({0, 3, 4}),
    )


def rule_value(value: float | None, rule: RuleResult) -> str:
    """Write a number of the gate in the unit of its rule."""
    if value is None:
        return "nothing to compare"
    if rule.unit == "":
        return count(value)
    if rule.unit == "ms":
        return milliseconds(value)
    return megabytes(value) if rule.unit == "MB" else in_unit(value, rule.unit)


def windows_table(windows: Mapping[str, Window]) -> DocumentTable:
    """Return how time was divided."""
    return DocumentTable(
        caption="Windows (pickups, local time)",
        columns=("window", "from", "to", "trips", "use"),
        rows=tuple(
            (
                Cell(name),
                Cell(day(window.start) if window.start else NOT_KNOWN),
                Cell(_last_day(window) if window.end else NOT_KNOWN),
                Cell(count(window.rows)),
                Cell(_ROLES.get(name, "")),
            )
            for name, window in windows.items()
        ),
        words=frozenset({0, 1, 2, 4}),
    )


def _last_day(window: Window) -> str:
    """Write the last day of a half-open window."""
    return day(max(window.begins, window.ends - timedelta(microseconds=1)))


def sources_table(files: Sequence[SourceFile]) -> DocumentTable:
    """Return the files that trips were read from."""
    return DocumentTable(
        caption="Source files",
        columns=("month", "file", "trips", "size, MB", "SHA-256"),
        rows=tuple(
            (
                Cell(file.month),
                Cell(file.name),
                Cell(count(file.rows)),
                Cell(f"{file.bytes / 1e6:,.1f}"),
                Cell(file.sha256, code=True),
            )
            for file in files
        ),
        words=frozenset({0, 1, 4}),
    )


def quality_blocks(quality: QualityReport) -> tuple[Block, ...]:
    """Return what the data contract set aside."""
    sentence = Text(
        f"{count(quality.rows_read)} trips were read; {count(quality.rows_quarantined)}"
        f" ({percent(quality.bad_share)}) violate the data contract and were quarantined with their"
        f" reasons; {count(quality.rows_kept)} were kept."
    )
    broken = [rule for rule in quality.rules if rule.rows]
    if not broken:
        return (sentence,)
    table = DocumentTable(
        caption="Violated rules (a trip may violate several)",
        columns=("rule", "trips", "share of rows read", "action", "meaning"),
        rows=tuple(
            (
                Cell(rule.rule),
                Cell(count(rule.rows)),
                Cell(percent(rule.share)),
                Cell("quarantined" if rule.action == "quarantine" else "flagged"),
                Cell(rule.meaning),
            )
            for rule in sorted(broken, key=lambda rule: -rule.rows)
        ),
        words=frozenset({0, 3, 4}),
    )
    return (sentence, table)


def receipt_blocks(receipt: Receipt, reproduce: str) -> tuple[Block, ...]:
    """Return what it takes to make the model again."""
    dirty = (
        (
            Notice(
                "Not exactly reproducible.",
                "The code had uncommitted changes (+dirty).",
            ),
        )
        if receipt.dirty
        else ()
    )
    facts = FactList(
        (
            ("Training set (SHA-256)", Cell(receipt.data_hash, code=True)),
            ("Code (commit)", Cell(receipt.code_commit, code=True)),
            ("Lock file (SHA-256)", Cell(receipt.lock_hash, code=True)),
            ("Seed", Cell(str(receipt.seed))),
            ("Python", Cell(receipt.python)),
            (
                "Packages",
                Cell(", ".join(f"{name} {found}" for name, found in receipt.packages.items())),
            ),
            (
                "Created by",
                Cell(
                    f"pipeline {receipt.pipeline}, run {receipt.pipeline_run_id}"
                    if receipt.pipeline
                    else "hand, outside a pipeline"
                ),
            ),
            ("Written", Cell(moment(receipt.created_at))),
            ("Command to reproduce it", Cell(reproduce, code=True)),
        )
    )
    return (*dirty, facts, params_fold(receipt.params))


def params_fold(params: Mapping[str, Any]) -> Fold:
    """Return hyperparameters, closed."""
    rows = tuple((Cell(name, code=True), Cell(_param(value))) for name, value in params.items())
    table = DocumentTable("Hyperparameters", ("name", "value"), rows, frozenset({0}))
    return Fold(f"Hyperparameters ({len(rows)})", (table,) if rows else (Text("None."),))


def _param(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def signed_cell(value: float, matters: bool) -> Cell:
    """Return minutes with their sign, coloured where they matter."""
    tone: Tone = "warn" if matters else ""
    return Cell(decimal(value, signed=True), tone)
