"""What a chart block calls: read one small table, draw it, and return the page of its tile.

Charts run inside Mage's web server: they only read what the observer has prepared, and a chart that
cannot be drawn says why instead of leaving the tile empty.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import pandas as pd

from mlops.drawing.frame import Drawing, axes, drawn, figure, to_html
from mlops.drawing.html import document, problem
from mlops.errors import MlopsError
from mlops.observability.tables import read_table
from mlops.settings import load_settings

logger = logging.getLogger(__name__)


def chart(table: str, draw: Callable[[pd.DataFrame], Drawing]) -> str:
    """Return a tile as a self-contained page.

    Args:
        table: Name of the observer's table; it may be empty, and `draw` then says so.
        draw: A function of `mlops.drawing`.
    """
    try:
        body = to_html(draw(read_table(load_settings(), table)))
    except MlopsError as error:
        body = problem(f"{error.message}; {error.hint}" if error.hint else error.message)
    except Exception as error:
        logger.exception("the chart of %s could not be drawn", table)
        body = problem(
            f"The table `{table}` could not be drawn: {type(error).__name__}: {error}. The log of"
            " the web server has the details."
        )
    return document(body)


def warm_up() -> None:
    """Load what drawing needs, fonts included: the first page must not wait for it."""
    drawn("")(_draw_nothing)(pd.DataFrame({"x": [0]}))


def _draw_nothing(table: pd.DataFrame) -> Drawing:
    made = figure()
    axes(made, title="", x="", y="").plot(table["x"])
    return to_html(made)
