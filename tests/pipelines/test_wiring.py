"""The wiring of pipelines and blocks: consistent, thin, and free of what editors write."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = sorted(path.parent.name for path in ROOT.glob("pipelines/*/metadata.yaml"))
FOLDERS = {
    "data_loader": "data_loaders",
    "transformer": "transformers",
    "custom": "custom",
    "data_exporter": "data_exporters",
    "conditional": "conditionals",
}
BLOCK_FILES = sorted(path for folder in FOLDERS.values() for path in ROOT.glob(f"{folder}/*.py"))
PIPELINE_KEYS = {
    "uuid",
    "name",
    "type",
    "description",
    "tags",
    "blocks",
    "conditionals",
    "concurrency_config",
}
BLOCK_KEYS = {
    "uuid",
    "name",
    "type",
    "language",
    "upstream_blocks",
    "downstream_blocks",
    "configuration",
}
MOST_STATEMENTS = 3  # docstring, at most one statement, return


def load(pipeline: str) -> dict[str, Any]:
    """Read a pipeline's metadata."""
    text = (ROOT / "pipelines" / pipeline / "metadata.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def products() -> dict[str, Any]:
    """Read Mage's registry of global data products."""
    content: dict[str, Any] = yaml.safe_load(
        (ROOT / "global_data_products.yaml").read_text("utf-8")
    )
    return content


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_says_what_it_does_and_holds_no_editor_noise(name: str) -> None:
    pipeline = load(name)

    assert pipeline["uuid"] == pipeline["name"] == name
    assert len(pipeline["description"]) > 60
    assert pipeline["tags"]
    assert set(pipeline) <= PIPELINE_KEYS
    assert all(set(block) <= BLOCK_KEYS for block in pipeline["blocks"])


@pytest.mark.parametrize("name", PIPELINES)
def test_upstream_and_downstream_agree(name: str) -> None:
    blocks = {block["uuid"]: block for block in load(name)["blocks"]}
    edges = {(up, uuid) for uuid, block in blocks.items() for up in block["upstream_blocks"]}

    assert edges == {
        (uuid, down) for uuid, block in blocks.items() for down in block["downstream_blocks"]
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_every_block_has_its_file_or_its_product(name: str) -> None:
    for block in load(name)["blocks"]:
        if block["type"] == "global_data_product":
            assert block["configuration"]["global_data_product"]["uuid"] in products()
        elif block["type"] == "markdown":
            assert (ROOT / "markdowns" / f"{block['uuid']}.md").exists(), block["uuid"]
        else:
            assert (ROOT / FOLDERS[block["type"]] / f"{block['uuid']}.py").exists(), block["uuid"]


@pytest.mark.parametrize("name", PIPELINES)
def test_children_of_a_dynamic_block_are_collected(name: str) -> None:
    blocks = {block["uuid"]: block for block in load(name)["blocks"]}
    dynamic = [b for b in blocks.values() if b.get("configuration", {}).get("dynamic")]
    for parent in dynamic:
        for child in parent["downstream_blocks"]:
            assert blocks[child]["configuration"] == {"reduce_output": True}


def test_products_are_built_by_pipelines_and_expire() -> None:
    for name, product in products().items():
        assert product["object_uuid"] in PIPELINES
        # days, hours and minutes would mean: never
        assert set(product["outdated_after"]) <= {"seconds", "weeks", "months", "years"}
        last = load(product["object_uuid"])["blocks"][-1]["uuid"]
        assert list(product["settings"]) == [last], name
        assert (ROOT / "global_data_products" / f"{name}.yaml").exists()


@pytest.mark.parametrize("path", BLOCK_FILES, ids=lambda path: path.stem)
def test_a_block_is_one_call(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]

    assert ast.get_docstring(tree)
    assert len(functions) == 1
    assert ast.get_docstring(functions[0])
    assert len(functions[0].body) <= MOST_STATEMENTS


@pytest.mark.parametrize("name", PIPELINES)
def test_a_block_that_waits_for_runs_of_its_own_holds_no_worker(name: str) -> None:
    for block in load(name)["blocks"]:
        path = ROOT / FOLDERS.get(block["type"], "") / f"{block['uuid']}.py"
        if path.exists() and "run_child" in path.read_text(encoding="utf-8"):
            assert block["configuration"] == {"waits": True}, block["uuid"]


def test_a_rollback_waits_for_no_worker() -> None:
    blocks = [block for block in load("rollback")["blocks"] if block["type"] == "custom"]
    assert all(block["configuration"] == {"waits": True} for block in blocks)


def test_every_block_is_used() -> None:
    used = {
        block["uuid"]
        for name in PIPELINES
        for part in ("blocks", "conditionals")
        for block in load(name).get(part, [])
    }

    assert {path.stem for path in BLOCK_FILES} <= used
