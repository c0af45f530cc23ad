"""A definition is what it says of rows, and the code that derives columns; not where files lie."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from mlops.datasets.declared.preparing.identity import identity_of
from tests.datasets.declared.deliveries import deliveries


def test_the_place_of_the_files_is_left_out() -> None:
    definition = deliveries()
    assert identity_of(definition.with_source("elsewhere")) == identity_of(definition)
    others = {identity_of(deliveries(**change)) for change in ({"rules": "[]"}, {"key": "[]"})}
    assert len(others | {identity_of(definition)}) == 3


def test_the_code_that_derives_columns_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "deriving_deliveries.py"
    monkeypatch.syspath_prepend(tmp_path)
    definition = deliveries(derive="deriving_deliveries:add")

    def identity(text: str) -> str:
        module.write_text(text)
        sys.modules.pop(module.stem, None)
        importlib.invalidate_caches()
        return identity_of(definition)

    first = identity("def add(frame):\n    return frame\n")
    assert identity("def add(frame):\n    return frame[::1]\n") != first
    assert identity("def add(frame):\n    return frame\n") == first
