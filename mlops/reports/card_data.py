"""Sections of a model card on a version's life: its data, its deployments, its live errors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mlops.counting import counted
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.findings.report import Finding
from mlops.registry.trail import Promotion
from mlops.reports.document import Block, Cell, Chart, DocumentSection, DocumentTable, Text
from mlops.reports.facts import CardFacts
from mlops.reports.numbers import NOT_KNOWN, count, decimal, moment, span
from mlops.reports.parts import outcome, quality_blocks, sources_table, windows_table

_LAST_WINDOWS = 12


def data_section(facts: CardFacts) -> DocumentSection:
    """Tell what the version learned from, and what it was measured on."""
    receipt, manifest = facts.info.receipt, facts.manifest
    if receipt is None:
        return DocumentSection("Data", (Text("Its training set is not known."),))
    blocks: list[Block] = [
        Text(
            f"It was trained on {receipt.taxi}-taxi trips"
            + (" that are synthetic." if receipt.synthetic else " as published by the city (TLC).")
            + " The windows follow each other in time: the trips that judge the model are later"
            " than all that trained it."
        ),
        windows_table(receipt.windows),
    ]
    if facts.sources:
        blocks.append(sources_table(facts.sources))
    if manifest is not None:
        blocks += quality_blocks(manifest.quality)
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
    measured = [(w, f) for w in facts.windows if (f := live_error(w)) is not None]
    if not measured:
        text = (
            f"Monitoring measured {counted(len(facts.windows), 'window')} of its answers; no actual"
            " durations have arrived yet."
            if facts.windows
            else "Monitoring has not measured this version yet."
        )
        return DocumentSection("Live performance", (Text(text),))
    rows = tuple(
        (
            Cell(window.window, code=True),
            Cell(moment(window.end)),
            Cell(count(finding.rows)),
            Cell(decimal(finding.value)),
            Cell(span(*finding.interval) if finding.interval else NOT_KNOWN),
            Cell(decimal(finding.reference)),
            outcome(finding.outcome == "ok", "as expected", finding.outcome),
        )
        for window, finding in reversed(measured[-_LAST_WINDOWS:])
    )
    table = DocumentTable(
        "RMSE of the last windows with known durations, minutes",
        ("window", "until", "trips", "RMSE", "95% interval", "expected", "verdict"),
        rows,
        frozenset({0, 1, 6}),
    )
    return DocumentSection("Live performance", (live_chart(measured), table))


def live_error(window: WindowRecord) -> Finding | None:
    """Return the RMSE of all trips of a window, if labels have arrived."""
    return next(
        (
            f
            for f in window.report.findings
            if f.kind == "performance" and f.subject == "all trips" and f.statistic == "rmse"
        ),
        None,
    )


def live_chart(measured: Sequence[tuple[WindowRecord, Finding]]) -> Chart:
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
    text = "RMSE of each window with its 95% interval, and what was expected of it; minutes."
    return Chart(chart(live_errors(table)), text)
