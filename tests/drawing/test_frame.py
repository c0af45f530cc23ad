"""The frame of every chart: what it becomes, and what nobody has to think of when drawing."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure

from mlops.drawing import frame, palette
from mlops.drawing.frame import (
    HALF,
    Drawing,
    Size,
    axes,
    dates,
    drawn,
    figure,
    legend,
    to_html,
    to_png,
    to_svg,
)
from mlops.drawing.html import Html
from mlops.settings import load_settings
from mlops.training.families import family_of

SVG = "{http://www.w3.org/2000/svg}"
DAYS = pd.date_range("2024-01-01", periods=4, tz="UTC")


@drawn("Nothing yet: `mlops run` makes some.")
def draw(table: pd.DataFrame, size: Size = HALF, title: str = "Errors <by> day & night") -> Drawing:
    made = figure(size)
    on = axes(made, title=title, x="day", y="RMSE, minutes")
    for name in table:
        on.plot(DAYS[: len(table)], table[name], label=name)
    dates(on)
    legend(made, on)
    return made


def drawing(**columns: list[float]) -> Figure:
    made = draw(pd.DataFrame(columns or {"lasso": [3.0, 4.0, 3.5, 5.0]}))
    assert isinstance(made, Figure)
    return made


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_an_svg_is_whole_and_needs_nothing_from_elsewhere() -> None:
    svg = to_svg(drawing())

    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg" and root.get("viewBox") == "0 0 608 300"
    assert root.get("width") is root.get("height") is None  # it grows with what is around it
    assert root.get("aria-label") == "Errors <by> day & night"
    references = {a for each in root.iter() for n, a in each.attrib.items() if n.endswith("href")}
    assert references and all(each.startswith("#") for each in references)
    assert "<style" not in svg and "url(http" not in svg and "@import" not in svg


def test_text_stays_text_with_title_unit_and_legend() -> None:
    found = texts(to_svg(drawing()))

    assert {"Errors <by> day & night", "RMSE, minutes", "day", "lasso"} <= set(found)


def test_ink_is_that_of_the_page_and_other_colours_are_kept() -> None:
    svg = to_svg(drawing())

    assert palette.INK.lower() not in svg.lower() and "currentColor" in svg
    assert "#1f77b4" in svg  # a line


def test_the_same_table_gives_the_same_bytes() -> None:
    first, second = drawing(), drawing()

    assert to_svg(first) == to_svg(second)
    assert to_png(first) == to_png(second)


def test_a_png_is_sharp_and_white(tmp_path: Any) -> None:
    import matplotlib.image

    path = tmp_path / "chart.png"
    path.write_bytes(to_png(drawing(), scale=2))
    pixels = matplotlib.image.imread(path)

    assert pixels.shape[:2] == (600, 1216)
    assert pixels[0, 0].tolist() == [1, 1, 1, 1]


def test_without_rows_a_sentence_says_what_will_fill_it() -> None:
    found = draw(pd.DataFrame({"lasso": []}))

    assert isinstance(found, Html)
    assert "Nothing yet: <code>mlops run</code> makes some." in found
    assert to_html(found) is found


def test_drawing_leaves_the_style_of_others_alone() -> None:
    before = dict(rcParams)

    to_svg(drawing())

    assert dict(rcParams) == before


def test_a_legend_of_many_keeps_within_the_picture() -> None:
    many = {name: [1.0, 2.0] for name in palette.FAMILIES}
    made = drawing(**many)
    made.draw_without_rendering()

    (found,) = made.legends
    box = found.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= HALF.width
    assert len(found.get_texts()) == len(many)


def test_every_family_has_a_look_of_its_own() -> None:
    settings = load_settings().training
    for name in (*settings.families, *settings.objectives):
        assert family_of(name).name == name and name in palette.FAMILIES, name
    looks = list(palette.FAMILIES.values())
    assert len(set(looks)) == len(looks)
    assert palette.look("something new").colour == palette.INK


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        ("failed", palette.VERMILLION),
        ("COMPLETED", palette.GREEN),
        ("rolled_back", palette.PURPLE),
        ("never heard of", palette.GREY),
    ],
)
def test_states_have_colours_however_they_are_written(state: str, colour: str) -> None:
    assert palette.state_colour(state) == colour


def test_tiles_of_a_row_are_as_wide_as_the_row() -> None:
    # Mage leaves 59 pixels between the pictures of neighbouring tiles.
    assert 2 * frame.HALF.width + 59 == frame.FULL.width
    assert frame.THIRD.width + frame.TWO_THIRDS.width + 60 == frame.FULL.width
