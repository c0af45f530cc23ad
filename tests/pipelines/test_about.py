"""What each pipeline says about itself in Mage's editor: true, complete, and never executed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.orchestration.triggers.admission import accepted_names
from mlops.orchestration.triggers.declared import TRIGGERS

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = sorted(path.parent.name for path in ROOT.glob("pipelines/*/metadata.yaml"))


def about(name: str) -> str:
    """Read what a pipeline says of itself."""
    return (ROOT / "markdowns" / f"about_{name}.md").read_text(encoding="utf-8")


def blocks(name: str) -> list[dict[str, Any]]:
    """Read a pipeline's blocks."""
    text = (ROOT / "pipelines" / name / "metadata.yaml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = yaml.safe_load(text)["blocks"]
    return found


@pytest.mark.parametrize("name", PIPELINES)
def test_it_stands_above_the_blocks_and_belongs_to_no_flow(name: str) -> None:
    first = blocks(name)[0]

    assert first["uuid"] == f"about_{name}"
    assert first["type"] == "markdown"
    assert first["upstream_blocks"] == first["downstream_blocks"] == []


@pytest.mark.parametrize("name", PIPELINES)
def test_it_names_every_block(name: str) -> None:
    text = about(name)

    assert text.startswith(f"# {name}\n")
    for block in blocks(name)[1:]:
        assert f"`{block['uuid']}`" in text, block["uuid"]


@pytest.mark.parametrize("name", PIPELINES)
def test_every_variable_it_tells_of_is_one(name: str) -> None:
    told = re.findall(r"^\| `([\w.]+)` \|", about(name), re.MULTILINE)
    shown = re.findall(r"--var ([\w.]+)=", about(name))

    for variable in (*told, *shown):
        assert variable in accepted_names(name), variable


@pytest.mark.parametrize("name", PIPELINES)
def test_its_request_is_that_of_the_trigger(name: str) -> None:
    [trigger] = [t for t in TRIGGERS if t.pipeline == name and t.kind == "api"]
    [body] = re.findall(r"-d '(.*)'", about(name))

    assert json.loads(body) == {"pipeline_run": {"variables": dict(trigger.example)}}
    assert "/api/pipeline_schedules/ID/api_trigger" in about(name)


@pytest.mark.parametrize(
    "name", sorted(path.name for path in (ROOT / "presenters" / "pipelines").iterdir())
)
def test_it_links_to_its_dashboard(name: str) -> None:
    assert f"(/pipelines/{name}/dashboard)" in about(name)
