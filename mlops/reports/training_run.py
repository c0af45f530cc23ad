"""The report of a model selection: what was compared, how it was judged, and what came of it."""

from __future__ import annotations

from mlops.counting import counted
from mlops.data.references import TrainingSetManifest
from mlops.evaluation.results import SliceMetrics
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
    count,
    day,
    decimal,
    megabytes,
    milliseconds,
    minutes,
    percent,
)
from mlops.reports.parts import (
    SYNTHETIC,
    quality_blocks,
    receipt_blocks,
    sources_table,
    verdict_table,
    windows_table,
)
from mlops.reports.run_search import features, search
from mlops.reports.words import family


def training_run(facts: RunFacts) -> Document:
    """Write the report of a selection."""
    selection = facts.selection
    sections = (
        DocumentSection("Outcome", _outcome(selection)),
        DocumentSection("The gate's verdict", _gate(selection)),
        DocumentSection("Data", _data(facts)),
        DocumentSection("Candidates", _candidates(selection)),
        DocumentSection("The search", tuple(search(facts))),
        DocumentSection(
            "Explanation of the winner", tuple(features(facts.insights.get(selection.winner)))
        ),
        DocumentSection("Errors by slice", _slices(selection.evaluation.slices, facts.min_rows)),
        DocumentSection("Receipt", receipt_blocks(selection.receipt, _again(selection))),
    )
    missing = (Notice("Some data is missing.", " ".join(facts.missing)),) if facts.missing else ()
    return Document(
        kind="Training report",
        title=f"Model selection, run {selection.run}",
        lead=_lead(selection),
        made_at=facts.made_at,
        notices=((SYNTHETIC,) if selection.receipt.synthetic else ()) + missing,
        tiles=_tiles(selection),
        sections=tuple(section for section in sections if section.blocks),
    )


def _lead(selection: Selection) -> tuple[str, ...]:
    metrics, test = selection.evaluation.metrics, selection.receipt.windows["test"]
    measured = [c for c in selection.candidates if c.metrics is not None]
    learned = sum(not candidate.baseline for candidate in measured)
    return (
        f"This run compared {counted(len(measured), 'candidate')} for predicting how long a"
        f" {selection.receipt.taxi}-taxi trip takes: {counted(learned, 'model')}, and"
        f" {counted(len(measured) - learned, 'baseline')} to beat. The winner is"
        f" {family(selection.winner)} ({selection.winner}): on {counted(metrics.rows, 'trip')}"
        f"{f' from {day(test.start)} on' if test.start else ''}, which it had never seen, its mean"
        " absolute error was"
        f" {minutes(metrics.mae)}.",
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


def _tiles(selection: Selection) -> tuple[Tile, ...]:
    evaluation, passed = selection.evaluation, selection.verdict.passed
    metrics = evaluation.metrics
    interval = evaluation.interval
    coverage = percent(interval.coverage) if interval else NOT_KNOWN
    return (
        Tile("Gate", "passed" if passed else "refused", "", "good" if passed else "bad"),
        Tile("Mean absolute error", minutes(metrics.mae), "of the winner, on the test window"),
        Tile("RMSE", minutes(metrics.rmse), "of the winner, on the test window"),
        Tile("Interval coverage", coverage, "nominal: 80%"),
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


def _gate(selection: Selection) -> tuple[Block, ...]:
    summary = selection.verdict.summary
    return Text(f"{summary[:1].upper()}{summary[1:]}."), verdict_table(selection.verdict)


def _data(facts: RunFacts) -> tuple[Block, ...]:
    receipt = facts.selection.receipt
    manifest: TrainingSetManifest | None = facts.manifest
    blocks: list[Block] = [windows_table(receipt.windows)]
    files = manifest.extraction.files if manifest else receipt.sources
    if files:
        blocks.append(sources_table(files))
    if manifest is not None:
        blocks += quality_blocks(manifest.quality)
    return tuple(blocks)


def _candidates(selection: Selection) -> tuple[Block, ...]:
    measured = [c.metrics.rmse for c in selection.candidates if c.metrics is not None]
    scale = Scale(0.0, max([*measured, 0.01]))
    rows = tuple(_candidate(each, selection.winner, scale) for each in selection.candidates)
    table = DocumentTable(
        "Candidates by their error on validation, minutes",
        ("candidate", "validation RMSE", "test RMSE", "test MAE", "90th percentile error", "bias",
         "trials", "refit, s"),
        rows,
    )  # fmt: skip
    failed = tuple(
        Notice(f"{each.family} could not be measured.", each.error, "bad")
        for each in selection.candidates
        if each.metrics is None
    )
    words = tuple(
        (Cell(each.family, code=True), Cell(family(each.family))) for each in selection.candidates
    )
    legend = DocumentTable("Model families", ("family", "description"), words, frozenset({0, 1}))
    return (table, *failed, Fold("Model families", (legend,)))


def _candidate(each: Compared, winner: str, scale: Scale) -> tuple[Cell, ...]:
    name = f"{each.family} (winner)" if each.family == winner else each.family
    name = f"{name} (baseline)" if each.baseline else name
    found = each.metrics
    tone = "quiet" if each.baseline else "good" if each.family == winner else ""
    numbers = (
        (
            Cell(decimal(found.rmse), mark=bar(found.rmse, scale)),
            Cell(decimal(found.mae)),
            Cell(decimal(found.p90_error)),
            Cell(decimal(found.bias, signed=True)),
        )
        if found
        else (Cell("failed", "bad"), *(Cell(NOT_KNOWN),) * 3)
    )
    return (
        Cell(name, tone),  # type: ignore[arg-type]
        Cell(decimal(each.validation_rmse)),
        *numbers,
        Cell(count(each.trials)),
        Cell(f"{each.seconds:.1f}"),
    )


def _slices(slices: tuple[SliceMetrics, ...], min_rows: int) -> tuple[Block, ...]:
    if not slices:
        return ()
    large = [each.mae for each in slices if each.rows >= min_rows]
    scale = Scale(0.0, max(large, default=1.0))
    dimensions = dict.fromkeys(each.dimension for each in slices)
    return tuple(
        DocumentTable(
            f"Winner by {dimension}, minutes",
            (dimension, "trips", "mean absolute error", "RMSE", "bias"),
            tuple(
                (
                    Cell(each.slice),
                    Cell(count(each.rows)),
                    Cell(
                        decimal(each.mae),
                        mark=bar(each.mae, scale) if each.rows >= min_rows else "",
                    ),
                    Cell(decimal(each.rmse)),
                    Cell(decimal(each.bias, signed=True)),
                )
                for each in slices
                if each.dimension == dimension
            ),
        )
        for dimension in dimensions
    )


def _again(selection: Selection) -> str:
    if selection.outcome is None or selection.outcome.version is None:
        return "mlops run"
    return f"mlops reproduce {selection.outcome.version}"
