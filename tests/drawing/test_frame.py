"""The frame of every chart: what it becomes, and what nobody has to think of when drawing."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mlops.drawing import frame, palette
from mlops.drawing.frame import (
    HALF,
    Drawing,
    FigureSize,
    axes,
    drawn,
    figure,
    legend,
    to_html,
    to_png,
    to_svg,
)
from mlops.drawing.html import Html
from mlops.drawing.moments import dates
from mlops.settings import load_settings
from mlops.training.families import family_of

SVG = "{http://www.w3.org/2000/svg}"
DAYS = pd.date_range("2024-01-01", periods=4, tz="UTC")


@drawn("Nothing yet: `mlops run` makes some.")
def draw(
    table: pd.DataFrame, size: FigureSize = HALF, title: str = "Errors <by> day & night"
) -> Drawing:
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
    colours = [each.colour for each in palette.FAMILIES.values()]
    assert len(set(colours)) == len(colours)
    assert palette.VERMILLION not in colours  # it is for what is wrong
    assert palette.look("something new").colour == palette.INK


def test_a_version_looks_like_its_family() -> None:
    for name in palette.FAMILIES:
        assert palette.look(f"version 12 ({name})") == palette.look(name)
    assert palette.look("version 1 (something new)") == palette.look("something new")


@pytest.mark.parametrize("colours", [palette.HUES, [x.colour for x in palette.FAMILIES.values()]])
def test_colours_can_be_told_apart_and_seen_on_light_and_dark_pages(colours: list[str]) -> None:
    for first, second in itertools.combinations(colours, 2):
        distance = np.linalg.norm(255 * (np.array(to_rgb(first)) - np.array(to_rgb(second))))
        assert distance > 50, (first, second)
    for colour in colours:
        assert contrast(colour, "#ffffff") > 1.9 and contrast(colour, "#1a1c20") > 1.9, colour


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it, 1 to 21."""
    lights = sorted(
        np.dot(
            [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(each)],
            [0.2126, 0.7152, 0.0722],
        )
        for each in (first, second)
    )
    return float((lights[1] + 0.05) / (lights[0] + 0.05))


def test_a_version_has_one_colour_and_its_neighbours_have_others() -> None:
    for version in range(1, 40):
        near = {palette.version_colour(version + other) for other in range(len(palette.HUES))}
        assert len(near) == len(palette.HUES)
    assert palette.VERMILLION not in palette.HUES


@pytest.mark.parametrize("values", [[3.0], [3.0, np.nan, 4.0, 5.0], [np.nan, 2.0, np.nan]])
def test_points_without_a_neighbour_are_marked(values: list[float]) -> None:
    (line,) = drawing(lasso=values).axes[0].lines

    assert line.get_marker() == "o"
    alone = line.get_markevery()
    assert all(np.isfinite(values[place]) for place in alone)
    assert len(alone) == 1


def test_lines_are_not_marked() -> None:
    (line,) = drawing(lasso=[3.0, 4.0, 5.0]).axes[0].lines

    assert line.get_marker() in ("", "None")


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
