"""Mage starts without what it seldom needs, and has it when it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.settings import PROJECT_ROOT

# In a process of its own: Mage binds its home when it is imported.
BOOT = f"""
import json, sys
from pathlib import Path
from mlops.orchestration.engine import environment
from mlops.settings import load_settings
settings = load_settings()
environment.prepare(settings, Path({str(PROJECT_ROOT)!r}))
environment.boot(settings.logs / "boot.log")
seldom = [name for name in ("IPython", "scipy.stats", "sklearn") if name in sys.modules]
from mage_ai.data_preparation.models.utils import estimator_html_repr
from mage_ai.system.memory.utils import memory_usage
from sklearn.linear_model import Ridge
print(json.dumps([seldom, estimator_html_repr(Ridge()), memory_usage(-1)]))
"""


@pytest.mark.mage
def test_what_mage_seldom_needs_is_imported_when_it_is_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOOT],
        env={**os.environ, "MLOPS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    seldom, drawn, memory = json.loads(done.stdout.splitlines()[-1])

    assert seldom == []
    assert "Ridge()" in drawn
    assert memory[0] > 10  # MiB, of the process itself
