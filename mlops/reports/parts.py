"""Parts that several reports have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from mlops.data.references import QualityReport, SourceFile, Window
from mlops.datasets.wording import DatasetWords
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.registry.receipts import Receipt
from mlops.reports.document import Block, Cell, DocumentTable, FactList, Fold, Notice, Text
from mlops.reports.numbers import (
    NOT_KNOWN,
    Amounts,
    count,
    day,
    megabytes,
    milliseconds,
    moment,
    percent,
)
from mlops.settings import dataset_option


def synthetic_notice(words: DatasetWords) -> Notice:
    """Return the warning that stands over everything that generated rows were used for."""
    return Notice(
        "Synthetic data.",
        f"Training and evaluation used synthetic {words.rows}, not real ones. The numbers do not"
        f" show how well real {words.rows} would be predicted.",
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


def verdict_table(verdict: Verdict, amounts: Amounts) -> DocumentTable:
    """Return every rule of the gate."""
    return DocumentTable(
        caption="Rules of the gate",
        columns=("rule", "value", "limit", "verdict", "reason"),
        rows=tuple(
            (
                Cell(rule.rule),
                Cell(rule_value(rule.value, rule, amounts)),
                Cell(f"{_SENSES[rule.sense]} {rule_value(rule.limit, rule, amounts)}"),
                outcome(rule.passed),
                Cell(rule.why),
            )
            for rule in verdict.rules
        ),
        words=frozenset({0, 3, 4}),
    )


def rule_value(value: float | None, rule: RuleResult, amounts: Amounts) -> str:
    """Write a number of the gate in the unit of its rule."""
    if value is None:
        return "nothing to compare"
    if rule.unit == "":  # a number of things, or an error of what has no unit
        return count(value) if rule.limit == 0 else amounts.number(value)
    if rule.unit == "ms":
        return milliseconds(value)
    return megabytes(value) if rule.unit == "MB" else amounts.in_unit(value, rule.unit)


def windows_table(windows: Mapping[str, Window], words: DatasetWords) -> DocumentTable:
    """Return how rows were divided, with the days of each window where rows have a time."""
    timed = any(window.start for window in windows.values())
    return DocumentTable(
        caption=f"Windows ({words.times}, local time)" if timed and words.times else "Windows",
        columns=("window", *(("from", "to") if timed else ()), "use", words.rows),
        rows=tuple(
            (
                Cell(name),
                *(map(Cell, _days(window)) if timed else ()),
                Cell(_ROLES.get(name, "")),
                Cell(count(window.rows)),
            )
            for name, window in windows.items()
        ),
        words=frozenset(range(4 if timed else 2)),
    )


def _days(window: Window) -> tuple[str, str]:
    """Write the first and the last day of a half-open window."""
    if window.start is None:
        return NOT_KNOWN, NOT_KNOWN
    return day(window.start), day(max(window.start, window.ends - timedelta(microseconds=1)))


def sources_table(files: Sequence[SourceFile], words: DatasetWords) -> DocumentTable:
    """Return the files that rows were read from."""
    monthly = any(file.month for file in files)
    return DocumentTable(
        caption="Source files",
        columns=(*(("month",) if monthly else ()), "file", "SHA-256", words.rows, "size, MB"),
        rows=tuple(
            (
                *((Cell(file.month),) if monthly else ()),
                Cell(file.name),
                Cell(file.sha256, code=True),
                Cell(count(file.rows)),
                Cell(f"{file.bytes / 1e6:,.1f}"),
            )
            for file in files
        ),
        words=frozenset(range(3 if monthly else 2)),
    )


def quality_blocks(quality: QualityReport, words: DatasetWords) -> tuple[Block, ...]:
    """Return what the data contract set aside."""
    sentence = Text(
        f"{count(quality.rows_read)} {words.rows} were read; {count(quality.rows_quarantined)}"
        f" ({percent(quality.bad_share)}) violate the data contract and were quarantined with their"
        f" reasons; {count(quality.rows_kept)} were kept."
    )
    broken = [rule for rule in quality.rules if rule.rows]
    if not broken:
        return (sentence,)
    table = DocumentTable(
        caption=f"Violated rules (a {words.row} may violate several)",
        columns=("rule", words.rows, "share of rows read", "action", "meaning"),
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


def receipt_blocks(receipt: Receipt, command: str) -> tuple[Block, ...]:
    """Return what it takes to make the model again.

    Args:
        receipt: Of the model.
        command: Of `mlops` that does it, without the dataset.
    """
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
            (
                "Command to reproduce it",
                Cell(f"mlops {command}{dataset_option(receipt.dataset)}", code=True),
            ),
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
