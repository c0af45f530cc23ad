"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
