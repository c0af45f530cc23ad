"""Grafana's dashboards as files: complete, readable, and laid out without overlaps.

Whether Prometheus understands what they ask is tested in tests/observability/test_prometheus.py.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

GRAFANA = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
TYPES = {"stat", "timeseries", "table", "bargauge"}
# https://github.com/grafana/grafana, packages/grafana-data: valueFormats/categories.ts
UNITS = {"none", "short", "s", "m", "d", "reqps", "percentunit"}
COLUMNS = 24


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"file": request.param.stem, **json.loads(request.param.read_text("utf-8"))}


def test_there_are_four_and_each_is_found_by_its_name() -> None:
    assert [path.stem for path in FILES] == ["models", "overview", "pipelines", "serving"]


def test_each_is_named_linked_and_read_only(board: dict[str, Any]) -> None:
    assert board["uid"] == f"mlops-{board['file']}"
    assert board["title"] and board["description"] and board["timezone"] == "utc"
    assert board["editable"] is False and board["schemaVersion"] >= 39
    others = {f"/d/mlops-{path.stem}" for path in FILES} - {f"/d/{board['uid']}"}
    assert {link["url"] for link in board["links"]} == others


def test_each_panel_says_what_it_shows_in_which_unit(board: dict[str, Any]) -> None:
    source = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
    )["datasources"][0]
    expected = {"type": source["type"], "uid": source["uid"]}

    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({panel["title"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        where = f"{board['file']}: {panel['title']}"
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["type"] in TYPES and panel["description"], where
        assert defaults["unit"] in UNITS and defaults["noValue"], where
        assert defaults["thresholds"]["steps"][0]["value"] is None, where
        assert panel["datasource"] == expected, where
        assert panel["targets"], where
        for target in panel["targets"]:
            assert target["datasource"] == expected and target["expr"], where
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters), where


def test_a_name_with_a_unit_is_shown_in_it(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            plain = re.fullmatch(
                r"mlops_\w+?_(minutes|days|seconds|share)(\{.*\})?", target["expr"]
            )
            if plain and panel["type"] != "table":
                wanted = {"minutes": "m", "days": "d", "seconds": "s", "share": "percentunit"}
                assert unit == wanted[plain[1]], (board["file"], panel["title"])


def test_panels_lie_within_the_page_and_beside_each_other(board: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    for place in places:
        assert place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS and place["h"] >= 3
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (board["file"], one, other)


def test_variables_that_are_used_are_defined(board: dict[str, Any]) -> None:
    used = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\$(\w+)", target["expr"])
    }

    assert used == {variable["name"] for variable in board["templating"]["list"]}
