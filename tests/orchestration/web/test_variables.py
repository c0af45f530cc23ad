"""What the Variables panel lists for each pipeline: settings that exist, with their values."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.cli.pipelines import pipeline_names
from mlops.orchestration.triggers.admission import PIPELINES
from mlops.settings import PROJECT_ROOT

# In a process of its own: the module imports Mage.
SCRIPT = """
import json, sys
from pathlib import Path
from mlops.orchestration.engine import environment
from mlops.settings import PROJECT_ROOT, load_settings
settings = load_settings()
environment.prepare(settings, PROJECT_ROOT)
environment.boot(settings.logs / "variables.log")
from mlops.orchestration.triggers.admission import PIPELINES
from mlops.orchestration.web.variables import in_force
print(json.dumps({name: in_force(name, settings) for name in PIPELINES}))
"""


@pytest.mark.mage
def test_every_pipeline_lists_its_settings_with_their_values(tmp_path: Path) -> None:
    environment = {
        **{"MLOPS_HOME": str(tmp_path), "MLOPS_TRAINING__MAX_EVALS": "7"},
        "MLOPS_TRAINING__FAMILIES": "lasso,ridge",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)

    assert sorted(listed) == pipeline_names()
    assert listed["sklearn_training"]["max_evals"] == 7
    assert listed["sklearn_training"]["families"] == "lasso,ridge"
    assert listed["predict"] == {"pickup_zone": 74, "dropoff_zone": 138}
    # Whatever a pipeline's page tells of is there, unless it has no value before a run.
    for name, variables in listed.items():
        about = (PROJECT_ROOT / "markdowns" / f"about_{name}.md").read_text(encoding="utf-8")
        told = set(re.findall(r"^\| `([\w.]+)` \|", about, re.MULTILINE))
        assert told - set(PIPELINES[name].variables) <= set(variables), name
        assert not any(value is None for value in variables.values())
