"""A tile is always a page: with a picture, a sentence, or what is wrong."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mlops.datasets.wording import DatasetWords
from mlops.drawing.html import Html
from mlops.errors import MlopsError
from mlops.observability.overview_tables import TABLES
from mlops.settings import PROJECT_ROOT, load_settings
from mlops.steps.charts import chart, warm_up

LAYOUTS = sorted((PROJECT_ROOT / "presenters").rglob("block_layout.yaml"))
CHARTS = sorted((PROJECT_ROOT / "charts").rglob("*.py"))


@pytest.fixture
def observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    folder = load_settings().observed
    folder.mkdir()
    return folder


def rules(count: int) -> pd.DataFrame:
    row = dict.fromkeys(TABLES["gate"].columns, "x") | {"value": 1.0, "limit": 2.0}
    return TABLES["gate"].shaped(pd.DataFrame([row] * count))


def draw(table: pd.DataFrame) -> Html:
    return Html(f"{len(table)} rows at {os.urandom(4).hex()}")


def test_a_table_is_drawn_anew_only_when_it_has_changed(observed: Path) -> None:
    path = observed / "gate.parquet"
    rules(2).to_parquet(path)
    first, second = chart("gate", draw), chart("gate", draw)
    assert "2 rows at" in first and second == first

    rules(3).to_parquet(observed / "new")
    (observed / "new").replace(path)

    assert "3 rows at" in chart("gate", draw)


def test_a_picture_speaks_in_the_words_of_the_dataset(observed: Path) -> None:
    def speak(table: pd.DataFrame, words: DatasetWords) -> Html:
        return Html(words.rows)

    assert "trips" in chart("gate", speak)


def test_a_home_with_several_datasets_has_a_choice(observed: Path) -> None:
    assert "<select" not in chart("gate", draw)
    others = load_settings({"dataset": "flights"}).observed
    others.mkdir(parents=True)
    (observed.parent / "datasets" / "gone").mkdir()  # its definition was deleted
    rules(2).to_parquet(observed / "gate.parquet")
    rules(3).to_parquet(others / "gate.parquet")

    page = chart("gate", draw)

    assert page.count("<option>") == 2
    shown, hidden = page.index('data-of="taxi">2 rows'), page.index('data-of="flights" hidden>3')
    assert shown < hidden


def test_a_dataset_that_the_environment_does_not_suit_takes_no_tile_from_others(
    observed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (observed.parent / "store").mkdir()
    monkeypatch.setenv("MLOPS_DATASET", "flights")
    monkeypatch.setenv("MLOPS_SOURCE__MONTHS", "all")  # trips have no last month

    assert "0 rows at" in chart("gate", draw)


def test_before_there_is_a_table_it_is_drawn_empty(observed: Path) -> None:
    assert "0 rows at" in chart("gate", draw)


def test_what_goes_wrong_is_said_in_the_tile(observed: Path) -> None:
    def fail(table: pd.DataFrame) -> Html:
        raise ZeroDivisionError("by <nothing>")

    page = chart("gate", fail)

    assert 'class="problem"' in page and "ZeroDivisionError: by &lt;nothing&gt;" in page
    assert "<code>gate</code>" in page


@pytest.mark.parametrize("wrong", ["damaged", "of another version"])
def test_a_table_that_cannot_be_read_is_named(observed: Path, wrong: str) -> None:
    path = observed / "gate.parquet"
    if wrong == "damaged":
        path.write_bytes(b"PAR1 and nothing else")
    else:
        pd.DataFrame({"rule": ["x"]}).to_parquet(path)

    page = chart("gate", draw)

    assert 'class="problem"' in page and f"{path}: cannot be read" in page
    assert "delete it: <code>mlops up</code> rebuilds it" in page


def test_a_mistake_of_a_person_is_said_with_what_to_do(
    observed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(table: pd.DataFrame) -> Html:
        raise MlopsError("the home is gone", "bring it back")

    assert "the home is gone; bring it back" in chart("gate", refuse)

    monkeypatch.setenv("MLOPS_SERVING__PORT", "none")
    assert "serving.port" in chart("gate", draw)


def test_warming_up_needs_no_table() -> None:
    warm_up()


@pytest.mark.parametrize("path", CHARTS, ids=lambda path: path.relative_to(PROJECT_ROOT).as_posix())
def test_every_chart_is_a_page_before_there_is_data(path: Path, observed: Path) -> None:
    made: dict[str, object] = {}

    def render(render_type: str) -> object:
        assert render_type == "html"
        return lambda function: made.setdefault(function.__name__, function)

    runpy.run_path(str(path), {"render": render})

    (function,) = made.values()
    assert callable(function)
    page = function()
    assert 'class="problem"' not in page, page
    assert 'class="empty"' in page


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.parent.parent.name)
def test_every_tile_of_a_layout_is_a_chart_with_a_name_and_a_place(path: Path) -> None:
    layout = yaml.safe_load(path.read_text(encoding="utf-8"))
    placed = [tile["block_uuid"] for row in layout["layout"] for tile in row]

    assert sorted(placed) == sorted(layout["blocks"])
    for name, block in layout["blocks"].items():
        assert (PROJECT_ROOT / "charts" / f"{name}.py").is_file(), name
        assert block["uuid"] == name and block["name"] and block["type"] == "chart"
        assert block["data_source"]["type"] == "chart_code"


def test_every_chart_is_shown_somewhere() -> None:
    shown = {name for path in LAYOUTS for name in yaml.safe_load(path.read_text())["blocks"]}
    there = {
        path.relative_to(PROJECT_ROOT / "charts").with_suffix("").as_posix() for path in CHARTS
    }

    assert there == shown
