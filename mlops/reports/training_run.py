"""The report of a model selection: what was compared, how it was judged, and what came of it."""

from __future__ import annotations

from mlops.counting import counted
from mlops.data.references import TrainingSetManifest
from mlops.registry.selections import Compared, Selection
from mlops.reports.document import (
    Block,
    Cell,
    Document,
    DocumentSection,
    DocumentTable,
    Fold,
    Notice,
    Text,
    Tile,
)
from mlops.reports.facts import RunFacts
from mlops.reports.marks import Scale, bar
from mlops.reports.numbers import (
    NOT_KNOWN,
    Amounts,
    count,
    day,
    megabytes,
    milliseconds,
    percent,
)
from mlops.reports.parts import (
    quality_blocks,
    receipt_blocks,
    sources_table,
    synthetic_notice,
    verdict_table,
    windows_table,
)
from mlops.reports.run_search import features, search
from mlops.reports.words import family
from mlops.training.intervals import NOMINAL_COVERAGE


def training_run(facts: RunFacts) -> Document:
    """Write the report of a selection."""
    selection = facts.selection
    sections = (
        DocumentSection("Outcome", _outcome(selection)),
        DocumentSection("The gate's verdict", _gate(facts)),
        DocumentSection("Data", _data(facts)),
        DocumentSection("Candidates", _candidates(facts)),
        DocumentSection("The search", tuple(search(facts))),
        DocumentSection("Explanation of the winner", tuple(features(facts))),
        DocumentSection("Errors by slice", _slices(facts)),
        DocumentSection("Receipt", receipt_blocks(selection.receipt, _again(selection))),
    )
    missing = (Notice("Some data is missing.", " ".join(facts.missing)),) if facts.missing else ()
    return Document(
        kind="Training report",
        title=f"Model selection, run {selection.run}",
        lead=_lead(facts),
        made_at=facts.made_at,
        notices=((synthetic_notice(facts.words),) if selection.receipt.synthetic else ()) + missing,
        tiles=_tiles(facts),
        sections=tuple(section for section in sections if section.blocks),
    )


def _lead(facts: RunFacts) -> tuple[str, ...]:
    selection, words = facts.selection, facts.words
    metrics, test = selection.evaluation.metrics, selection.receipt.windows["test"]
    measured = [c for c in selection.candidates if c.metrics is not None]
    learned = sum(not candidate.baseline for candidate in measured)
    return (
        f"This run compared {counted(len(measured), 'candidate')} for predicting"
        f" {words.prediction}: {counted(learned, 'model')}, and"
        f" {counted(len(measured) - learned, 'baseline')} to beat, trained on"
        f" {selection.receipt.origin}. The winner is {family(selection.winner, words)}"
        f" ({selection.winner}): on {words.count(metrics.rows)}"
        f"{f' from {day(test.start)} on' if test.start else ''}, which it had never seen, its mean"
        f" absolute error was {facts.amounts.full(metrics.mae)}.",
        _result(selection),
    )


def _result(selection: Selection) -> str:
    if selection.outcome is None:
        return "Nothing was registered: the run ended before that."
    if selection.outcome.version is None:
        return f"The gate refused it, so nothing was registered: {selection.verdict.summary}."
    became = "became champion at once" if selection.outcome.promoted else "is the challenger"
    return (
        f"It passed the gate and was registered as version {selection.outcome.version}, which"
        f" {became}."
    )


def _tiles(facts: RunFacts) -> tuple[Tile, ...]:
    evaluation, passed = facts.selection.evaluation, facts.selection.verdict.passed
    metrics = evaluation.metrics
    interval = evaluation.interval
    coverage = percent(interval.coverage) if interval else NOT_KNOWN
    of_winner = "of the winner, on the test window"
    return (
        Tile("Gate", "passed" if passed else "refused", "", "good" if passed else "bad"),
        Tile("Mean absolute error", facts.amounts.full(metrics.mae), of_winner),
        Tile("RMSE", facts.amounts.full(metrics.rmse), of_winner),
        Tile("Interval coverage", coverage, f"nominal: {NOMINAL_COVERAGE:.0%}"),
        Tile("One prediction", milliseconds(evaluation.latency_ms), "median"),
        Tile("Size", megabytes(evaluation.size_mb), "of the model on disk"),
    )


