"""A table is a file or the parts of a folder; what lies beside them is named and left out."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mlops.data.files.folders import files_of, parts_among
from mlops.errors import SourceError

BESIDE = (
    *("README.md", "README.txt", "notes.txt", "SHA256SUMS", "a.csv.sha256", "plot.png", "b.xlsx"),
)


def folder_of(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x,y\n1,2\n")
    return folder


def names_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in files_of(folder)]


def test_a_folder_is_its_parts(tmp_path: Path) -> None:
    # Given a table as Spark writes it
    parts = ("part-1.parquet", "part-0.csv", "day=2/part-0.parquet", "_SUCCESS", ".part-0.crc")
    folder = folder_of(tmp_path / "trips.parquet", *parts)
    # Then its files are the parts, in order
    assert names_in(folder) == ["day=2/part-0.parquet", "part-0.csv", "part-1.parquet"]


@pytest.mark.parametrize("table", ["a.csv", "A.CSV", "a.tsv", "a.csv.gz", "sub/a.snappy.parquet"])
def test_what_lies_beside_a_table_is_named_once_and_left_out(
    table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_of(tmp_path / "data", table, *BESIDE, ".DS_Store", "_SUCCESS")

    assert names_in(folder) == names_in(folder) == [table]

    [line] = [record.getMessage() for record in caplog.records]
    assert str(folder) in line and "README.md" in line and "and 2 more" in line
    assert "DS_Store" not in line


def test_files_with_names_that_say_nothing_are_a_table_without_descriptions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert names_in(folder_of(tmp_path / "a", "part-0", "part-1", "x.dat")) == [
        *("part-0", "part-1", "x.dat")
    ]
    assert not caplog.records
    assert names_in(folder_of(tmp_path / "b", "data.txt", "README.md", "data.txt.md5")) == [
        "data.txt"
    ]


@pytest.mark.parametrize("names", [("README.md",), ("report.xlsx", "Readme"), ("a.json", "b.zip")])
def test_a_folder_without_a_table_is_refused_and_names_what_is_there(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="contains no table, only") as refusal:
        files_of(folder_of(tmp_path / "data", *names))

    assert all(name in refusal.value.message for name in names)
    assert ".csv" in refusal.value.hint


@pytest.mark.parametrize("names", [(), (".DS_Store",), ("_SUCCESS", ".hidden/a.csv")])
def test_a_folder_of_hidden_files_contains_none(names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceError, match="contains no files"):
        files_of(folder_of(tmp_path / "data", *names))


def test_a_part_that_is_a_broken_link_is_not_lost_in_silence(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", "a.csv")
    (folder / "README.md").symlink_to(tmp_path / "nowhere")
    assert names_in(folder) == ["a.csv"]

    (folder / "b.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"b\.csv: this link leads nowhere"):
        files_of(folder)


def test_a_file_that_is_named_is_taken_whatever_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = ("README.md", "a.csv", "b.dat")
    folder = folder_of(tmp_path, *there)

    assert files_of(folder / "README.md") == [folder / "README.md"]
    # Of several, as a pattern names them, only what is surely no table is left out.
    with caplog.at_level(logging.WARNING):
        parts = parts_among([folder / name for name in there], folder)
    assert [part.name for part in parts] == ["a.csv", "b.dat"]
    assert "README.md" in caplog.text
