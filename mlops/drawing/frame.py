"""What every chart shares: size, type, axes that have a unit, and how it becomes SVG, PNG or HTML.

Drawing functions are pure, from a table to a `Figure` or a piece of `Html`. They use matplotlib's
`Figure`, never pyplot, whose figures pile up in a server; `drawn` gives them the project's style.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlops.drawing.html import Html, empty, escape
from mlops.drawing.palette import INK

Drawing = Figure | Html
P = ParamSpec("P")


class FigureSize(NamedTuple):
    """Of a figure, in CSS pixels."""

    width: int
    height: int


# What Mage leaves of a laptop's page (1440 pixels wide) for tiles: alone, or as parts of a row. A
# layout gives a tile the height of its figure; on a wider screen there is air around it.
FULL: Final = FigureSize(1275, 300)
HALF: Final = FigureSize(608, 300)
TALL: Final = FigureSize(HALF.width, 420)
# What one picture has room for, of the best candidates.
BESIDE: Final = 5

_LETTER_WIDTH: Final = 6.5  # of a legend, in pixels, on average
_KEY_WIDTH: Final = 42
# Text is measured with the widest of them, so it fits with whichever the browser has.
_MEASURED: Final = "DejaVu Sans"
_FONTS: Final = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
_METADATA: Final = ("Creator", "Date", "Format", "Type")  # all of it is left out
# The names that matplotlib knows are typed otherwise in each of its versions.
_STYLE: Final[Any] = {
    "figure.dpi": 72,  # one point of type is one pixel of the size
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.titlecolor": INK,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "text.color": INK,
    "font.family": _MEASURED,
    "font.size": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "legend.borderaxespad": 0.2,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "patch.linewidth": 0,
    # Text stays text: small files, and a browser can find and read it aloud.
    "svg.fonttype": "none",
    "svg.hashsalt": "mlops",
}


def drawn(
    when_empty: str,
) -> Callable[
    [Callable[Concatenate[pd.DataFrame, P], Drawing]],
    Callable[Concatenate[pd.DataFrame, P], Drawing],
]:
    """Give a drawing function the project's style, and a sentence instead of an empty picture.

    Args:
        when_empty: Shown in place of a table without rows; says what will fill it. A command is
            written between backticks: ``No run yet: `mlops run` makes the first.``
    """

    def wrap(
        draw: Callable[Concatenate[pd.DataFrame, P], Drawing],
    ) -> Callable[Concatenate[pd.DataFrame, P], Drawing]:
        @functools.wraps(draw)
        def inner(table: pd.DataFrame, /, *args: P.args, **kwargs: P.kwargs) -> Drawing:
            if table.empty:
                return empty(when_empty)
            with styled():
                drawing = draw(table, *args, **kwargs)
            if isinstance(drawing, Figure):
                _show_single_points(drawing)
            return drawing

        return inner

    return wrap


def styled() -> Any:
    """Return a context in which matplotlib has the project's style: for what `drawn` cannot be."""
    return rc_context(_STYLE)


def figure(size: FigureSize = HALF) -> Figure:
    """Return an empty figure that can be saved; draw on it in the project's style."""
    fig = Figure(figsize=(size.width / 72, size.height / 72))
    FigureCanvasAgg(fig)
    return fig


def axes(fig: Figure, *, title: str, x: str, y: str) -> Axes:
    """Return the axes of a figure with one picture; see `label`."""
    return label(fig.subplots(), title=title, x=x, y=y)


def label(on: Axes, *, title: str, x: str, y: str) -> Axes:
    """Say what axes show.

    Args:
        on: The axes.
        title: What is seen, in words.
        x: Name and unit, as in ``age, days``; empty only where ticks are names or dates.
        y: Likewise.
    """
    on.set(title=title, xlabel=x, ylabel=y)
    return on


def headline(fig: Figure, text: str) -> None:
    """Put one title over the pictures of a figure."""
    fig.suptitle(text, x=0.01, ha="left", fontsize=12)


def legend(fig: Figure, on: Axes) -> None:
    """Put the legend below the picture, where it hides nothing, in as few lines as fit."""
    handles, labels = on.get_legend_handles_labels()
    if handles:
        entry = _KEY_WIDTH + _LETTER_WIDTH * max(map(len, labels))  # columns are equally wide
        columns = max(1, int(fig.get_figwidth() * 72 / entry))
        rows = -(-len(labels) // columns)
        fig.legend(
            handles, labels, loc="outside lower center", ncols=min(columns, -(-len(labels) // rows))
        )


def _show_single_points(fig: Figure) -> None:
    """Mark the points of lines without a neighbour: no line leads to them."""
    for line in (line for on in fig.axes for line in on.lines):
        if line.get_marker() not in ("", "None", None, " ") or line.get_linestyle() == "None":
            continue
        known = np.isfinite(np.asarray(line.get_ydata(orig=False), dtype=float))
        before, after = np.r_[False, known[:-1]], np.r_[known[1:], False]
        alone = np.flatnonzero(known & ~before & ~after)
        if len(alone):
            line.set(marker="o", markevery=alone.tolist())


def to_svg(fig: Figure) -> str:
    """Return a figure as one ``<svg>`` element that grows with what it is put into.

    Nothing external is needed, its ink has the colour of the text around it, and the same figure
    gives the same bytes.
    """
    buffer = io.StringIO()
    with styled():
        _lay_out(fig)
        fig.savefig(buffer, format="svg", metadata=dict.fromkeys(_METADATA))
    svg = buffer.getvalue()
    head, body = svg[svg.index("<svg") :].rstrip().split(">", 1)
    head = re.sub(r' (width|height)="[^"]*pt"', "", head)
    # Its style sheet would reach out to the page around.
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(rf"'{_MEASURED}'[^;\"]*", _FONTS, body)
    body = re.sub(INK, "currentColor", body, flags=re.IGNORECASE)
    titles = (each.get_title(loc="left") for each in fig.axes)
    name = escape(next(filter(None, titles), ""))
    placed = 'preserveAspectRatio="xMinYMid" style="stroke-linejoin:round"'
    return f'{head} {placed} role="img" aria-label="{name}">{body}'


def to_png(fig: Figure, scale: float = 2.0) -> bytes:
    """Return a figure as PNG on white, ``scale`` pixels per CSS pixel."""
    buffer = io.BytesIO()
    with styled():
        _lay_out(fig)
        fig.savefig(
            buffer, format="png", dpi=72 * scale, facecolor="white", metadata={"Software": None}
        )
    return buffer.getvalue()


def _lay_out(fig: Figure) -> None:
    """Find the place of everything once: saving would do so twice, for half of its time."""
    engine = fig.get_layout_engine()
    if engine is not None:
        engine.execute(fig)
        with rc_context({"figure.constrained_layout.use": False}):
            fig.set_layout_engine(None)


def to_html(drawing: Drawing) -> Html:
    """Return a drawing as a piece of HTML to be put into a page."""
    return Html(to_svg(drawing)) if isinstance(drawing, Figure) else drawing
