"""SQLite files: a damaged one is told from one that is sound, busy, new or not there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import DamagedFileError
from mlops.records import sqlite
from mlops.records.sqlite import check_database, file_of, is_damage, open_to_read

WAY_OUT = "move {path} away"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sqlite") / "sound.db"
    fill(path)
    return path.read_bytes()


def fill(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table run (id integer primary key, note text)")
        rows = [(f"note {number} " * 20,) for number in range(500)]
        database.executemany("insert into run (note) values (?)", rows)
        database.execute("create index notes on run (note)")


def test_a_sound_one_passes_also_while_somebody_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    check_database(path, WAY_OUT)  # none yet
    fill(path)
    with sqlite3.connect(path) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("begin immediate")
        writer.execute("delete from run")

        check_database(path, WAY_OUT, whole=True)


def test_only_sqlite_has_a_file() -> None:
    assert file_of("sqlite:////a/b.db") == Path("/a/b.db")
    assert file_of("postgresql://host/database") is None


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_a_truncated_one_is_named(tmp_path: Path, content: bytes, kept: float) -> None:
    path = tmp_path / "a b.db"
    path.write_bytes(content[: int(len(content) * kept)])

    with pytest.raises(DamagedFileError) as caught:
        check_database(path, WAY_OUT)

    assert str(path) in caught.value.message
    assert caught.value.hint == f"move '{path}' away"


def test_an_empty_one_is_reported_and_filled_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.db"
    path.touch()

    check_database(path, WAY_OUT)

    assert str(path) in caplog.text and "filled" in caplog.text
    assert len(caplog.records) == 1, "it is not opened"


@settings(max_examples=25)
@given(place=st.floats(0, 0.99), junk=st.binary(min_size=600, max_size=3_000))
def test_whatever_is_written_into_it_reading_never_fails_in_another_way(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: float, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("garbled") / "a.db"
    at = int(place * len(content))
    path.write_bytes((content[:at] + junk + content[at + len(junk) :])[: len(content)])

    _may_be_damaged(path, lambda: check_database(path, WAY_OUT, whole=True))
    _may_be_damaged(path, lambda: _read_all(path))


def _may_be_damaged(path: Path, read: Callable[[], None]) -> None:
    try:
        read()
    except DamagedFileError as error:
        assert str(path) in error.message
    except sqlite3.OperationalError as error:
        assert "no such" in str(error)  # the table's name is garbled


def _read_all(path: Path) -> None:
    with open_to_read(path, WAY_OUT) as database:
        database.execute("select id, length(note) from run").fetchall()


def test_rows_are_read_by_name_and_nothing_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a?b.db"
    fill(path)

    with open_to_read(path, WAY_OUT) as database:
        row = database.execute("select note from run where id = 1").fetchone()
        assert row["note"].startswith("note 0")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.execute("delete from run")
    with pytest.raises(sqlite3.OperationalError), open_to_read(path, WAY_OUT) as database:
        database.execute("select nothing from nowhere")
    assert not caplog.records

    with (
        pytest.raises(sqlite3.OperationalError),
        open_to_read(tmp_path / "none.db", WAY_OUT) as database,
    ):
        database.execute("select 1")
    assert not (tmp_path / "none.db").exists() and not caplog.records
    (tmp_path / "none.db").touch()
    with open_to_read(tmp_path / "none.db", WAY_OUT):
        assert "the database is empty" in caplog.text


def test_whoever_writes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    connect = sqlite3.connect

    def note(*arguments: Any, **named: Any) -> sqlite3.Connection:
        waited.append(named["timeout"])
        return connect(*arguments, **named)

    fill(tmp_path / "a.db")
    monkeypatch.setattr(sqlite, "sqlite3", SimpleNamespace(**{**vars(sqlite3), "connect": note}))
    with open_to_read(tmp_path / "a.db", WAY_OUT):
        assert waited == [30]


@pytest.mark.parametrize(("limit", "found"), [(0, True), (-1, False)])
def test_of_a_large_one_not_every_page_is_read_unless_it_is_asked_for(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, limit: int, found: bool
) -> None:
    path = tmp_path / "a.db"
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"\xff" * 8_192 + content[middle + 8_192 :])
    monkeypatch.setattr(sqlite, "_CHECKED_BYTES", len(content) + limit)

    with pytest.raises(DamagedFileError):
        check_database(path, WAY_OUT, whole=True)
    if found:
        with pytest.raises(DamagedFileError):
            check_database(path, WAY_OUT)
    else:
        check_database(path, WAY_OUT)


def test_what_sqlite_says_of_other_troubles_is_no_damage() -> None:
    assert is_damage(sqlite3.DatabaseError("file is not a database"))
    assert is_damage(RuntimeError("(sqlite3.DatabaseError) database disk image is malformed"))
    assert not is_damage(sqlite3.OperationalError("database is locked"))
