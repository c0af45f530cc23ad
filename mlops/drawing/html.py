"""What is better read than looked at: cards, tables, sentences; and the page around a tile.

Every text goes through `escape`: names come from files and from people.
"""

from __future__ import annotations

import html as _html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from mlops.drawing.palette import look, state_colour, version_colour


class Html(str):
    """A piece of HTML whose texts are escaped already."""

    __slots__ = ()


STYLE: Final = """
.m{color:#22262b;
 font:13px/1.45 Inter,'Segoe UI',Roboto,'Helvetica Neue',Arial,'Liberation Sans',sans-serif}
.m.dark{color:#e6e6ea}
.m.dark svg{filter:brightness(1.2)}
.m *{box-sizing:border-box}
.m svg{display:block;width:100%;height:100%}
.m code{font:12px 'Fira Code',Menlo,Consolas,'Liberation Mono',monospace;padding:1px 5px;
 border-radius:4px;background:rgba(128,128,128,.18)}
.m .empty{display:flex;height:100%;min-height:80px;align-items:center;justify-content:center;
 text-align:center;opacity:.75;padding:12px}
.m .problem{display:flex;height:100%;min-height:80px;align-items:center;padding:12px 16px;
 border-left:4px solid #D55E00}
.m table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
.m th{font-weight:600;text-align:left;vertical-align:bottom;padding:5px 8px;
 border-bottom:1px solid rgba(128,128,128,.6)}
.m td{padding:5px 8px;border-bottom:1px solid rgba(128,128,128,.2);vertical-align:top}
.m .n{text-align:right}
.m td.n,.m .t{white-space:nowrap}
.m .cards{display:flex;gap:12px;height:100%;align-items:stretch}
.m .card{flex:1 1 0;min-width:150px;overflow:auto;padding:12px 14px;border-radius:8px;
 background:rgba(128,128,128,.12)}
.m .card .label{opacity:.75}
.m .card .value{font-size:24px;line-height:1.3;font-weight:600;overflow-wrap:anywhere}
.m .card .note{opacity:.8;overflow-wrap:anywhere}
.m .dot{display:inline-block;width:.6em;height:.6em;border-radius:50%;margin-right:.4em}
.m .of{height:100%}
.m .of[hidden]{display:none}
.m .choice{position:absolute;top:2px;right:4px;z-index:1;font:11px inherit;opacity:.85;
 color:inherit;background:rgba(128,128,128,.18);border:0;border-radius:4px;padding:1px 4px}
.m .choice option{color:#22262b}
.m .state{display:inline-block;padding:1px 9px;border-radius:10px;color:#fff;font-weight:600;
 white-space:nowrap}
"""

# The page around a tile may be forbidden to remember anything: then each tile is chosen by itself.
_CHOICE: Final = """
(function(){var s=document.querySelector('.choice'),k='mlops.dataset',
show=function(n){var all=[...document.querySelectorAll('.of')],
has=all.some(function(e){return e.dataset.of===n});n=has?n:s.dataset.first;s.value=n;
all.forEach(function(e){e.hidden=e.dataset.of!==n})};
var kept;try{kept=localStorage.getItem(k)}catch(_){}
show(kept);s.onchange=function(){show(s.value);try{localStorage.setItem(k,s.value)}catch(_){}};
addEventListener('storage',function(e){if(e.key===k)show(e.newValue)})})()
"""

# Mage shows a tile in a frame of its own, which has a border and knows nothing of the page's theme:
# the text becomes light where what lies behind the frame is dark.
_IN_MAGE: Final = """
try{var e=frameElement,c;e.style.border='0';
do{c=parent.getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number)}
while(c[3]===0&&(e=e.parentElement));
if(e&&.299*c[0]+.587*c[1]+.114*c[2]<128)document.body.classList.add('dark')}catch(_){}
"""


def escape(text: object) -> str:
    """Return a text as HTML."""
    return _html.escape(str(text))


def prose(text: str) -> Html:
    """Return a sentence as HTML; what stands between backticks becomes code."""
    return Html(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))


def empty(text: str) -> Html:
    """Return a sentence in place of a chart without data; it says which command will fill it."""
    return Html(f'<div class="empty"><div>{prose(text)}</div></div>')


