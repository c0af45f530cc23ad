"""What Mage saves is what somebody decided, and the project's files are in that form already."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops.orchestration.engine.definitions import BlockStatuses, decisions, text_of
from mlops.settings import PROJECT_ROOT

SCRIPT = Path(__file__).parents[1] / "save_definitions.py"
FOLDERS = ("pipelines", "presenters", "interactions", "markdowns")
# Mage never writes these: `mlops triggers --write` does.
FORMS = sorted(
    path
    for pattern in ("pipelines/*/interactions.yaml", "interactions/*.yaml")
    for path in PROJECT_ROOT.glob(pattern)
)
SAVED = {
    "uuid": "p",
    "created_at": None,
    "description": "Größe",
    "executor_count": 1,
    "run_pipeline_in_one_process": False,
    "settings": {"triggers": None},
    "variables": {"promote": False, "reason": None},
    "variables_dir": "/home/somebody/.mlops/mage",
    "callbacks": [],
    "blocks": [
        {
            "uuid": "a",
            "all_upstream_blocks_executed": True,
            "configuration": {"dynamic": False},
            "downstream_blocks": [],
            "executor_type": "local_python",
            "status": "executed",
            "timeout": 0,
            "upstream_blocks": [],
        }
    ],
}


def test_only_decisions_are_kept() -> None:
    assert decisions(SAVED) == {
        "uuid": "p",
        "description": "Größe",
        "variables": {"promote": False, "reason": None},
        "blocks": [
            {
                "uuid": "a",
                "configuration": {"dynamic": False},
                "downstream_blocks": [],
                "timeout": 0,
                "upstream_blocks": [],
            }
        ],
    }


def test_a_choice_other_than_the_default_is_one() -> None:
    chosen = {"executor_count": 2, "run_pipeline_in_one_process": True, "retry_config": {"a": 1}}

    assert decisions(chosen) == chosen


@given(
    st.dictionaries(
        st.sampled_from([*SAVED, "tags", "retry_config", "type"]) | st.text(max_size=5),
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({}),
    ).map(lambda values: {k: v for k, v in values.items() if k != "blocks" and k != "callbacks"})
)
def test_what_is_kept_is_kept_again(values: dict[str, Any]) -> None:
    kept = decisions(values)

    assert decisions(kept) == kept
    assert text_of(values) == text_of(kept)


def test_what_has_run_is_remembered_elsewhere(tmp_path: Path) -> None:
    statuses = BlockStatuses(tmp_path / "statuses")
    statuses.keep(SAVED)

    [block] = statuses.put_into(decisions(SAVED), "p")["blocks"]
    assert block["status"] == "executed"
    # A block of another pipeline, and one that the file speaks of itself
    [other] = statuses.put_into(decisions(SAVED), "q")["blocks"]
    assert other["status"] is None
    [own] = statuses.put_into({"blocks": [{"uuid": "a", "status": "failed"}]}, "p")["blocks"]
    assert own["status"] == "failed"


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"'])
def test_a_damaged_memory_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "p.json").write_text(content)

    [block] = BlockStatuses(tmp_path).put_into(decisions(SAVED), "p")["blocks"]

    assert block["status"] is None


@pytest.mark.parametrize("path", FORMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_forms_are_written_as_mage_writes_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert yaml.safe_dump(yaml.safe_load(text)) == text


@pytest.mark.mage
def test_mage_saves_the_project_as_it_is(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    for name in FOLDERS:
        shutil.copytree(PROJECT_ROOT / name, project / name)
    for name in ("metadata.yaml", "global_data_products.yaml"):
        shutil.copy(PROJECT_ROOT / name, project / name)
    before = files_of(project)

    # When Mage saves everything, twice, and notes that a block has run
    environment = {"MLOPS_HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, SCRIPT, project], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    # Then not a byte has changed, nothing is new, and Mage holds what it held
    assert files_of(project) == before
    for name, held in json.loads(done.stdout.splitlines()[-1]).items():
        assert held["before"] == held["after"], name
        assert held["status"] == "executed"


def files_of(project: Path) -> dict[str, bytes]:
    paths = (path for path in project.rglob("*") if ".file_versions" not in path.parts)
    return {str(path.relative_to(project)): path.read_bytes() for path in paths if path.is_file()}
