"""A frozen morning comes back from its file to the bit, and anything else is refused."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.declared.histories import snapshot_of
from mlops.datasets.declared.stored_snapshots import load_snapshot, save_snapshot
from mlops.errors import MlopsError
from tests.datasets.declared.deliveries import ROWS, START, deliveries, frame_of
from tests.datasets.declared.test_histories import FEW

DEFINITION = deliveries()


@FEW
@given(rows=ROWS, minutes=st.integers(0, 10 * 24 * 60))
def test_every_bit_comes_back(rows: list[dict[str, Any]], minutes: int) -> None:
    snapshot = snapshot_of(DEFINITION, frame_of(rows), START + timedelta(minutes=minutes))

    with tempfile.TemporaryDirectory() as folder:
        save_snapshot(snapshot, Path(folder) / "s.npz")
        found = load_snapshot(Path(folder) / "s.npz")

    assert found.as_of == snapshot.as_of and found.sha256 == snapshot.sha256
    assert [*found.tables] == [*snapshot.tables]
    for name, table in snapshot.tables.items():
        other = found.tables[name]
        for (keys, sums), (other_keys, other_sums) in zip(table.levels, other.levels, strict=True):
            assert dict(keys) == dict(other_keys)
            assert sums.tobytes() == other_sums.tobytes() and sums.shape == other_sums.shape
        assert table.everywhere.tobytes() == other.everywhere.tobytes()
        assert table.ever.tobytes() == other.ever.tobytes()
    np.testing.assert_array_equal(
        found.lookup(DEFINITION, frame_of(rows)), snapshot.lookup(DEFINITION, frame_of(rows))
    )


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive"])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "s.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MlopsError, match=r"s\.npz: cannot be read as frozen histories"):
        load_snapshot(file)
    np.savez(file, as_of=np.array("2024-01-01", dtype="datetime64[us]"))
    with pytest.raises(MlopsError, match="frozen histories"):
        load_snapshot(file)