def problem(text: str) -> Html:
    """Return a sentence in place of a chart that could not be drawn; it names the cause."""
    return Html(f'<div class="problem"><div>{prose(text)}</div></div>')


def state_html(state: str, text: str = "") -> Html:
    """Return a state as a coloured word: nobody has to know the colours."""
    colour = state_colour(state)
    return Html(f'<span class="state" style="background:{colour}">{escape(text or state)}</span>')


def version_html(version: object) -> Html:
    """Return a version's number after a dot of the colour that it has in all charts."""
    colour = version_colour(int(str(version)))
    return Html(f'<span class="dot" style="background:{colour}"></span>version {escape(version)}')


def family_html(family: str) -> Html:
    """Return a family's name after a dot of the colour that it has in all charts."""
    dot = f'<span class="dot" style="background:{look(family).colour}"></span>'
    return Html(f"{dot}{escape(family)}")


class Card(NamedTuple):
    """One fact.

    Attributes:
        label: What it is.
        value: Text, or `Html` such as `state_html`.
        note: A sentence below it; commands between backticks.
        width: Relative to other cards.
    """

    label: str
    value: object
    note: str = ""
    width: float = 1


def cards_html(cards: Iterable[Card]) -> Html:
    """Return cards beside each other."""
    drawn = (
        f'<div class="card" style="flex-grow:{width:g}"><div class="label">{escape(label)}</div>'
        f'<div class="value">{_cell(value)}</div><div class="note">{prose(note)}</div></div>'
        for label, value, note, width in cards
    )
    return Html(f'<div class="cards">{"".join(drawn)}</div>')


def table_html(
    table: pd.DataFrame,
    headings: Mapping[str, str] | None = None,
    formats: Mapping[str, str] | None = None,
    states: Sequence[str] = (),
    tight: Sequence[str] = (),
) -> Html:
    """Return a table; numbers are set to the right, missing values are a dash.

    Args:
        table: One line per row, without its index; in texts, what stands between backticks is code.
        headings: Column → heading with its unit; only these columns are shown, in this order.
            None: all of them by name.
        formats: Column → format specification, such as ``.3f`` or ``,.0f``.
        states: Columns that hold a state, shown as a coloured word.
        tight: Columns whose texts are kept on one line.
    """
    named = headings if headings is not None else {str(name): str(name) for name in table.columns}
    chosen = formats or {}
    numeric = {name for name in named if pd.api.types.is_numeric_dtype(table[name])}
    head = "".join(
        f'<th class="n">{escape(text)}</th>' if name in numeric else f"<th>{escape(text)}</th>"
        for name, text in named.items()
    )
    lines = []
    for row in table[list(named)].itertuples(index=False, name=None):
        cells = []
        for name, value in zip(named, row, strict=True):
            if name in states and not _missing(value):
                value = state_html(str(value)) if value else Html()
            text = _cell(value, chosen.get(name, ""))
            kind = ' class="n"' if name in numeric else ' class="t"' if name in tight else ""
            cells.append(f"<td{kind}>{text}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return Html(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>")


def choice(tiles: Mapping[str, Html], first: str) -> Html:
    """Return a tile for each of several datasets, of which a person sees one.

    What is chosen in one tile is shown in all others, and remembered by the browser.

    Args:
        tiles: Name of the dataset to its tile.
        first: What is shown before anything was chosen.
    """
    if len(tiles) < 2:
        return next(iter(tiles.values()))
    options = "".join(f"<option>{escape(name)}</option>" for name in tiles)
    bodies = "".join(
        f'<div class="of" data-of="{escape(name)}"{"" if name == first else " hidden"}>{tile}</div>'
        for name, tile in tiles.items()
    )
    return Html(
        f'<select class="choice" title="dataset" data-first="{escape(first)}">{options}</select>'
        f"{bodies}<script>{_CHOICE}</script>"
    )


def document(body: Html) -> str:
    """Return the page that Mage shows as a tile."""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><style>"
        "html,body{margin:0;height:100%;background:transparent;overflow:auto}"
        f"#tile{{height:100%}}{STYLE}</style></head>"
        f'<body class="m"><div id="tile">{body}</div><script>{_IN_MAGE}</script></body></html>'
    )


def _cell(value: object, how: str = "") -> str:
    if _missing(value):
        return "–"
    if isinstance(value, Html):
        return value
    return prose(format(value, how) if how else str(value))


def _missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
