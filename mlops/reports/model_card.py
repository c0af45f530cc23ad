"""The model card of a version: what it is for, what it is made of, and where it fails.

After M. Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019, arXiv:1810.03993): details,
intended use, factors, metrics, evaluation and training data, quantitative analyses by group,
ethical considerations, caveats. What is not known is stated, with the reason.
"""

from __future__ import annotations

from typing import Final

from mlops.reports.card_data import data_section, deployment_section, live_section
from mlops.reports.card_explanation import explanation_section
from mlops.reports.card_prose import caveats, ethics, intended_use
from mlops.reports.card_quality import groups_section, quality_section, ranges_section
from mlops.reports.disparity import briefly, largest_of
from mlops.reports.document import (
    Block,
    Cell,
    Document,
    DocumentSection,
    FactList,
    Notice,
    Text,
    Tile,
)
from mlops.reports.facts import CardFacts
from mlops.reports.groups import Estimate
from mlops.reports.numbers import Amounts, day, megabytes, milliseconds, moment, percent
from mlops.reports.parts import receipt_blocks, synthetic_notice, verdict_table
from mlops.reports.words import family
from mlops.training.intervals import NOMINAL_COVERAGE

CITATION: Final = (
    "Structure after M. Mitchell et al., “Model Cards for Model Reporting”, FAT* 2019,"
    " arXiv:1810.03993."
)


def model_card(facts: CardFacts) -> Document:
    """Write the card of a version."""
    sections = (
        DocumentSection("Model details", _details(facts)),
        DocumentSection("Intended use", intended_use(facts.words)),
        data_section(facts),
        quality_section(facts),
        groups_section(facts),
        ranges_section(facts),
        explanation_section(facts),
        DocumentSection("The gate's verdict", _gate(facts)),
        deployment_section(facts),
        live_section(facts),
        DocumentSection("Ethical considerations", ethics(facts.words)),
        DocumentSection("Caveats and recommendations", caveats(facts)),
        DocumentSection("Receipt", _receipt(facts)),
    )
    return Document(
        kind="Model card",
        title=f"{facts.model_name}, version {facts.info.version}",
        lead=_lead(facts),
        made_at=facts.made_at,
        notices=_notices(facts),
        tiles=_tiles(facts),
        sections=tuple(section for section in sections if section.blocks),
        footer=CITATION,
    )


def _lead(facts: CardFacts) -> tuple[str, ...]:
    info, found, words, amounts = facts.info, facts.examination, facts.words, facts.amounts
    sentences = [f"Version {info.version} predicts {words.prediction}."]
    if info.receipt is not None:
        sentences.append(f"It was trained on {info.receipt.origin}.")
    if found is not None:
        errors = found.overall
        days = f" of {day(found.start)} to {day(found.end)}" if found.start and found.end else ""
        sentences.append(
            f"On {words.count(errors.rows)}{days} that it had never seen, its mean absolute error"
            f" was {amounts.full(errors.mae.value)}; their mean {words.answer} was"
            f" {amounts.full(errors.actual)}. Nine predictions in ten were off by at most"
            f" {amounts.full(found.p90.value)}."
        )
        if errors.coverage is not None:
            sentences.append(
                f"Its prediction intervals should contain the actual {words.answer} of"
                f" {NOMINAL_COVERAGE:.0%} of {words.rows}; they did so for"
                f" {percent(errors.coverage.value)}."
            )
    elif info.evaluation is not None:
        metrics = info.evaluation.metrics
        sentences.append(
            f"On {words.count(metrics.rows)} that it had never seen, its mean absolute error was"
            f" {amounts.full(metrics.mae)}. Nine predictions in ten were off by at most"
            f" {amounts.full(metrics.p90_error)}."
        )
    else:
        sentences.append(
            "Its errors are not known: it was registered by hand, without an evaluation."
        )
    worst = found and largest_of(found.groups, facts.min_rows, words)
    groups = (briefly(worst, words, amounts),) if worst else ()
    return " ".join(sentences), *groups, _standing(facts)


