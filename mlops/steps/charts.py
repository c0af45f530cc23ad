"""What a chart block calls: read one small table, draw it, and return the page of its tile.

Charts run inside Mage's web server: they only read what the observer has prepared, and a chart that
cannot be drawn says why instead of leaving the tile empty.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from mlops.datasets.catalogue import settings_in_home
from mlops.datasets.opening import dataset_of
from mlops.drawing.frame import Drawing, axes, drawn, figure, to_html
from mlops.drawing.html import Html, choice, document, problem
from mlops.errors import MlopsError
from mlops.observability.memory import Stamp, stamp_of
from mlops.observability.tables import TABLES
from mlops.settings import Settings, load_settings

logger = logging.getLogger(__name__)

Draw = Callable[..., Drawing]
_NOW_MINUTES = 5  # pages whose time axis ends now are drawn anew so often
_tiles: dict[tuple[Path, Draw], tuple[Stamp, Html]] = {}  # one per chart and dataset


def chart(table: str, draw: Draw) -> str:
    """Return a tile as a self-contained page, with a choice if the home has several datasets.

    Args:
        table: Name of the observer's table; it may be empty, and `draw` then says so.
        draw: A function of `mlops.drawing`; if it takes ``now`` or ``words``, it is given the time
            or the words of the dataset.
    """
    try:
        settings = load_settings()
    except MlopsError as error:
        return document(problem(error.in_one_line))
    tiles = {name: _tile(its, table, draw) for name, its in settings_in_home(settings).items()}
    return document(choice(tiles, settings.dataset))


def _tile(settings: Settings, table: str, draw: Draw) -> Html:
    """Return the tile of one dataset, drawn anew only when its table has changed."""
    try:
        path = settings.observed / f"{table}.parquet"
        # The observer writes a table only when it has changed; pages ask for it every minute.
        stamp: Stamp = stamp_of(path)
        takes = inspect.signature(draw).parameters
        given: dict[str, Any] = {}
        if stamp and "now" in takes:
            given["now"] = datetime.now(timezone.utc).replace(second=0, microsecond=0)
            given["now"] -= timedelta(minutes=given["now"].minute % _NOW_MINUTES)
            stamp = stamp, given["now"]
        seen = _tiles.get((path, draw))
        if stamp and seen and seen[0] == stamp:
            return seen[1]
        if "words" in takes:
            given["words"] = dataset_of(settings).words
        tile = to_html(draw(_read(table, path), **given))
        _tiles[path, draw] = stamp, tile
        return tile
    except MlopsError as error:
        return problem(error.in_one_line)
    except Exception as error:
        logger.exception("the chart of %s could not be drawn", table)
        return problem(
            f"The table `{table}` could not be drawn: {type(error).__name__}: {error}. The log of"
            " the web server has the details."
        )


def _read(table: str, path: Path) -> pd.DataFrame:
    """Return a table, empty before there is one; unlike the observer's reader, say what is wrong.

    Raises:
        MlopsError: If it cannot be read, or another version of the project wrote it.
    """
    if not path.exists():
        return TABLES[table].empty
    try:
        return TABLES[table].shaped(pd.read_parquet(path))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise MlopsError(
            f"{path}: cannot be read ({str(error).splitlines()[0]})",
            "delete it: `mlops up` rebuilds it within seconds",
        ) from error


def warm_up() -> None:
    """Load what drawing needs, fonts included: the first page must not wait for it."""
    drawn("")(_draw_nothing)(pd.DataFrame({"x": [0]}))


def _draw_nothing(table: pd.DataFrame) -> Drawing:
    made = figure()
    axes(made, title="", x="", y="").plot(table["x"])
    return to_html(made)
