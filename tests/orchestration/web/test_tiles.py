"""A chart that a project adds is a tile of the overview, drawn from the observer's tables."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.observability.tables import TABLES
from mlops.settings import PROJECT_ROOT, load_settings

pytestmark = pytest.mark.mage

# In a process of its own: the module imports Mage.
SCRIPT = """
import asyncio, json, os
from pathlib import Path
from mlops.orchestration.engine import environment
from mlops.settings import PROJECT_ROOT, load_settings
settings = load_settings()
environment.prepare(settings, PROJECT_ROOT)
environment.boot(settings.logs / "tiles.log")
from mage_ai.api.resources.BlockLayoutItemResource import BlockLayoutItemResource
from mage_ai.presenters.block_layout.page import PageBlockLayout
from mlops.orchestration.web import tiles
tiles.show_added(PROJECT_ROOT)
page = PageBlockLayout.load("overview/dashboard")
other = PageBlockLayout.load("pipelines/data_preparation/dashboard")
name = "extensions/errors_of_candidates"
found = asyncio.run(BlockLayoutItemResource.member(name, None, parent_model=page))
print(json.dumps([page.blocks[name], page.layout[-1], list(other.blocks), str(found.model)]))
"""


def test_an_added_chart_is_the_last_tile_of_the_overview(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    for folder in ("charts", "presenters"):
        shutil.copytree(PROJECT_ROOT / folder, project / folder)
    shutil.copy(PROJECT_ROOT / "metadata.yaml", project)
    text = (PROJECT_ROOT / "extensions" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n# (charts/extensions/\S+)\n(.*?)```", text, re.DOTALL)
    assert found
    (project / found[1]).parent.mkdir()
    (project / found[1]).write_text(found[2])
    settings = load_settings({"home": home})
    rows = TABLES["candidates"].empty.reindex(range(2)).assign(family=["lasso", "nearest"])
    settings.observed.mkdir(parents=True)
    rows.assign(rmse=[4.5, 3.5]).to_parquet(settings.observed / "candidates.parquet")

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"MLOPS_HOME": str(home), "MLOPS_PROJECT": str(project)},
        **{"capture_output": True, "text": True},
    )

    assert done.returncode == 0, done.stderr
    block, row, others, drawn = json.loads(done.stdout.splitlines()[-1])
    assert block["name"] == "Errors of candidates"
    assert row == [{"block_uuid": block["uuid"], "height": 300, "width": 1}]
    assert block["uuid"] not in others
    assert "Errors of the last candidates" in drawn and "nearest" in drawn, drawn[:2000]
