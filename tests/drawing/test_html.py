"""Cards, tables and sentences: legible, and never more than text."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.drawing.html import (
    Card,
    Html,
    cards_html,
    choice,
    document,
    empty,
    problem,
    prose,
    state_html,
    table_html,
)

ATTACK = "<script>alert('x')</script>"


@given(st.text())
def test_whatever_a_text_holds_it_stays_a_text(text: str) -> None:
    table = pd.DataFrame({text: [text]})
    made = (
        prose(text),
        empty(text),
        problem(text),
        state_html(text),
        cards_html([Card(text, text, text)]),
        table_html(table),
        table_html(table, {text: text}, states=(text,)),
    )

    for html in made:
        bare = html.replace("<code>", "").replace("</code>", "")
        assert ATTACK not in document(prose(ATTACK + text))
        assert bare.count("<") == bare.count(">")
        assert "<script" not in bare


def test_one_tile_is_left_alone_and_several_are_named() -> None:
    assert choice({"taxi": Html("a")}, "taxi") == "a"

    html = choice({"taxi": Html("a"), "x<y": Html("b")}, "x<y")

    assert "<option>x&lt;y</option>" in html and 'data-of="x&lt;y">b<' in html
    assert 'data-of="taxi" hidden>a<' in html


def test_commands_are_set_as_code() -> None:
    assert prose("try `mlops run` & see") == "try <code>mlops run</code> &amp; see"


def test_numbers_are_formatted_and_to_the_right_and_what_is_missing_is_a_dash() -> None:
    table = pd.DataFrame({"name": ["lasso", None], "rmse": [4.98765, float("nan")]})

    html = table_html(table, {"name": "family", "rmse": "RMSE, min"}, {"rmse": ".2f"})

    assert "<th>family</th>" in html and '<th class="n">RMSE, min</th>' in html
    assert '<td class="n">4.99</td>' in html
    assert html.count("–") == 2


def test_a_state_is_a_word_and_a_colour_and_none_is_nothing() -> None:
    html = table_html(pd.DataFrame({"state": ["failed", ""]}), states=("state",))

    assert html.count('class="state"') == 1
    assert 'style="background:#D55E00">failed</span>' in html


@pytest.mark.parametrize("rows", [1, 2_000])
def test_a_page_is_whole_and_needs_nothing_from_elsewhere(rows: int) -> None:
    page = document(table_html(pd.DataFrame({"n": range(rows)})))

    assert page.startswith("<!doctype html>") and page.endswith("</html>")
    assert page.count("<tr>") == rows + 1
    assert "http" not in page and "url(" not in page and "@import" not in page
