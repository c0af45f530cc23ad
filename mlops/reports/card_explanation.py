"""The section of a model card that tells what a version looks at, on the whole and row by row."""

from __future__ import annotations

from typing import Final

from mlops.counting import counted
from mlops.datasets.wording import DatasetWords
from mlops.reports.document import Block, Cell, DocumentSection, DocumentTable, Text
from mlops.reports.examination import Example
from mlops.reports.facts import CardFacts
from mlops.reports.marks import Scale, bar
from mlops.reports.numbers import Amounts, count

_SHOWN_FEATURES: Final = 15
_SHOWN_PARTS: Final = 6


def explanation_section(facts: CardFacts) -> DocumentSection:
    """Tell what the version looks at, on the whole and for three rows."""
    found, words, amounts = facts.examination, facts.words, facts.amounts
    title = "Explanation"
    if found is None:
        return DocumentSection(title, ())
    explained = found.explained
    if explained is None:
        return DocumentSection(
            title, (Text(f"Its predictions cannot be explained exactly: {found.unexplained}."),)
        )
    shown = explained.importance[:_SHOWN_FEATURES]
    scale = Scale(0.0, max((value for _, value in shown), default=0.0) or 1.0)
    rows = tuple(
        (
            Cell(words.feature(name)),
            Cell(name, code=True),
            Cell(amounts.number(value), mark=bar(value, scale)),
        )
        for name, value in shown
    )
    rest = sum(value for _, value in explained.importance[_SHOWN_FEATURES:])
    blocks: tuple[Block, ...] = (
        Text(
            "How far each input moves a prediction up or down on average. These are exact Shapley"
            f" values on {count(explained.rows)} {words.rows} of the test window (S. M. Lundberg et"
            " al., Nature Machine Intelligence 2020). They show what the model uses, not what"
            f" causes the {words.answer}."
        ),
        DocumentTable(
            f"The {counted(len(shown), 'input')} that matter most"
            + (f"; the others move it by {amounts.full(rest)} together" if rest else ""),
            ("input", "name", words.measured("mean |contribution|")),
            rows,
            frozenset({0, 1}),
        ),
    )
    return DocumentSection(
        title, blocks + tuple(b for e in explained.examples for b in _example(e, words, amounts))
    )


def _example(example: Example, words: DatasetWords, amounts: Amounts) -> tuple[Block, ...]:
    spread = (
        ""
        if example.low is None or example.high is None
        else f" (range {amounts.span(example.low, example.high)})"
    )
    intro = Text(
        f"{example.name}: {example.described}. Predicted:"
        f" {amounts.full(example.predicted)}{spread}; actual: {amounts.full(example.actual)}."
    )
    shown = example.contributions[:_SHOWN_PARTS]
    rest = sum(value for _, value in example.contributions[_SHOWN_PARTS:])
    total = example.base + sum(value for _, value in example.contributions)
    scale = Scale.over([0.0, rest, *(value for _, value in shown)])
    parts = [(words.feature(name), value) for name, value in shown]
    others = len(example.contributions) - len(shown)
    parts += [(f"the other {counted(others, 'input')}", rest)] if others else []
    rows = [(Cell(f"base value: an average {words.row}"), Cell(amounts.number(example.base)))]
    rows += [
        (Cell(part), Cell(amounts.number(value, signed=True), mark=bar(value, scale)))
        for part, value in parts
    ]
    rows.append((Cell("together"), Cell(amounts.number(total))))
    title = words.measured(f"{example.name} explained")
    return intro, DocumentTable(title, ("input", words.unit or words.answer), tuple(rows))
