"""The report of a monitored window: every finding in words, live errors, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlops.counting import counted
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.findings.report import Finding
from mlops.reports import words
from mlops.reports.card_data import live_error
from mlops.reports.document import (
    Block,
    Cell,
    Document,
    DocumentSection,
    DocumentTable,
    FactList,
    Fold,
    Items,
    Notice,
    Text,
    Tile,
    Tone,
)
from mlops.reports.facts import WindowFacts
from mlops.reports.marks import gauge
from mlops.reports.numbers import Amounts, count, moment, percent
from mlops.reports.parts import synthetic_notice
from mlops.reports.window_errors import errors_section

_STEPS: Final[Mapping[str, tuple[str, Tone]]] = {
    "ok": ("nothing to do", "good"),
    "warn": ("notify", "warn"),
    "retrain": ("retrain", "bad"),
    "rollback": ("roll back", "bad"),
}
_OUTCOMES: Final[Mapping[str, tuple[str, Tone]]] = {
    "ok": ("no alarm", "good"),
    "alarm": ("alarm", "bad"),
    "unjudged": ("not judged", "quiet"),
}
_SHOWN_REASONS: Final = 6


def monitoring_window(facts: WindowFacts) -> Document:
    """Write the report of a window."""
    record = facts.record
    sections = (
        DocumentSection("Decision", _decision(facts)),
        errors_section(facts),
        DocumentSection("Drift by feature", _drift(facts)),
        *(_kind(name, facts) for name in words.MONITORED if name not in _OWN),
        DocumentSection("How to read this report", _reading(facts.words.rows)),
    )
    missing = (Notice("Some data is missing.", " ".join(facts.missing)),) if facts.missing else ()
    return Document(
        kind="Monitoring report",
        title=f"Version {record.version}, {_when(facts)}",
        lead=_lead(facts),
        made_at=facts.made_at,
        notices=((synthetic_notice(facts.words),) if facts.synthetic else ()) + missing,
        tiles=_tiles(facts),
        sections=tuple(section for section in sections if section.blocks),
    )


_OWN: Final = frozenset({"drift", "labels", "performance"})  # have sections of their own


def _when(facts: WindowFacts) -> str:
    record = facts.record
    return f"{record.start:%Y-%m-%d %H:%M} to {record.end:%Y-%m-%d %H:%M} UTC"


def _lead(facts: WindowFacts) -> tuple[str, ...]:
    record, report, noun = facts.record, facts.record.report, facts.words
    what = (
        "answers that the online server gave"
        if record.origin == "served"
        else f"{noun.rows} of the source that the version predicted afterwards"
    )
    first = (
        f"{count(record.trips)} {what} were compared with the reference profile of version"
        f" {record.version}."
    )
    alarms = len(report.reasons)
    found = (
        f"{count(alarms)} {'alarm was' if alarms == 1 else 'alarms were'} raised, first of all:"
        f" {words.finding(report.alarms[0], facts)}."
        if alarms
        else "Nothing was unusual."
    )
    error = live_error(record)
    live = (
        f"The actual {noun.answer} of {noun.count(record.labelled)} is known: their RMSE is"
        f" {facts.amounts.full(error.value)}; {facts.amounts.full(error.reference)} was expected."
        if error is not None
        else f"The actual {noun.answer} of these {noun.rows} is not known yet."
    )
    return f"{first} {found}", live


def _tiles(facts: WindowFacts) -> tuple[Tile, ...]:
    report, record = facts.record.report, facts.record
    tiles = [
        Tile(
            "Alarms",
            count(len(report.alarms)),
            f"of {counted(len(report.findings), 'finding')}",
            "bad" if report.alarms else "good",
        ),
        Tile("Answers", count(record.trips), f"{count(report.refused)} of them refused"),
        Tile(
            f"Known actual {facts.words.answer}",
            count(record.labelled),
            f"{percent(_share(record))} of the answers",
        ),
    ]
    for statistic, name in (("rmse", "RMSE"), ("mae", "Mean absolute error")):
        finding = live_error(record, statistic)
        if finding is not None:
            tone: Tone = "bad" if finding.outcome == "alarm" else ""
            expected = f"expected {facts.amounts.full(finding.reference)}"
            tiles.append(Tile(name, facts.amounts.full(finding.value), expected, tone))
    if facts.decision is not None:
        step, tone = _STEPS[facts.decision.decision.step]
        tiles.append(Tile("Decision", step, moment(facts.decision.decision.at), tone))
    return tuple(tiles)


def _share(record: WindowRecord) -> float:
    return record.labelled / record.trips if record.trips else 0.0


def _decision(facts: WindowFacts) -> tuple[Block, ...]:
    made = facts.decision
    if made is None:
        return (Text("No decision is based on this window yet."),)
    decision = made.decision
    step, tone = _STEPS[decision.step]
    rows = [("Decision", Cell(step, tone)), ("When", Cell(moment(decision.at)))]
    if decision.held_back is not None:
        rows.append(("Held back", Cell(_STEPS[decision.held_back][0], "warn")))
    if made.started:
        run = f", run {made.started_run}" if made.started_run is not None else ""
        rows.append(("Started", Cell(f"pipeline {made.started}{run}")))
    if made.problem:
        rows.append(("Could not be started", Cell(made.problem, "bad")))
    if made.command:
        rows.append(("Command", Cell(made.command, code=True)))
    seen = ", ".join(outcome.window for outcome in decision.windows)
    rows.append(("Windows considered", Cell(seen)))
    sentences = {f.why: words.finding(f, facts) for f in facts.record.report.findings}
    reasons = tuple(sentences.get(reason, reason) for reason in decision.reasons)
    more = reasons[_SHOWN_REASONS:]
    rest = (Fold(counted(len(more), "more reason"), (Items(more),)),) if more else ()
    return FactList(tuple(rows)), Text("Reasons:"), Items(reasons[:_SHOWN_REASONS]), *rest


def _drift(facts: WindowFacts) -> tuple[Block, ...]:
    own = [f for f in facts.record.report.findings if f.kind in ("drift", "labels")]
    if not own:
        return ()
    subjects = list(dict.fromkeys(f.subject for f in own))
    rows = tuple(
        _drift_row(name, [f for f in own if f.subject == name], facts) for name in subjects
    )
    table = DocumentTable(
        "Distance of each distribution from its reference, largest first; a full bar is the limit",
        ("column", "PSI", "JS, or KS of numbers", "Wasserstein", "verdict"),
        rows,
        frozenset({0, 4}),
    )
    text = Text(
        "PSI and JS compare shares of categories or bins, KS and Wasserstein whole distributions of"
        " numbers. None of them is zero even without a change, so each limit allows for chance in a"
        " window of this size, and is never below the smallest change that matters."
    )
    every = _findings_table("Findings on drift", own, facts.amounts)
    return text, table, Fold("Every number with its limit", (every,))


def _drift_row(subject: str, own: Sequence[Finding], facts: WindowFacts) -> tuple[Cell, ...]:
    found = {finding.statistic: finding for finding in own}
    worst = "alarm" if any(f.outcome == "alarm" for f in own) else own[0].outcome
    return (
        Cell(facts.watched.get(subject, subject)),
        _distance(found.get("psi"), facts.amounts),
        _distance(found.get("ks", found.get("js")), facts.amounts),
        _distance(found.get("wasserstein"), facts.amounts),
        _verdict(worst),
    )


def _distance(finding: Finding | None, amounts: Amounts) -> Cell:
    if finding is None:
        return Cell("–", "quiet")
    mark = gauge(finding.value, finding.limit) if finding.limit else ""
    tone: Tone = "bad" if finding.outcome == "alarm" else ""
    return Cell(amounts.in_unit(finding.value, finding.unit), tone, mark=mark)


def _verdict(outcome: str) -> Cell:
    word, tone = _OUTCOMES[outcome]
    return Cell(word, tone)


def _kind(name: str, facts: WindowFacts) -> DocumentSection:
    own = [finding for finding in facts.record.report.findings if finding.kind == name]
    alarms = tuple(words.finding(f, facts) for f in own if f.outcome == "alarm")
    summary = Items(alarms) if alarms else Text("Nothing unusual.")
    table = _findings_table(f"{words.MONITORED[name]}: every finding", own, facts.amounts)
    return DocumentSection(words.MONITORED[name], (summary, table) if own else ())


def _findings_table(caption: str, own: Sequence[Finding], amounts: Amounts) -> DocumentTable:
    rows = tuple(
        (
            Cell(f"{f.subject}: {words.MEASURES.get(f.statistic, f.statistic)}"),
            Cell(amounts.in_unit(f.value, f.unit)),
            Cell(amounts.in_unit(f.reference, f.unit)),
            Cell(amounts.in_unit(f.limit, f.unit)),
            Cell(count(f.rows)),
            _verdict(f.outcome),
        )
        for f in own
    )
    return DocumentTable(
        caption,
        ("measure", "value", "expected", "limit", "rows", "verdict"),
        rows,
        frozenset({0, 5}),
    )


def _reading(rows: str) -> tuple[Block, ...]:
    return (
        Text(
            "An alarm needs two things: a value that the normal history of this version does not"
            " show, with at most one false alarm in twenty windows over all values together; and a"
            " change that is large enough to matter. “Not judged” means that there are too few"
            f" {rows}, or that the history does not show how much a value varies."
        ),
        Text(
            "Errors are measured once the actual answers have arrived. Until then a window shows"
            " requests and predictions, not whether these were right."
        ),
    )