def _standing(facts: CardFacts) -> str:
    info = facts.info
    if "champion" in info.aliases:
        since = f" since {moment(info.promoted_at)}" if info.promoted_at else " until now"
        why = f" ({info.promotion_reason})" if info.promotion_reason else ""
        return f"It is the champion: it has answered requests{since}{why}."
    if "challenger" in info.aliases:
        return "It is the challenger: it passed the gate and does not answer requests yet."
    if info.promoted_at:
        return f"It is not in use; it last became champion at {moment(info.promoted_at)}."
    return "It is not in use and never was champion."


def _notices(facts: CardFacts) -> tuple[Notice, ...]:
    found = [synthetic_notice(facts.words)] if facts.synthetic else []
    if facts.missing:
        found.append(Notice("Some data is missing.", " ".join(facts.missing)))
    if facts.info.verdict is not None and not facts.info.verdict.passed:
        found.append(Notice("The gate refused this version.", facts.info.verdict.summary, "bad"))
    return tuple(found)


def _tiles(facts: CardFacts) -> tuple[Tile, ...]:
    info, found, amounts = facts.info, facts.examination, facts.amounts
    tiles = []
    if found is not None:
        errors = found.overall
        tiles = [
            _tile("Mean absolute error", errors.mae, amounts),
            _tile("RMSE", errors.rmse, amounts),
            _tile("90th percentile error", found.p90, amounts),
            Tile(
                "Bias",
                amounts.full(errors.bias.value, signed=True),
                f"positive: predicted {facts.words.above}",
            ),
        ]
        if errors.coverage is not None:
            coverage = percent(errors.coverage.value)
            tiles.append(Tile("Interval coverage", coverage, f"nominal: {NOMINAL_COVERAGE:.0%}"))
    elif info.evaluation is not None:
        metrics = info.evaluation.metrics
        tiles = [
            Tile("Mean absolute error", amounts.full(metrics.mae), "as registered"),
            Tile("RMSE", amounts.full(metrics.rmse), "as registered"),
            Tile("90th percentile error", amounts.full(metrics.p90_error), "as registered"),
        ]
    if info.evaluation is not None:
        tiles.append(
            Tile(
                "One prediction",
                milliseconds(info.evaluation.latency_ms),
                f"median; {megabytes(info.evaluation.size_mb)} on disk",
            )
        )
    return tuple(tiles)


def _tile(name: str, estimate: Estimate, amounts: Amounts) -> Tile:
    interval = f"95% interval {amounts.span(estimate.low, estimate.high)}"
    return Tile(name, amounts.full(estimate.value), interval)


def _details(facts: CardFacts) -> tuple[Block, ...]:
    info, receipt, words = facts.info, facts.info.receipt, facts.words
    rows = [
        ("Question", Cell(words.question)),
        ("Version", Cell(str(info.version))),
        ("Aliases", Cell(", ".join(info.aliases) or "none")),
        ("Kind of model", Cell(family(receipt.family, words) if receipt else "not known")),
        ("Registered", Cell(moment(info.created_at))),
        ("MLflow run", Cell(info.run_id or "none", code=bool(info.run_id))),
    ]
    if info.evaluation is not None:
        rows += [
            (
                "Latency of one prediction",
                Cell(f"{milliseconds(info.evaluation.latency_ms)} (median)"),
            ),
            ("Size on disk", Cell(megabytes(info.evaluation.size_mb))),
        ]
    unit = f" in {words.unit}" if words.unit else ""
    interval = info.evaluation is not None and info.evaluation.interval is not None
    output = f"The output is the {words.answer}{unit}{' with a prediction interval' * interval}."
    return Text(f"{words.inputs} {output}"), FactList(tuple(rows))


def _gate(facts: CardFacts) -> tuple[Block, ...]:
    verdict = facts.info.verdict
    if verdict is None:
        return (Text("The gate has not judged this version: it was registered by hand."),)
    return Text(f"{verdict.summary[:1].upper()}{verdict.summary[1:]}."), verdict_table(
        verdict, facts.amounts
    )


def _receipt(facts: CardFacts) -> tuple[Block, ...]:
    if facts.info.receipt is None:
        return (
            Text(
                "There is no receipt: the version was registered by hand, so its data and code are"
                " unknown and it cannot be reproduced."
            ),
        )
    return receipt_blocks(facts.info.receipt, f"reproduce {facts.info.version}")
