"""Sections of a model card that tell how well a version predicts, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from mlops.evaluation.results import SliceMetrics
from mlops.reports import words
from mlops.reports.disparity import in_words, largest_disparity
from mlops.reports.document import Block, Cell, Chart, DocumentSection, DocumentTable, Fold, Text
from mlops.reports.examination import Examination
from mlops.reports.facts import CardFacts
from mlops.reports.groups import Estimate, GroupErrors
from mlops.reports.marks import Scale, whisker
from mlops.reports.numbers import (
    NOT_KNOWN,
    count,
    decimal,
    minutes,
    percent,
    percent_span,
    span,
)
from mlops.reports.parts import signed_cell
from mlops.training.intervals import NOMINAL_COVERAGE

# By place and by time: what the data hold that may stand for people.
FAIRNESS: Final = ("pickup borough", "drop-off borough", "hour", "day of week")
_LEAST_FOR_INTERVAL: Final = 30  # resampling fewer trips says little of any other


def quality_section(facts: CardFacts) -> DocumentSection:
    """Tell how wrong the version is on the whole."""
    found, evaluation = facts.examination, facts.info.evaluation
    if found is None:
        if evaluation is None:
            return DocumentSection("Quality", (Text("Its errors are not known."),))
        metrics = evaluation.metrics
        rows = [
            ("mean absolute error", minutes(metrics.mae)),
            ("root mean squared error (RMSE)", minutes(metrics.rmse)),
            ("90th percentile error", minutes(metrics.p90_error)),
            ("bias (positive: too long)", minutes(metrics.bias, signed=True)),
            ("mean error relative to the duration (MAPE)", percent(metrics.mape)),
            ("explained variance (R²)", percent(metrics.r2)),
        ]
        table = DocumentTable(
            "Errors on the test window, as registered",
            ("measure", "value"),
            tuple((Cell(name), Cell(value)) for name, value in rows),
        )
        return DocumentSection("Quality", (table,))
    errors = found.overall
    rows4 = [
        _measure("mean absolute error", errors.mae, "average size of an error"),
        _measure("RMSE", errors.rmse, "weighs large errors more"),
        _measure("90th percentile error", found.p90, "one trip in ten has a larger error"),
        _measure("bias", errors.bias, "positive: predicted too long on average", signed=True),
    ]
    table = DocumentTable(
        f"Errors on {count(errors.rows)} trips of the test window, minutes",
        ("measure", "value", "95% interval", "in words"),
        tuple(rows4),
        frozenset({0, 3}),
    )
    share = Text(
        f"The mean error is {percent(errors.relative.value)} of a trip's duration (95% interval"
        f" {percent_span(errors.relative.low, errors.relative.high)})."
        + (
            f" The model explains {percent(evaluation.metrics.r2)} of the variance (R²)."
            if evaluation is not None
            else ""
        )
    )
    return DocumentSection("Quality", (table, share, _calibration(found), _how_sure()))


def _measure(name: str, estimate: Estimate, words: str, signed: bool = False) -> tuple[Cell, ...]:
    return (
        Cell(name),
        Cell(decimal(estimate.value, signed=signed)),
        Cell(span(estimate.low, estimate.high, signed=signed)),
        Cell(words),
    )


def _how_sure() -> Text:
    return Text(
        "Intervals: percentile bootstrap, 500 resamples of whole hours, because trips of the same"
        " hour share traffic (A. C. Davison and D. V. Hinkley, Bootstrap Methods and their"
        " Application, 1997).",
        small=True,
    )


def _calibration(found: Examination) -> Chart:
    from mlops.drawing.reports import calibration
    from mlops.reports.drawings import chart

    table = pd.DataFrame([each.model_dump() for each in found.bins])
    text = (
        "Trips in ten groups by predicted duration: where the line runs below the diagonal, trips"
        " took less time than predicted. Minutes; the band holds 8 trips in 10."
    )
    return Chart(chart(calibration(table)), text)


def groups_section(facts: CardFacts) -> DocumentSection:
    """Tell for whom the version is worse, by place and by time."""
    found = facts.examination
    if found is None:
        slices = facts.info.evaluation.slices if facts.info.evaluation else ()
        blocks: tuple[Block, ...] = (
            Text("Only what was stored at registration is known, without intervals."),
            _stored_slices(slices),
        )
        return DocumentSection("Fairness by place and time", blocks if slices else ())
    blocks = (
        Text(
            "Nobody should be served much worse because of where they live or when they travel."
            f" Groups with fewer than {count(facts.min_rows)} trips are shown but not compared. The"
            " dotted line in each drawing is the error over all trips"
            f" ({minutes(found.overall.mae.value)}). Amber marks a bias that is significantly not"
            f" zero, or a coverage that is significantly below {NOMINAL_COVERAGE:.0%}."
        ),
    )
    dimensions = list(dict.fromkeys(group.dimension for group in found.groups[1:]))
    for dimension in FAIRNESS:
        blocks += _dimension(found, dimension, facts.min_rows)
    others = [name for name in dimensions if name not in FAIRNESS]
    tables = tuple(_group_table(found, name, facts.min_rows) for name in others)
    fold = Fold(f"Other slices: {', '.join(others)}", tables)
    return DocumentSection("Fairness by place and time", (*blocks, fold))


def _dimension(found: Examination, dimension: str, min_rows: int) -> tuple[Block, ...]:
    worst = largest_disparity(found.groups, dimension, min_rows)
    text = (
        in_words(worst, found.overall)
        if worst is not None
        else f"By {words.dimension(dimension)}, no two groups are large enough to compare."
    )
    return Text(text), _group_table(found, dimension, min_rows)


def _group_table(found: Examination, dimension: str, min_rows: int) -> DocumentTable:
    groups = [group for group in found.groups if group.dimension == dimension]
    large = [g for g in groups if g.rows >= min_rows] or groups
    ends = [end for g in large for end in (g.mae.low, g.mae.high)]
    scale = Scale.over([*ends, found.overall.mae.value])
    rows = tuple(_group_row(g, found.overall, scale, g.rows >= min_rows) for g in groups)
    title = words.dimension(dimension)
    return DocumentTable(
        f"Errors by {title}, minutes",
        (title, "trips", "mean duration", "mean absolute error", "95% interval",
         "bias", "95% interval of the bias", "within their interval"),
        rows,
    )  # fmt: skip


def _group_row(
    group: GroupErrors, overall: GroupErrors, scale: Scale, judged: bool
) -> tuple[Cell, ...]:
    mae, bias = group.mae, group.bias
    mark = whisker(mae.value, mae.low, mae.high, scale, overall.mae.value) if judged else ""
    name = Cell(group.group) if judged else Cell(f"{group.group} (few trips)", "quiet")
    coverage = group.coverage
    short = coverage is not None and judged and coverage.high < NOMINAL_COVERAGE
    return (
        name,
        Cell(count(group.rows)),
        Cell(decimal(group.actual)),
        Cell(decimal(mae.value), mark=mark),
        _interval(mae, group.rows),
        signed_cell(bias.value, judged and bias.excludes(0)),
        _interval(bias, group.rows, signed=True),
        Cell(percent(coverage.value) if coverage else NOT_KNOWN, "warn" if short else ""),
    )


def _interval(estimate: Estimate, rows: int, *, signed: bool = False) -> Cell:
    if rows < _LEAST_FOR_INTERVAL:
        return Cell("–", "quiet")
    return Cell(span(estimate.low, estimate.high, signed=signed))


def _stored_slices(slices: Sequence[SliceMetrics]) -> DocumentTable:
    return DocumentTable(
        "Errors by slice, as registered, minutes",
        ("dimension", "slice", "trips", "mean absolute error", "RMSE", "bias"),
        tuple(
            (
                Cell(each.dimension),
                Cell(each.slice),
                Cell(count(each.rows)),
                Cell(decimal(each.mae)),
                Cell(decimal(each.rmse)),
                Cell(decimal(each.bias, signed=True)),
            )
            for each in slices
        ),
        frozenset({0, 1}),
    )


def ranges_section(facts: CardFacts) -> DocumentSection:
    """Tell how honest the range around predictions is."""
    found = facts.examination
    if found is None or found.overall.coverage is None or found.width is None:
        return DocumentSection("Prediction intervals", (Text("It gives no prediction intervals."),))
    coverage = found.overall.coverage
    short = [
        g for g in found.groups[1:]
        if g.coverage and g.rows >= facts.min_rows and g.coverage.high < NOMINAL_COVERAGE
    ]  # fmt: skip
    worst = min(short, key=lambda g: g.coverage.value if g.coverage else 1.0, default=None)
    text = (
        f"The prediction interval should contain the actual duration of {NOMINAL_COVERAGE:.0%} of"
        f" trips. It contained {percent(coverage.value)} (95% interval"
        f" {percent_span(coverage.low, coverage.high)}) and was {minutes(found.width)} wide on"
        " average."
    )
    if worst is not None and worst.coverage is not None:
        text += (
            f" Its coverage is significantly too low in {count(len(short))} of the groups above,"
            f" lowest for {words.dimension(worst.dimension)} {worst.group}:"
            f" {percent(worst.coverage.value)}"
            f" ({percent_span(worst.coverage.low, worst.coverage.high)})."
        )
    else:
        text += " In no group above is its coverage significantly too low."
    return DocumentSection("Prediction intervals", (Text(text),))
