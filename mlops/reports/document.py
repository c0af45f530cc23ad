"""What a report is made of, and how it becomes one file of HTML.

Reports are built as plain values, so that tests read them without a browser; one template gives all
of them the same look. Every text is escaped by the template: names and reasons come from people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

Tone = Literal["", "good", "warn", "bad", "quiet"]

_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """A value in a table or a list of facts.

    Attributes:
        text: What is read.
        tone: Colours it; never the only sign of what it says.
        code: A hash, a command or a name, shown in type of fixed width.
        mark: A drawing of ours beside it (`mlops.reports.marks`), inline SVG.
    """

    text: str
    tone: Tone = ""
    code: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    small: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    kind: ClassVar[str] = "items"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """Something that must not be missed."""

    kind: ClassVar[str] = "notice"
    title: str
    text: str
    tone: Tone = "warn"


@dataclass(frozen=True)
class FactList:
    """Names and values, below each other."""

    kind: ClassVar[str] = "facts"
    facts: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Tile:
    """A number to remember.

    Attributes:
        name: Of the number.
        value: With its unit.
        note: What it means, or how sure it is.
    """

    name: str
    value: str
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class DocumentTable:
    """Rows of cells.

    Attributes:
        caption: What the table shows.
        columns: Headings, with units.
        rows: As many cells each as there are columns.
        words: Positions of the columns that hold words; numbers are aligned to the right.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[int] = frozenset({0})

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.caption}: {len(row)} cells in {len(self.columns)} columns")


@dataclass(frozen=True)
class Chart:
    """A drawing.

    Attributes:
        svg: From `mlops.drawing`, not from anybody else: it is not escaped.
        caption: What it shows, with units.
    """

    kind: ClassVar[str] = "chart"
    svg: str
    caption: str


@dataclass(frozen=True)
class Fold:
    """Blocks that are closed until somebody wants them; open in print."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: tuple[Block, ...]


Block = Text | Items | Notice | FactList | DocumentTable | Chart | Fold


@dataclass(frozen=True)
class DocumentSection:
    """A chapter."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """Where links within the page lead."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        kind: What sort of report, e.g. ``Model card``.
        title: Of this one.
        lead: First paragraphs, for readers who know nothing of the project.
        made_at: With time zone.
        notices: What must be known before anything else.
        tiles: The numbers to remember.
        sections: The rest.
    """

    kind: str
    title: str
    lead: tuple[str, ...]
    made_at: datetime
    sections: tuple[DocumentSection, ...]
    notices: tuple[Notice, ...] = ()
    tiles: tuple[Tile, ...] = ()
    footer: str = field(default="")


def render(document: Document) -> str:
    """Return a document as HTML that needs nothing but itself."""
    return str(_template().render(document=document, css=_css()))


@cache
def _css() -> str:
    return (_FOLDER / "page.css").read_text(encoding="utf-8")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((_FOLDER / "page.html").read_text(encoding="utf-8"))
