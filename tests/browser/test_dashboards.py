"""The dashboards in a real browser: numbers to be seen, or a sentence until there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.mage]

Open = Callable[..., Mapping[str, Any]]
# What must be read in the tiles of a dashboard: some of it is measured, some was written down.
OVERVIEW = {
    "Champion": ("version 1", "squared_error (synthetic trips)", "retraining", "6.10 min", "5.90"),
    "Live error of the champion": ("Live RMSE by window", "RMSE, minutes", "alarm limit", "v1"),
    "Drift of features and predictions": ("pickup zone", "3.5", "near the limit"),
    "Decisions of monitoring": ("retrain", "started retraining, run 12", "mlops retrain"),
    "Last deployments": ("refused", "ana", "9.4 ms"),
    "Candidates of the last selection": ("winner", "4.641", "test RMSE, min", "failed"),
    "The gate's verdict on the winner": ("passed", "3.1 %", "+1.9% to +4.2%"),
    "Data volume and quality": ("2024-01", "quarantined", "synthetic"),
}
DATA = {
    "Trips over time": ("trips per day", "train window", "validation window", "test window"),
    "Volume and quality": ("2024-02", "kept"),
    "Quarantine and flags by rule": ("duration", "share of the rows read, %"),
    "Missing values": ("passenger count", "2024-01"),
    "Time of day": ("hour, local time", "share of the window, %"),
    "Numbers: now and reference": ("distance of the trip", "the champion's reference"),
    "Categories: now and reference": ("passengers per trip", "tariff of the trip"),
    "Zones: now and reference": ("74 East Harlem North", "where trips end"),
}


def assert_tidy(tiles: Mapping[str, Any]) -> None:
    for name, tile in tiles.items():
        assert tile.kind != "problem", f"{name}: {tile.text}"
        assert not tile.outside, f"{name}: cut off: {tile.outside}"
        assert not tile.overlapping, f"{name}: on each other: {tile.overlapping}"


@pytest.mark.parametrize(
    ("layout", "path", "expected"),
    [
        ("overview", "/overview", OVERVIEW),
        ("pipelines/monitoring", "", OVERVIEW),
        ("pipelines/data_preparation", "", DATA),
    ],
    ids=["overview", "monitoring", "data"],
)
def test_numbers_are_shown_where_there_are_some(
    layout: str,
    path: str,
    expected: Mapping[str, tuple[str, ...]],
    open_dashboard: Open,
    request: pytest.FixtureRequest,
) -> None:
    tiles = open_dashboard(layout, path, picture=request.node.callspec.id)

    assert_tidy(tiles)
    for name, texts in expected.items():
        for text in texts:
            assert text in tiles[name].text, (name, text, tiles[name].text)
        assert tiles[name].kind in ("picture", "words"), name


@pytest.mark.parametrize(
    ("layout", "path"),
    [("overview", "/overview"), ("pipelines/data_preparation", "")],
    ids=["overview", "data"],
)
@pytest.mark.usefixtures("no_tables")
def test_before_there_is_data_each_tile_says_what_will_fill_it(
    layout: str, path: str, open_dashboard: Open, request: pytest.FixtureRequest
) -> None:
    tiles = open_dashboard(layout, path, picture=f"{request.node.callspec.id}-empty")

    assert_tidy(tiles)
    for name, tile in tiles.items():
        assert tile.kind == "empty", (name, tile.text)
        assert "mlops " in tile.text, name


def test_the_dashboard_is_what_one_sees_first(server: Any, page: Any) -> None:
    page.goto(f"{server.mage}/overview")

    page.get_by_text("Champion", exact=True).first.wait_for()
    for tab in ("Dashboard", "Today", "Last 7 days"):
        page.get_by_role("button", name=tab).first.wait_for()


def test_the_page_suits_its_theme(server: Any, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/data_preparation/dashboard")
    page.locator("iframe").first.wait_for()

    frame = page.locator("iframe").first.element_handle().content_frame()
    frame.wait_for_selector("body.dark")  # Mage's pages are dark, so our ink is light
    colour = frame.evaluate("getComputedStyle(document.querySelector('svg text')).color")
    assert min(map(int, colour[4:-1].split(","))) > 200, colour