def _outcome(selection: Selection) -> tuple[Block, ...]:
    outcome = selection.outcome
    against = (
        f"It was compared with version {selection.champion}, the champion at that time."
        if selection.champion is not None
        else "There was no champion to compare it with."
    )
    why = (
        "The winner is the learning candidate with the smallest error on the validation window."
        " The test window only judges it: choosing by it would make its error look too small."
    )
    text = f"{outcome.summary[:1].upper()}{outcome.summary[1:]}." if outcome else _result(selection)
    return Text(text), Text(f"{why} {against}")


def _gate(facts: RunFacts) -> tuple[Block, ...]:
    verdict = facts.selection.verdict
    summary = f"{verdict.summary[:1].upper()}{verdict.summary[1:]}."
    return Text(summary), verdict_table(verdict, facts.amounts)


def _data(facts: RunFacts) -> tuple[Block, ...]:
    receipt = facts.selection.receipt
    manifest: TrainingSetManifest | None = facts.manifest
    words = facts.words
    blocks: list[Block] = [Text(words.split)] if words.split else []
    blocks.append(windows_table(receipt.windows, words))
    files = manifest.extraction.files if manifest else receipt.sources
    if files:
        blocks.append(sources_table(files, words))
    if manifest is not None:
        blocks += quality_blocks(manifest.quality, words)
    return tuple(blocks)


def _candidates(facts: RunFacts) -> tuple[Block, ...]:
    selection, words = facts.selection, facts.words
    measured = [c.metrics.rmse for c in selection.candidates if c.metrics is not None]
    scale = Scale(0.0, max(measured, default=0.0) or 1.0)
    rows = tuple(
        _candidate(each, selection.winner, scale, facts.amounts) for each in selection.candidates
    )
    table = DocumentTable(
        words.measured("Candidates by their error on validation"),
        ("candidate", "validation RMSE", "test RMSE", "test MAE", "90th percentile error", "bias",
         "trials", "refit, s"),
        rows,
    )  # fmt: skip
    failed = tuple(
        Notice(f"{each.family} could not be measured.", each.error, "bad")
        for each in selection.candidates
        if each.metrics is None
    )
    named = tuple(
        (Cell(each.family, code=True), Cell(family(each.family, words)))
        for each in selection.candidates
    )
    legend = DocumentTable("Model families", ("family", "description"), named, frozenset({0, 1}))
    return (table, *failed, Fold("Model families", (legend,)))


def _candidate(each: Compared, winner: str, scale: Scale, amounts: Amounts) -> tuple[Cell, ...]:
    name = f"{each.family} (winner)" if each.family == winner else each.family
    name = f"{name} (baseline)" if each.baseline else name
    found = each.metrics
    tone = "quiet" if each.baseline else "good" if each.family == winner else ""
    numbers = (
        (
            Cell(amounts.number(found.rmse), mark=bar(found.rmse, scale)),
            Cell(amounts.number(found.mae)),
            Cell(amounts.number(found.p90_error)),
            Cell(amounts.number(found.bias, signed=True)),
        )
        if found
        else (Cell("failed", "bad"), *(Cell(NOT_KNOWN),) * 3)
    )
    return (
        Cell(name, tone),  # type: ignore[arg-type]
        Cell(amounts.number(each.validation_rmse)),
        *numbers,
        Cell(count(each.trials)),
        Cell(f"{each.seconds:.1f}"),
    )


def _slices(facts: RunFacts) -> tuple[Block, ...]:
    slices, min_rows = facts.selection.evaluation.slices, facts.min_rows
    words, amounts = facts.words, facts.amounts
    large = [each.mae for each in slices if each.rows >= min_rows]
    scale = Scale(0.0, max(large, default=0.0) or 1.0)
    dimensions = dict.fromkeys(each.dimension for each in slices)
    return tuple(
        DocumentTable(
            words.measured(f"Winner by {dimension}"),
            (dimension, words.rows, "mean absolute error", "RMSE", "bias"),
            tuple(
                (
                    Cell(each.slice),
                    Cell(count(each.rows)),
                    Cell(
                        amounts.number(each.mae),
                        mark=bar(each.mae, scale) if each.rows >= min_rows else "",
                    ),
                    Cell(amounts.number(each.rmse)),
                    Cell(amounts.number(each.bias, signed=True)),
                )
                for each in slices
                if each.dimension == dimension
            ),
        )
        for dimension in dimensions
    )


def _again(selection: Selection) -> str:
    if selection.outcome is None or selection.outcome.version is None:
        return "run"
    return f"reproduce {selection.outcome.version}"
