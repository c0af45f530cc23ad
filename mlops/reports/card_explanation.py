"""The section of a model card that tells what a version looks at, on the whole and trip by trip."""

from __future__ import annotations

from typing import Final

from mlops.counting import counted
from mlops.reports import words
from mlops.reports.document import Block, Cell, DocumentSection, DocumentTable, Text
from mlops.reports.examination import Example
from mlops.reports.facts import CardFacts
from mlops.reports.marks import Scale, bar
from mlops.reports.numbers import count, decimal, minutes, moment, span

_SHOWN_FEATURES: Final = 15
_SHOWN_PARTS: Final = 6


def explanation_section(facts: CardFacts) -> DocumentSection:
    """Tell what the version looks at, on the whole and for three trips."""
    found = facts.examination
    title = "Explanation"
    if found is None:
        return DocumentSection(title, ())
    explained = found.explained
    if explained is None:
        return DocumentSection(
            title, (Text(f"Its predictions cannot be explained exactly: {found.unexplained}."),)
        )
    shown = explained.importance[:_SHOWN_FEATURES]
    scale = Scale(0.0, max([value for _, value in shown] + [0.01]))
    rows = tuple(
        (
            Cell(words.feature(name)),
            Cell(name, code=True),
            Cell(decimal(value), mark=bar(value, scale)),
        )
        for name, value in shown
    )
    rest = sum(value for _, value in explained.importance[_SHOWN_FEATURES:])
    blocks: tuple[Block, ...] = (
        Text(
            "By how many minutes each input moves a prediction up or down on average. These are"
            f" exact Shapley values on {count(explained.rows)} trips of the test window (S. M."
            " Lundberg et al., Nature Machine Intelligence 2020). They show what the model uses,"
            " not what makes a trip long."
        ),
        DocumentTable(
            f"The {len(shown)} inputs that matter most; the others move it by"
            f" {minutes(rest)} together",
            ("input", "name", "mean |contribution|, minutes"),
            rows,
            frozenset({0, 1}),
        ),
    )
    return DocumentSection(
        title, blocks + tuple(b for e in explained.examples for b in _example(e))
    )


def _example(example: Example) -> tuple[Block, ...]:
    miles = "" if example.miles is None else f", {example.miles:.1f} miles"
    spread = (
        ""
        if example.low is None or example.high is None
        else f" (range {span(example.low, example.high)})"
    )
    intro = Text(
        f"{example.name}, {moment(example.pickup_at)}: from {example.pickup} to"
        f" {example.dropoff}{miles}. Predicted {minutes(example.predicted)}{spread}, took"
        f" {minutes(example.actual)}."
    )
    shown = example.contributions[:_SHOWN_PARTS]
    rest = sum(value for _, value in example.contributions[_SHOWN_PARTS:])
    total = example.base + sum(value for _, value in example.contributions)
    scale = Scale.over([0.0, rest, *(value for _, value in shown)])
    parts = [(words.feature(name), value) for name, value in shown]
    others = len(example.contributions) - len(shown)
    parts.append((f"the other {counted(others, 'input')}", rest))
    rows = [(Cell("base value: an average trip"), Cell(decimal(example.base)))]
    rows += [
        (Cell(name), Cell(decimal(value, signed=True), mark=bar(value, scale)))
        for name, value in parts
    ]
    rows.append((Cell("together"), Cell(decimal(total))))
    return intro, DocumentTable(
        f"{example.name} explained, minutes", ("input", "minutes"), tuple(rows)
    )
