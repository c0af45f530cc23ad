"""Files and folders appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mlops.records.atomic import TEMPORARY_PREFIX, atomic_file, atomic_folder

# Writes half a folder, says so, and waits to be killed.
_HALF = """
import sys, time
from pathlib import Path
from mlops.records.atomic import atomic_folder

def write(folder):
    (folder / "half").write_text("half")
    print("writing", flush=True)
    time.sleep(60)

atomic_folder(Path(sys.argv[1]), write)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def writing(target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HALF, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_a_file_is_replaced_on_success_only(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    with atomic_file(target) as path:
        path.write_text("first")
        assert not target.exists()
    with pytest.raises(RuntimeError), atomic_file(target) as path:
        path.write_text("second")
        raise RuntimeError
    assert target.read_text() == "first"
    assert names(target.parent) == ["file"]


def test_a_folder_is_replaced_on_success_only(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    atomic_folder(target, lambda folder: (folder / "a").write_text("1") and None)

    def failing(folder: Path) -> None:
        (folder / "b").write_text("2")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        atomic_folder(target, failing)
    assert names(tmp_path) == ["folder"]
    assert names(target) == ["a"]
    atomic_folder(target, lambda folder: (folder / "c").write_text("3") and None)
    assert names(tmp_path) == ["folder"]
    assert names(target) == ["c"]


def test_a_killed_writer_leaves_nothing_half_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    # Given a writer killed while writing
    process = writing(tmp_path / "product")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # Then there is no product, only its leftover
    assert not (tmp_path / "product").exists()
    assert len(names(tmp_path)) == 1
    # When another product is written, the leftover is gone
    atomic_folder(tmp_path / "other", lambda folder: None)
    assert names(tmp_path) == ["other"]


def test_a_writer_at_work_is_left_alone(tmp_path: Path) -> None:
    process = writing(tmp_path / "product")
    try:
        atomic_folder(tmp_path / "other", lambda folder: None)
        left = [name for name in names(tmp_path) if name.startswith(TEMPORARY_PREFIX)]
        assert len(left) == 1
        assert names(tmp_path / left[0]) == ["half"]
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    """Return what reaches the disk, in order: synced or renamed, which inode, and to what name."""
    done: list[tuple[str, int, str]] = []
    sync = os.fsync

    def renaming(name: str) -> None:
        rename = getattr(Path, name)

        def call(path: Path, target: Path) -> Path:
            done.append(("rename", path.stat().st_ino, f"{target.parent.name}/{target.name}"))
            return rename(path, target)

        monkeypatch.setattr(Path, name, call)

    def synced(descriptor: int) -> None:
        done.append(("sync", os.fstat(descriptor).st_ino, ""))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    renaming("rename")
    renaming("replace")
    return done


def open_below(folder: Path) -> list[str]:
    """Return what this process has open in a folder, also what was removed since (on Linux)."""
    found = []
    for link in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return [path for path in found if path.startswith(str(folder))]


def test_a_file_is_on_disk_before_it_gets_its_name(
    tmp_path: Path, steps: list[tuple[str, int, str]]
) -> None:
    target = tmp_path / "file"

    with atomic_file(target) as path:
        path.write_text("content")
        assert path.parent == tmp_path and path.name.startswith(TEMPORARY_PREFIX)

    inode = target.stat().st_ino
    assert steps == [("sync", inode, ""), ("rename", inode, f"{tmp_path.name}/file")]
    assert not open_below(tmp_path)


def test_a_folder_is_on_disk_before_it_gets_its_name_and_the_name_before_it_returns(
    tmp_path: Path, steps: list[tuple[str, int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder"
    # all of it beside the target: elsewhere may be another file system
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    def write(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("content")

    for _ in range(2):
        old = target.stat().st_ino if target.exists() else None
        steps.clear()
        atomic_folder(target, write)

        inodes = {
            path.stat().st_ino for path in (target, target / "deep", target / "deep" / "file")
        }
        assert {inode for kind, inode, _ in steps[:3] if kind == "sync"} == inodes
        assert steps[-2:] == [
            ("rename", target.stat().st_ino, f"{tmp_path.name}/folder"),
            ("sync", tmp_path.stat().st_ino, ""),
        ]
        # what was there goes to a name that the next writer takes for a leftover
        aside = [(inode, name) for kind, inode, name in steps[3:-2] if kind == "rename"]
        assert [inode for inode, _ in aside] == ([old] if old else [])
        assert all(name.startswith(TEMPORARY_PREFIX) for _, name in aside)
    assert not open_below(tmp_path)


def test_another_workplace_is_made_and_left_empty(tmp_path: Path) -> None:
    workplace = tmp_path / "far" / "away"
    with atomic_file(tmp_path / "file", workplace) as path:
        assert path.parent == workplace and path.name.startswith(TEMPORARY_PREFIX)
        path.touch()
    assert names(tmp_path) == ["far", "file"] and names(workplace) == []


def test_what_cannot_be_removed_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder"
    atomic_folder(target, lambda folder: None)

    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        atomic_folder(target, lambda folder: (folder / "new").touch())
        with pytest.raises(RuntimeError, match="of the writer"):
            atomic_folder(
                target, lambda folder: (_ for _ in ()).throw(RuntimeError("of the writer"))
            )
    assert names(target) == ["new"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_temporary_that_is_taken_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    lock, taken = fcntl.flock, []

    def take_first(descriptor: int, how: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            shutil.rmtree(taken[0]) if folder else taken[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", take_first)
    if folder:
        atomic_folder(tmp_path / "it", lambda path: None)
    else:
        with atomic_file(tmp_path / "it") as path:
            path.write_text("content")
    assert taken and names(tmp_path) == ["it"]
    assert not open_below(tmp_path)


def test_a_writer_at_work_keeps_no_file_open_in_those_who_look(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "one") as path:
        held = open_below(tmp_path)
        with atomic_file(tmp_path / "two"):
            assert path.exists()
        assert open_below(tmp_path) == held
        path.write_text("content")
    assert not open_below(tmp_path)
