"""Records: whatever happens to a file, its reader names it and says what to do."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from mlops.errors import DamagedFileError
from mlops.records.files import (
    damaged,
    find_or_report,
    find_pointed,
    find_record,
    read_record,
    refuse,
    write_pointer,
    write_record,
)
from mlops.records.folder import RecordFolder


class Trip(BaseModel):
    """A record as others are: strict."""

    model_config = ConfigDict(extra="forbid")

    zone: int
    note: str


TRIP = Trip(zone=7, note="früh")
WAY_OUT = "remove {path}"


@pytest.fixture
def folder(tmp_path: Path) -> RecordFolder[Trip]:
    return RecordFolder(tmp_path / "trips of today", Trip, WAY_OUT)


def test_a_record_is_read_as_it_was_written(folder: RecordFolder[Trip]) -> None:
    path = folder.write("a", TRIP)

    assert read_record(path, Trip, WAY_OUT) == find_record(path, Trip, WAY_OUT) == TRIP
    assert folder.find("a") == TRIP
    assert folder.all() == [TRIP]


def test_none_is_none_and_not_damaged(folder: RecordFolder[Trip], tmp_path: Path) -> None:
    assert folder.find("a") is None
    assert folder.all() == []
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "a.json", Trip, WAY_OUT)


@pytest.mark.parametrize("name", ["../secret", "", "/etc/passwd", ".hidden", "a/b"])
def test_a_name_is_no_way_to_other_files(
    folder: RecordFolder[Trip], tmp_path: Path, name: str
) -> None:
    folder.write("a", TRIP)
    write_record(tmp_path / "secret.json", TRIP)

    assert folder.find(name) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b'{"zone": 7, "no', "Invalid JSON"),
        (b"\xff\xfe\x00garbage", "Invalid JSON"),
        (b"[]", "object"),
        (b'{"zone": "x", "note": ""}', "zone: Input should be a valid integer"),
        (b'{"zone": 7}', "note: Field required"),
        (b'{"zone": 7, "note": "", "more": 1}', "more: Extra inputs are not permitted"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong_and_what_to_do(
    folder: RecordFolder[Trip], content: bytes, why: str
) -> None:
    path = folder.write("a", TRIP)
    path.write_bytes(content)

    with pytest.raises(DamagedFileError) as caught:
        folder.find("a")

    assert caught.value.message.startswith(f"{path}: ")
    assert why in caught.value.message
    assert caught.value.hint == f"remove '{path}'"  # quoted: the folder has blanks in its name


def test_json_that_lacks_what_is_looked_up_is_damaged(folder: RecordFolder[Trip]) -> None:
    path = folder.write("a", TRIP)

    with pytest.raises(DamagedFileError, match="it lacks 'fare'"):
        read_record(path, Trip, WAY_OUT, lambda content: {"zone": content["fare"]})
    with pytest.raises(DamagedFileError, match="it lacks"):
        refuse(damaged(path, "it lacks 'fare'", WAY_OUT))


def test_a_record_can_be_read_by_a_person(folder: RecordFolder[Trip]) -> None:
    assert folder.write("a", TRIP).read_text("utf-8") == '{\n "zone": 7,\n "note": "früh"\n}'
    assert write_record(folder.path("b"), TRIP, indent=None).read_text("utf-8").count("\n") == 0


def test_a_folder_in_the_place_of_a_file_is_damage_too(folder: RecordFolder[Trip]) -> None:
    folder.path("a").mkdir(parents=True)

    with pytest.raises(DamagedFileError, match=r"a\.json"):
        folder.find("a")


@given(cut=st.integers(0, 40), junk=st.binary(max_size=40), outline=st.booleans())
def test_no_bytes_whatever_make_reading_fail_in_another_way(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes, outline: bool
) -> None:
    path = tmp_path_factory.mktemp("records") / "a.json"
    path.write_bytes(TRIP.model_dump_json().encode()[:cut] + junk)

    try:
        read = read_record(path, Trip, WAY_OUT, (lambda content: {**content}) if outline else None)
    except DamagedFileError as error:
        assert str(path) in error.message and str(path) in error.hint
    else:
        assert isinstance(read, Trip)


def test_a_damaged_file_hides_no_other_and_is_reported(
    folder: RecordFolder[Trip], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "c"):
        folder.write(name, Trip(zone=1, note=name))
    folder.path("b").write_text("{")

    with caplog.at_level(logging.WARNING):
        assert [trip.note for trip in folder.all()] == ["a", "c"]

    assert str(folder.path("b")) in caplog.text
    # and whoever must not go on without it is told in another way
    found: list[DamagedFileError] = []
    folder.all(on_damage=found.append)
    assert [str(folder.path("b")) in str(error) for error in found] == [True]


def test_a_damaged_file_that_is_not_asked_for_is_not_read(
    folder: RecordFolder[Trip], caplog: pytest.LogCaptureFixture
) -> None:
    folder.write("a", TRIP)
    folder.path("b").write_text("{")

    assert folder.all(lambda path: path.stem == "a") == [TRIP]
    assert not caplog.records


def test_what_can_be_made_again_counts_as_absent_and_is_reported(
    folder: RecordFolder[Trip], caplog: pytest.LogCaptureFixture
) -> None:
    path = folder.write("a", TRIP)
    path.write_bytes(b"")

    assert find_or_report(path, Trip, "it is made again") is None
    assert str(path) in caplog.text and "it is made again" in caplog.text


def test_a_pointer_names_a_folder_beside_it(tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    assert find_pointed(pointer, "manifest.json", WAY_OUT) is None
    write_record(tmp_path / "abc" / "manifest.json", TRIP)

    write_pointer(pointer, "abc")

    assert find_pointed(pointer, "manifest.json", WAY_OUT) == tmp_path / "abc"


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"../abc", b"gone", b"a\0c", b"x" * 9000])
def test_a_pointer_to_nothing_is_damaged(tmp_path: Path, content: bytes) -> None:
    pointer = tmp_path / "home" / "current"
    write_record(tmp_path / "abc" / "manifest.json", TRIP)
    pointer.parent.mkdir()
    pointer.write_bytes(content)

    with pytest.raises(DamagedFileError, match="current"):
        find_pointed(pointer, "manifest.json", WAY_OUT)
