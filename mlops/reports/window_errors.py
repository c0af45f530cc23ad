"""The section of a monitoring report on delayed labels: how wrong answers turned out, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlops.datasets.taxi.slices import DAYS, DISTANCE_BANDS, HOUR_BANDS
from mlops.monitoring.findings.report import Finding
from mlops.reports.card_data import live_chart, live_error
from mlops.reports.document import Block, Cell, DocumentSection, DocumentTable, Text, Tone
from mlops.reports.facts import WindowFacts
from mlops.reports.marks import Scale, whisker
from mlops.reports.numbers import NOT_KNOWN, count, in_unit, percent_span, span

_ALL: Final = "all trips"
_SHORT: Final[Mapping[str, str]] = {
    "rmse": "RMSE",
    "mae": "MAE",
    "bias": "bias",
    "coverage": "range",
}
# As a person expects them; what is not here comes in alphabetical order.
_ORDER: Final = (*HOUR_BANDS.values(), *DISTANCE_BANDS.values(), *DAYS)
_NAMES: Final[Mapping[str, str]] = {
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "bias": "bias (positive: too long)",
    "coverage": "within their interval",
}


def errors_section(facts: WindowFacts) -> DocumentSection:
    """Tell how wrong the answers of a window turned out."""
    title = "Performance on delayed labels"
    own = [f for f in facts.record.report.findings if f.kind == "performance"]
    if not own:
        text = "The actual durations of these trips are not known yet."
        return DocumentSection(title, (Text(text),))
    blocks: list[Block] = [_overall([f for f in own if f.subject == _ALL])]
    measured = [(w, f) for w in facts.history if (f := live_error(w)) is not None]
    if len(measured) > 1:
        blocks.append(live_chart(measured))
    slices = [f for f in own if f.subject != _ALL]
    blocks += (
        _slices(dimension, [f for f in slices if _dimension(f) == dimension])
        for dimension in dict.fromkeys(_dimension(f) for f in slices)
    )
    return DocumentSection(title, tuple(blocks))


def _dimension(finding: Finding) -> str:
    return finding.subject.partition(": ")[0]


def _overall(own: Sequence[Finding]) -> DocumentTable:
    rows = tuple(
        (
            Cell(_NAMES.get(f.statistic, f.statistic)),
            Cell(in_unit(f.value, f.unit, signed=f.statistic == "bias")),
            Cell(_interval(f)),
            Cell(in_unit(f.reference, f.unit, signed=f.statistic == "bias")),
            Cell(in_unit(f.limit, f.unit, signed=f.statistic == "bias")),
            _verdict_of([f]),
        )
        for f in own
    )
    return DocumentTable(
        f"Errors of {count(own[0].rows if own else 0)} trips whose duration is known",
        ("measure", "value", "95% interval", "expected", "limit", "verdict"),
        rows,
        frozenset({0, 5}),
    )


def _slices(dimension: str, own: Sequence[Finding]) -> DocumentTable:
    names = sorted({f.subject for f in own}, key=_place)
    found = {(f.subject, f.statistic): f for f in own}
    errors = [found[name, "mae"] for name in names if (name, "mae") in found]
    ends = [end for f in errors for end in (f.interval or (f.value, f.value))]
    scale = Scale.over([*ends, *(f.reference for f in errors)])
    rows = tuple(
        (
            Cell(name.partition(": ")[2] or name),
            Cell(count(found[name, "mae"].rows)),
            _measured(found[name, "mae"], scale),
            Cell(_interval(found[name, "mae"])),
            Cell(in_unit(found[name, "mae"].reference, "min")),
            _plain(found.get((name, "bias"))),
            _plain(found.get((name, "coverage"))),
            _verdict_of([f for f in own if f.subject == name]),
        )
        for name in names
        if (name, "mae") in found
    )
    return DocumentTable(
        f"Mean absolute error by {dimension}; the dotted line is the expected value",
        (dimension, "trips", "value", "95% interval", "expected", "bias", "within their interval",
         "verdict"),
        rows,
        frozenset({0, 7}),
    )  # fmt: skip


def _place(subject: str) -> tuple[int, str]:
    name = subject.partition(": ")[2]
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), name


def _measured(finding: Finding, scale: Scale) -> Cell:
    low, high = finding.interval or (finding.value, finding.value)
    mark = whisker(finding.value, low, high, scale, finding.reference)
    return Cell(in_unit(finding.value, finding.unit), mark=mark)


def _plain(finding: Finding | None) -> Cell:
    if finding is None:
        return Cell(NOT_KNOWN, "quiet")
    tone: Tone = "bad" if finding.outcome == "alarm" else ""
    return Cell(in_unit(finding.value, finding.unit, signed=finding.statistic == "bias"), tone)


def _interval(finding: Finding) -> str:
    if finding.interval is None:
        return NOT_KNOWN
    low, high = finding.interval
    if finding.unit == "%":
        return percent_span(max(low, 0.0), min(high, 1.0))
    return span(low, high, signed=finding.statistic == "bias")


def _verdict_of(own: Sequence[Finding]) -> Cell:
    if any(f.outcome == "alarm" for f in own):
        names = ", ".join(_SHORT.get(f.statistic, "") for f in own if f.outcome == "alarm")
        return Cell(f"alarm: {names}", "bad")
    if all(f.outcome == "unjudged" for f in own):
        return Cell("not judged", "quiet")
    return Cell("no alarm", "good")
