"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder holding the real TLC months (``green/*.parquet``), or a skip with the reason."""
    folder = Path(os.environ.get("MLOPS_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not any(folder.glob("green/*.parquet")):
        pytest.skip(f"no real TLC months in {folder}: set MLOPS_TEST_DATA to their folder")
    return folder
