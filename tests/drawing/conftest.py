"""What every picture is held to."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.wording import PLAIN


@pytest.fixture(scope="session", params=["trips", "plain"])
def in_words(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return what lets a drawing speak of trips, or of rows of which nothing is known."""
    words = TaxiTrips().words if request.param == "trips" else PLAIN

    def speak(draw: Callable[..., Any]) -> Callable[..., Any]:
        if "words" not in inspect.signature(draw).parameters:
            return draw
        return functools.partial(draw, words=words)

    return speak


@pytest.fixture(scope="session")
def assert_legible() -> Callable[[Figure], None]:
    """Return the check that no text is cut off and no tick labels lie on each other."""
    return _assert_legible


def _assert_legible(made: Figure) -> None:
    """No text lies outside of the picture, and no two tick labels lie on each other."""
    made.draw_without_rendering()
    ticks = [
        text for on in made.axes for text in (*on.xaxis.findobj(Text), *on.yaxis.findobj(Text))
    ]
    labels = [_shown(axis) for on in made.axes for axis in (on.xaxis, on.yaxis)]
    others = [text for text in made.findobj(Text) if text not in ticks and text.get_visible()]
    for text in (*others, *itertools.chain(*labels)):
        box = text.get_window_extent()
        if text.get_text() and box.width:
            assert box.x0 > -2 and box.x1 < made.bbox.x1 + 2, text.get_text()
            assert box.y0 > -2 and box.y1 < made.bbox.y1 + 2, text.get_text()
    for axis in labels:
        boxes = [text.get_window_extent() for text in axis]
        for first, second in itertools.combinations(boxes, 2):
            width = min(first.x1, second.x1) - max(first.x0, second.x0)
            height = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert width < 1 or height < 2, [text.get_text() for text in axis]


def _shown(axis: Any) -> list[Text]:
    """The labels of the ticks that are drawn; matplotlib keeps others at hand."""
    return [tick.label1 for tick in axis._update_ticks() if tick.label1.get_text()]
