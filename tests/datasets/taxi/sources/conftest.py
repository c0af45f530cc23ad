"""Files and settings shared by the tests of sources."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlops.datasets.taxi.sample.generator import generate_month
from mlops.settings import Settings, load_settings


@pytest.fixture(scope="session")
def month_bytes() -> Callable[..., bytes]:
    """Bytes of a small whole trip file, in the TLC's schema."""

    def _bytes(month: str = "2024-01", rows: int = 2_000, taxi: str = "green") -> bytes:
        sink = io.BytesIO()
        pq.write_table(generate_month(month, rows, 7, taxi), sink)
        return sink.getvalue()

    return _bytes


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with their home in a temporary folder."""

    def _configure(**source: Any) -> Settings:
        overrides = {f"source.{name}": value for name, value in source.items()}
        return load_settings({"home": str(tmp_path / "home"), **overrides})

    return _configure


@pytest.fixture
def files_in() -> Callable[[Path], dict[str, bytes]]:
    """The files below a folder, to show that something left them untouched."""

    def _files(folder: Path) -> dict[str, bytes]:
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    return _files
