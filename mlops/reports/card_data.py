"""Sections of a model card on a version's life: its data, its deployments, its live errors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mlops.counting import counted
from mlops.datasets.wording import DatasetWords
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.findings.report import Finding
from mlops.registry.trail import Promotion
from mlops.reports.document import Block, Cell, Chart, DocumentSection, DocumentTable, Text
from mlops.reports.facts import CardFacts
from mlops.reports.numbers import NOT_KNOWN, count, moment
from mlops.reports.parts import outcome, quality_blocks, sources_table, windows_table

_LAST_WINDOWS = 12


def data_section(facts: CardFacts) -> DocumentSection:
    """Tell what the version learned from, and what it was measured on."""
    receipt, manifest, words = facts.info.receipt, facts.manifest, facts.words
    if receipt is None:
        return DocumentSection("Data", (Text("Its training set is not known."),))
    published = "" if receipt.synthetic else words.published
    sentences = (f"It was trained on {receipt.origin}.", published, words.split)
    blocks: list[Block] = [
        Text(" ".join(filter(None, sentences))),
        windows_table(receipt.windows, words),
    ]
    if facts.sources:
        blocks.append(sources_table(facts.sources, words))
    if manifest is not None:
        blocks += quality_blocks(manifest.quality, words)
    return DocumentSection("Data", tuple(blocks))


def deployment_section(facts: CardFacts) -> DocumentSection:
    """Tell when the version became champion or ceased to be, by whom and why."""
    version = facts.info.version
    moves = [m for m in facts.trail if version in (m.version, m.previous)]
    blocks: list[Block] = []
    if moves:
        rows = tuple(
            (
                Cell(moment(move.at)),
                Cell(_move(move, version)),
                Cell(move.kind),
                Cell(move.by or NOT_KNOWN),
                Cell(move.reason),
            )
            for move in moves
        )
        blocks.append(
            DocumentTable(
                "Changes of the champion that concern this version, newest first",
                ("time", "change", "kind", "by", "reason"),
                rows,
                frozenset(range(5)),
            )
        )
    if facts.deployments:
        entries = tuple(
            (
                Cell(record.id, code=True),
                Cell(record.kind),
                Cell(record.state.replace("_", " ")),
                Cell(record.by),
                Cell(record.reason),
                Cell(record.summary),
            )
            for record in facts.deployments
        )
        blocks.append(
            DocumentTable(
                "Deployments and rollbacks of this version, newest first",
                ("id", "kind", "state", "by", "reason", "last decision"),
                entries,
                frozenset(range(6)),
            )
        )
    return DocumentSection("Deployments", tuple(blocks) or (Text("It was never deployed."),))


def _move(move: Promotion, version: int) -> str:
    if move.version != version:
        return f"version {move.version} became champion in its place"
    before = f"in place of version {move.previous}" if move.previous else "as the first one"
    return f"became champion, {before}"


def live_section(facts: CardFacts) -> DocumentSection:
    """Tell how the version did after it was made, as far as labels arrived."""
    words, amounts = facts.words, facts.amounts
    measured = [(w, f) for w in facts.windows if (f := live_error(w)) is not None]
    if not measured:
        text = (
            f"Monitoring measured {counted(len(facts.windows), 'window')} of its answers; no actual"
            f" {words.answer} has arrived yet."
            if facts.windows
            else "Monitoring has not measured this version yet."
        )
        return DocumentSection("Live performance", (Text(text),))
    rows = tuple(
        (
            Cell(window.window, code=True),
            Cell(moment(window.end)),
            Cell(count(finding.rows)),
            Cell(amounts.number(finding.value)),
            Cell(amounts.span(*finding.interval) if finding.interval else NOT_KNOWN),
            Cell(amounts.number(finding.reference)),
            outcome(finding.outcome == "ok", "as expected", finding.outcome),
        )
        for window, finding in reversed(measured[-_LAST_WINDOWS:])
    )
    table = DocumentTable(
        words.measured(f"RMSE of the last windows whose actual {words.answer} is known"),
        ("window", "until", words.rows, "RMSE", "95% interval", "expected", "verdict"),
        rows,
        frozenset({0, 1, 6}),
    )
    return DocumentSection("Live performance", (live_chart(measured, words), table))


def live_error(window: WindowRecord, statistic: str = "rmse") -> Finding | None:
    """Return an error of a whole window, if labels have arrived."""
    findings = window.report.findings
    return next((f for f in findings if is_overall(f) and f.statistic == statistic), None)


def is_overall(finding: Finding) -> bool:
    """Tell whether a finding is on the errors of a whole window, rather than of a slice of it.

    Slices are called ``dimension: name``.
    """
    return finding.kind == "performance" and ": " not in finding.subject


def live_chart(measured: Sequence[tuple[WindowRecord, Finding]], words: DatasetWords) -> Chart:
    """Draw the RMSE of windows, in the order of time, with what was expected of them."""
    from mlops.drawing.reports import live_errors
    from mlops.reports.drawings import chart

    table = pd.DataFrame(
        {
            "end": [window.end for window, _ in measured],
            "version": [window.version for window, _ in measured],
            "rmse": [finding.value for _, finding in measured],
            "low": [f.interval[0] if f.interval else f.value for _, f in measured],
            "high": [f.interval[1] if f.interval else f.value for _, f in measured],
            "expected": [finding.reference for _, finding in measured],
        }
    )
    text = words.measured("RMSE of each window with its 95% interval, and what was expected of it")
    return Chart(chart(live_errors(table, words)), f"{text}.")
