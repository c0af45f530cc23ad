"""The section of a monitoring report on delayed labels: how wrong answers turned out, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlops.datasets.wording import DatasetWords
from mlops.monitoring.findings.report import Finding
from mlops.reports.card_data import is_overall, live_chart, live_error
from mlops.reports.document import Block, Cell, DocumentSection, DocumentTable, Text, Tone
from mlops.reports.facts import WindowFacts
from mlops.reports.marks import Scale, whisker
from mlops.reports.numbers import NOT_KNOWN, Amounts, count, percent_span

_SHORT: Final[Mapping[str, str]] = {
    "rmse": "RMSE",
    "mae": "MAE",
    "bias": "bias",
    "coverage": "range",
}
_NAMES: Final[Mapping[str, str]] = {
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "bias": "bias (positive: {above})",
    "coverage": "within their interval",
}


def errors_section(facts: WindowFacts) -> DocumentSection:
    """Tell how wrong the answers of a window turned out."""
    title, words = "Performance on delayed labels", facts.words
    own = [f for f in facts.record.report.findings if f.kind == "performance"]
    if not own:
        text = f"The actual {words.answer} of these {words.rows} is not known yet."
        return DocumentSection(title, (Text(text),))
    blocks: list[Block] = [_overall([f for f in own if is_overall(f)], words, facts.amounts)]
    measured = [(w, f) for w in facts.history if (f := live_error(w)) is not None]
    if len(measured) > 1:
        blocks.append(live_chart(measured, words))
    slices = [f for f in own if not is_overall(f)]
    blocks += (
        _slices(dimension, [f for f in slices if _dimension(f) == dimension], words, facts.amounts)
        for dimension in dict.fromkeys(_dimension(f) for f in slices)
    )
    return DocumentSection(title, tuple(blocks))


def _dimension(finding: Finding) -> str:
    return finding.subject.partition(": ")[0]


def _overall(own: Sequence[Finding], words: DatasetWords, amounts: Amounts) -> DocumentTable:
    rows = tuple(
        (
            Cell(_NAMES.get(f.statistic, f.statistic).format(above=words.above)),
            Cell(amounts.error(f.value, f.unit, signed=f.statistic == "bias")),
            Cell(_interval(f, amounts)),
            Cell(amounts.error(f.reference, f.unit, signed=f.statistic == "bias")),
            Cell(amounts.error(f.limit, f.unit, signed=f.statistic == "bias")),
            _verdict_of([f]),
        )
        for f in own
    )
    return DocumentTable(
        f"Errors of {words.count(own[0].rows if own else 0)} whose {words.answer} is known",
        ("measure", "value", "95% interval", "expected", "limit", "verdict"),
        rows,
        frozenset({0, 5}),
    )


def _slices(
    dimension: str, own: Sequence[Finding], words: DatasetWords, amounts: Amounts
) -> DocumentTable:
    def place(subject: str) -> tuple[int, str]:
        name = subject.partition(": ")[2]
        return (words.order.index(name) if name in words.order else len(words.order)), name

    names = sorted({f.subject for f in own}, key=place)
    found = {(f.subject, f.statistic): f for f in own}
    errors = [found[name, "mae"] for name in names if (name, "mae") in found]
    ends = [end for f in errors for end in (f.interval or (f.value, f.value))]
    scale = Scale.over([*ends, *(f.reference for f in errors)])
    rows = tuple(
        (
            Cell(name.partition(": ")[2] or name),
            Cell(count(found[name, "mae"].rows)),
            _measured(found[name, "mae"], scale, amounts),
            Cell(_interval(found[name, "mae"], amounts)),
            Cell(amounts.full(found[name, "mae"].reference)),
            _plain(found.get((name, "bias")), amounts),
            _plain(found.get((name, "coverage")), amounts),
            _verdict_of([f for f in own if f.subject == name]),
        )
        for name in names
        if (name, "mae") in found
    )
    return DocumentTable(
        f"Mean absolute error by {dimension}; the dotted line is the expected value",
        (dimension, words.rows, "value", "95% interval", "expected", "bias",
         "within their interval", "verdict"),
        rows,
        frozenset({0, 7}),
    )  # fmt: skip


def _measured(finding: Finding, scale: Scale, amounts: Amounts) -> Cell:
    low, high = finding.interval or (finding.value, finding.value)
    mark = whisker(finding.value, low, high, scale, finding.reference)
    return Cell(amounts.error(finding.value, finding.unit), mark=mark)


def _plain(finding: Finding | None, amounts: Amounts) -> Cell:
    if finding is None:
        return Cell(NOT_KNOWN, "quiet")
    tone: Tone = "bad" if finding.outcome == "alarm" else ""
    signed = finding.statistic == "bias"
    return Cell(amounts.error(finding.value, finding.unit, signed=signed), tone)


def _interval(finding: Finding, amounts: Amounts) -> str:
    if finding.interval is None:
        return NOT_KNOWN
    low, high = finding.interval
    if finding.unit == "%":
        return percent_span(max(low, 0.0), min(high, 1.0))
    return amounts.span(low, high, signed=finding.statistic == "bias")


def _verdict_of(own: Sequence[Finding]) -> Cell:
    if any(f.outcome == "alarm" for f in own):
        names = ", ".join(_SHORT.get(f.statistic, "") for f in own if f.outcome == "alarm")
        return Cell(f"alarm: {names}", "bad")
    if all(f.outcome == "unjudged" for f in own):
        return Cell("not judged", "quiet")
    return Cell("no alarm", "good")
