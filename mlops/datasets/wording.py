"""How people speak of a dataset: its rows, its answers, its features; and what only they can say.

Reports, charts and tables take their nouns from here, so that none of them knows a problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Sentences = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
]


class CardProse(BaseModel):
    """What a model card says that no data shows; its owner writes it, one sentence per entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uses: Sentences = Field((), description="What predictions are for, and who uses them.")
    limits: Sentences = Field(
        (), description="What predictions are not for, or were not tested on."
    )
    ethics: Sentences = Field(
        (), description="What the data holds about people, and what follows from that."
    )
    caveats: Sentences = Field((), description="How far the measured errors carry.")


@dataclass(frozen=True)
class DatasetWords:
    """The nouns and sentences of a dataset.

    Attributes:
        row: What a row is, in the singular.
        rows: Likewise in the plural.
        question: That a prediction answers, with its question mark.
        prediction: What a model predicts: continues “Version 1 predicts”.
        answer: What is predicted, as a noun in the singular.
        unit: Of the answer, spelled out; empty if it has none.
        short: The same unit as it stands behind a number.
        above: What a prediction above the answer is.
        below: Likewise below.
        size: Of answers: what may explain that some rows have larger errors than others.
        group: Of rows whose median answer is a baseline.
        examples: Names of a row with a low, a medium and a high prediction.
        times: Of rows, in the plural, as the heading of a table; empty if they have none.
        inputs: What a model looks at, in sentences.
        published: Where the files come from, a sentence; empty if that is not known.
        split: How rows were divided into windows, a sentence.
        resampled: What is drawn in a bootstrap, and why.
        dependence: What the bootstrap does not allow for, a sentence; empty if there is nothing.
        features: Meaning of each feature of a model that has one.
        codes: Of features whose values are codes: the name of each, by its text.
        dimensions: Meaning of those dimensions of slices and groups whose name is not enough.
        fairness: Title of the comparison of groups, and what it is for.
        compared: The dimensions of groups that matter most; empty: all of them.
        order: Names of groups as a person expects them; others follow in alphabetical order.
        leftovers: Groups that hold what belongs to no other one.
        card: What the owner of the dataset says.
        card_file: Where the owner can say it; empty if it is said in code.
    """

    row: str = "row"
    rows: str = "rows"
    question: str = ""
    prediction: str = "the answer of a row"
    answer: str = "answer"
    unit: str = ""
    short: str = ""
    above: str = "too high"
    below: str = "too low"
    size: str = "the size of the answers"
    group: str = "group"
    examples: tuple[str, str, str] = (
        *("A low prediction", "A medium prediction", "A high prediction"),
    )
    times: str = ""
    inputs: str = ""
    published: str = ""
    split: str = ""
    resampled: str = "rows"
    dependence: str = ""
    features: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dimensions: Mapping[str, str] = field(default_factory=dict)
    fairness: tuple[str, str] = ("Errors by group", "")
    compared: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    leftovers: frozenset[str] = frozenset()
    card: CardProse = field(default_factory=CardProse)
    card_file: str = ""

    def count(self, number: float) -> str:
        """Return a number of rows with their noun: ``1 row``, ``12,000 rows``."""
        whole = round(number)
        return f"{whole:,} {self.row if whole == 1 else self.rows}"

    def measured(self, what: str) -> str:
        """Return what is measured in the unit of the answer, with that unit: ``RMSE, minutes``."""
        return f"{what}, {self.unit}" if self.unit else what

    def behind(self, what: str) -> str:
        """Return the same with the unit as it stands behind a number: ``RMSE, min``."""
        return f"{what}, {self.short}" if self.short else what

    def feature(self, name: str) -> str:
        """Return a feature in words."""
        return self.features.get(name, name.replace("_", " "))

    def dimension(self, name: str) -> str:
        """Return in words what rows are grouped by."""
        return self.dimensions.get(name, name)


PLAIN: Final = DatasetWords()


def plural(noun: str) -> str:
    """Return the regular plural of an English noun."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
