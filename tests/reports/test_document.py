"""Pages are whole, need nothing but themselves, and let nobody write HTML into them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.reports.document import (
    Block,
    Cell,
    Chart,
    Document,
    DocumentSection,
    DocumentTable,
    FactList,
    Fold,
    Items,
    Notice,
    Text,
    Tile,
    render,
)

AT = datetime(2024, 3, 1, 12, 30, tzinfo=timezone.utc)


def document(*blocks: Block, text: str = "text") -> Document:
    return Document(
        kind=text,
        title=text,
        lead=(text,),
        made_at=AT,
        sections=(DocumentSection("All of it", blocks),),
        notices=(Notice(text, text),),
        tiles=(Tile(text, text, text),),
        footer=text,
    )


def every_block(text: str) -> tuple[Block, ...]:
    cells = (Cell(text), Cell(text, "bad"), Cell(text, code=True))
    return (
        Text(text),
        Items((text, text)),
        FactList(((text, Cell(text, "good", code=True)),)),
        DocumentTable(text, (text, "b", "c"), (cells,)),
        Fold(text, (Text(text), Fold(text, (Text(text),)))),
        Notice(text, text, "bad"),
        Chart("<svg></svg>", text),
    )


def test_a_page_has_every_text_and_loads_nothing(read_page: Callable[[str], Any]) -> None:
    page = read_page(render(document(*every_block("seen"), text="seen")))

    assert page.text.count("seen") == 28
    assert "2024-03-01 12:30 UTC" in page.text
    assert "all-of-it" in page.ids


@settings(max_examples=25)
@given(st.text(alphabet=st.sampled_from("<>&\"'`/= \n\t{}%#!-=abcscriptsrcon"), max_size=40))
def test_no_text_becomes_markup(read_page: Callable[[str], Any], text: str) -> None:
    plain = read_page(render(document(*every_block("x"), text="x")))

    page = read_page(render(document(*every_block(text), text=text)))

    assert page.tags == plain.tags


def test_a_hostile_text_is_shown_as_it_was_written(read_page: Callable[[str], Any]) -> None:
    hostile = "</title><script src=https://evil.example/x.js></script>{{ 7 * 7 }}"

    page = read_page(render(document(Text(hostile), text=hostile)))

    assert hostile in page.text


def test_the_policy_of_the_page_forbids_scripts_and_everything_from_elsewhere() -> None:
    html = render(document(Text("text")))

    policy = html.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert "script-src" not in policy and "http" not in policy


def test_a_row_must_fit_its_headings() -> None:
    with pytest.raises(ValueError, match="wages: 1 cells in 2 columns"):
        DocumentTable("wages", ("a", "b"), ((Cell("1"),),))
