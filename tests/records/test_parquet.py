"""Parquet files: a flipped bit is noticed, the file that has it is named, and no other is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.errors import DamagedFileError
from mlops.records.parquet import read_table, write_table

WAY_OUT = "make {path} again"
TABLE = pa.table({"zone": list(range(1_000)), "miles": [0.5] * 1_000})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files, in a folder whose name looks like a partition."""
    folder = tmp_path / "year=2024"
    folder.mkdir()
    paths = [folder / "a.parquet", folder / "b.parquet"]
    for path in paths:
        write_table(TABLE, path, use_dictionary=False, compression="none")
    return paths


def flip(path: Path) -> None:
    """Change a bit in the middle of the first column's values."""
    content = bytearray(path.read_bytes())
    content[1_000] ^= 1
    path.write_bytes(content)


def test_tables_are_read_together_or_in_part(files: list[Path]) -> None:
    assert read_table(files[0], WAY_OUT).equals(TABLE)
    assert read_table(str(files[0]), WAY_OUT).equals(TABLE)
    assert read_table(files, WAY_OUT).num_rows == 2_000
    assert read_table(files, WAY_OUT).column_names == ["zone", "miles"]
    some = read_table(files, WAY_OUT, columns=("miles",), filters=[("zone", "<", 3)])
    assert (some.column_names, some.num_rows) == (["miles"], 6)


@pytest.mark.parametrize("change", [flip, Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_the_file_that_is_damaged_is_the_one_that_is_named(files: list[Path], change: Any) -> None:
    change(files[1])

    with pytest.raises(DamagedFileError) as caught:
        read_table(files, WAY_OUT)

    assert caught.value.message.startswith(f"{files[1]}: ")
    assert str(files[1]) in caught.value.hint
    assert read_table(files[0], WAY_OUT).equals(TABLE)


def test_columns_that_are_not_there_are_no_damage(files: list[Path]) -> None:
    with pytest.raises(pa.ArrowInvalid, match="fare"):
        read_table(files, WAY_OUT, filters=[("fare", "<", 3)])


def test_every_page_has_a_checksum(files: list[Path]) -> None:
    flip(files[0])
    assert not pq.read_table(files[0], partitioning=None).equals(TABLE), "it reads as if sound"
