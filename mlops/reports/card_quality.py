"""Sections of a model card that tell how well a version predicts, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from mlops.datasets.wording import DatasetWords
from mlops.evaluation.results import SliceMetrics
from mlops.reports.disparity import in_words, largest_disparity
from mlops.reports.document import Block, Cell, Chart, DocumentSection, DocumentTable, Fold, Text
from mlops.reports.examination import Examination
from mlops.reports.facts import CardFacts
from mlops.reports.groups import RESAMPLES, Estimate, GroupErrors
from mlops.reports.marks import Scale, whisker
from mlops.reports.numbers import NOT_KNOWN, Amounts, count, percent, percent_span
from mlops.training.intervals import NOMINAL_COVERAGE

_LEAST_FOR_INTERVAL: Final = 30  # resampling fewer rows says little of any other


def quality_section(facts: CardFacts) -> DocumentSection:
    """Tell how wrong the version is on the whole."""
    found, evaluation = facts.examination, facts.info.evaluation
    words, amounts = facts.words, facts.amounts
    if found is None:
        if evaluation is None:
            return DocumentSection("Quality", (Text("Its errors are not known."),))
        metrics = evaluation.metrics
        rows = [
            ("mean absolute error", amounts.full(metrics.mae)),
            ("root mean squared error (RMSE)", amounts.full(metrics.rmse)),
            ("90th percentile error", amounts.full(metrics.p90_error)),
            (f"bias (positive: {words.above})", amounts.full(metrics.bias, signed=True)),
            (f"mean error relative to the {words.answer} (MAPE)", percent(metrics.mape)),
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
        _measure("mean absolute error", errors.mae, "average size of an error", amounts),
        _measure("RMSE", errors.rmse, "weighs large errors more", amounts),
        _measure(
            "90th percentile error",
            found.p90,
            f"one {words.row} in ten has a larger error",
            amounts,
        ),
        _measure(
            "bias",
            errors.bias,
            f"positive: predicted {words.above} on average",
            amounts,
            signed=True,
        ),
    ]
    table = DocumentTable(
        words.measured(f"Errors on {words.count(errors.rows)} of the test window"),
        ("measure", "value", "95% interval", "in words"),
        tuple(rows4),
        frozenset({0, 3}),
    )
    shares = []
    if errors.relative:
        shares.append(
            f"The mean error is {percent(errors.relative.value)} of the mean {words.answer} (95%"
            f" interval {percent_span(errors.relative.low, errors.relative.high)})."
        )
    if evaluation is not None:
        shares.append(f"The model explains {percent(evaluation.metrics.r2)} of the variance (R²).")
    sure = Text(
        f"Intervals: percentile bootstrap, {RESAMPLES} resamples of {words.resampled} (A. C."
        " Davison and D. V. Hinkley, Bootstrap Methods and their Application, 1997).",
        small=True,
    )
    return DocumentSection(
        "Quality", (table, Text(" ".join(shares)), _calibration(found, words), sure)
    )


def _measure(
    name: str, estimate: Estimate, meaning: str, amounts: Amounts, signed: bool = False
) -> tuple[Cell, ...]:
    return (
        Cell(name),
        Cell(amounts.number(estimate.value, signed=signed)),
        Cell(amounts.span(estimate.low, estimate.high, signed=signed)),
        Cell(meaning),
    )


def _calibration(found: Examination, words: DatasetWords) -> Chart:
    from mlops.drawing.reports import calibration
    from mlops.reports.drawings import chart

    table = pd.DataFrame([each.model_dump() for each in found.bins])
    unit = f" in {words.unit}" if words.unit else ""
    text = (
        f"All {words.rows} in ten groups by predicted {words.answer}{unit}; the band holds 8 in 10."
        f" Where the line runs below the diagonal, predictions are {words.above} on average."
    )
    return Chart(chart(calibration(table, words)), text)


def groups_section(facts: CardFacts) -> DocumentSection:
    """Tell for which groups the version is worse."""
    found, words = facts.examination, facts.words
    title, purpose = words.fairness
    if found is None:
        slices = facts.info.evaluation.slices if facts.info.evaluation else ()
        blocks: tuple[Block, ...] = (
            Text("Only what was stored at registration is known, without intervals."),
            _stored_slices(slices, facts),
        )
        return DocumentSection(title, blocks if slices else ())
    dimensions = list(dict.fromkeys(group.dimension for group in found.groups[1:]))
    if not dimensions:
        text = "The dataset declares no slices: errors were not compared between groups."
        return DocumentSection(title, (Text(text),))
    sentences = (
        purpose,
        f"Groups with fewer than {count(facts.min_rows)} {words.rows} are shown but not compared.",
        f"The dotted line in each drawing is the error over all {words.rows}"
        f" ({facts.amounts.full(found.overall.mae.value)}).",
        "Amber marks a bias that is significantly not zero, or a coverage that is significantly"
        f" below {NOMINAL_COVERAGE:.0%}.",
    )
    blocks = (Text(" ".join(filter(None, sentences))),)
    for dimension in words.compared or dimensions:
        blocks += _dimension(found, dimension, facts)
    others = [name for name in dimensions if words.compared and name not in words.compared]
    if others:
        tables = tuple(_group_table(found, name, facts) for name in others)
        blocks += (Fold(f"Other slices: {', '.join(others)}", tables),)
    return DocumentSection(title, blocks)


def _dimension(found: Examination, dimension: str, facts: CardFacts) -> tuple[Block, ...]:
    worst = largest_disparity(found.groups, dimension, facts.min_rows, facts.words)
    text = (
        in_words(worst, found.overall, facts.words, facts.amounts)
        if worst is not None
        else f"By {facts.words.dimension(dimension)}, no two groups are large enough to compare."
    )
    return Text(text), _group_table(found, dimension, facts)


def _group_table(found: Examination, dimension: str, facts: CardFacts) -> DocumentTable:
    words, min_rows = facts.words, facts.min_rows
    groups = [group for group in found.groups if group.dimension == dimension]
    large = [g for g in groups if g.rows >= min_rows] or groups
    ends = [end for g in large for end in (g.mae.low, g.mae.high)]
    scale = Scale.over([*ends, found.overall.mae.value])
    rows = tuple(_group_row(g, found.overall, scale, facts) for g in groups)
    title = words.dimension(dimension)
    return DocumentTable(
        words.measured(f"Errors by {title}"),
        (title, words.rows, f"mean {words.answer}", "mean absolute error", "95% interval",
         "bias", "95% interval of the bias", "within their interval"),
        rows,
    )  # fmt: skip


def _group_row(
    group: GroupErrors, overall: GroupErrors, scale: Scale, facts: CardFacts
) -> tuple[Cell, ...]:
    amounts, judged = facts.amounts, group.rows >= facts.min_rows
    mae, bias = group.mae, group.bias
    mark = whisker(mae.value, mae.low, mae.high, scale, overall.mae.value) if judged else ""
    name = Cell(group.group) if judged else Cell(f"{group.group} (few {facts.words.rows})", "quiet")
    coverage = group.coverage
    short = coverage is not None and judged and coverage.high < NOMINAL_COVERAGE
    return (
        name,
        Cell(count(group.rows)),
        Cell(amounts.number(group.actual)),
        Cell(amounts.number(mae.value), mark=mark),
        _interval(mae, group.rows, amounts),
        Cell(
            amounts.number(bias.value, signed=True), "warn" if judged and bias.excludes(0) else ""
        ),
        _interval(bias, group.rows, amounts, signed=True),
        Cell(percent(coverage.value) if coverage else NOT_KNOWN, "warn" if short else ""),
    )


def _interval(estimate: Estimate, rows: int, amounts: Amounts, *, signed: bool = False) -> Cell:
    if rows < _LEAST_FOR_INTERVAL:
        return Cell("–", "quiet")
    return Cell(amounts.span(estimate.low, estimate.high, signed=signed))


def _stored_slices(slices: Sequence[SliceMetrics], facts: CardFacts) -> DocumentTable:
    words, amounts = facts.words, facts.amounts
    return DocumentTable(
        words.measured("Errors by slice, as registered"),
        ("dimension", "slice", words.rows, "mean absolute error", "RMSE", "bias"),
        tuple(
            (
                Cell(each.dimension),
                Cell(each.slice),
                Cell(count(each.rows)),
                Cell(amounts.number(each.mae)),
                Cell(amounts.number(each.rmse)),
                Cell(amounts.number(each.bias, signed=True)),
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
    coverage, words = found.overall.coverage, facts.words
    short = [
        g for g in found.groups[1:]
        if g.coverage and g.rows >= facts.min_rows and g.coverage.high < NOMINAL_COVERAGE
    ]  # fmt: skip
    worst = min(short, key=lambda g: g.coverage.value if g.coverage else 1.0, default=None)
    text = (
        f"The prediction interval should contain the actual {words.answer} of"
        f" {NOMINAL_COVERAGE:.0%} of {words.rows}. It did so for {percent(coverage.value)} (95%"
        f" interval {percent_span(coverage.low, coverage.high)}) and was"
        f" {facts.amounts.full(found.width)} wide on average."
    )
    if worst is not None and worst.coverage is not None:
        text += (
            f" Its coverage is significantly too low in {count(len(short))} of the groups above,"
            f" lowest for {words.dimension(worst.dimension)} {worst.group}:"
            f" {percent(worst.coverage.value)}"
            f" ({percent_span(worst.coverage.low, worst.coverage.high)})."
        )
    elif found.groups[1:]:
        text += " In no group above is its coverage significantly too low."
    return DocumentSection("Prediction intervals", (Text(text),))
