"""Nobody but its owner reads the home, whatever the umask and whatever was open before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.privacy import keep_private
from mlops.records.atomic import atomic_file, atomic_folder


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """A umask that hides nothing, as some services have."""
    former = os.umask(0)
    yield
    os.umask(former)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_was_open_is_closed_and_what_follows_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "mage").mkdir(parents=True)
    (home / "mage" / "mage.db").touch()
    (home / "tool").touch(mode=0o755)
    outside = tmp_path / "outside"
    outside.touch()
    (home / "link").symlink_to(outside)

    keep_private(home)
    (home / "later").touch()

    assert [mode(p) for p in (home, home / "mage", home / "mage" / "mage.db")] == [
        0o700,
        0o700,
        0o600,
    ]
    assert (mode(home / "tool"), mode(home / "later")) == (0o700, 0o600)
    assert mode(outside) == 0o666  # what only is pointed at is not ours


def test_a_folder_that_others_need_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    persons, shared = tmp_path / "ann", tmp_path / "shared"
    monkeypatch.setattr(Path, "home", lambda: persons)
    for folder, bits in ((persons, 0o755), (shared, 0o1777)):
        folder.mkdir()
        folder.chmod(bits)
        (folder / "file").touch()
        keep_private(folder)
        assert (mode(folder), mode(folder / "file")) == (bits & 0o777, 0o666)
        (folder / "later").touch()
        assert mode(folder / "later") == 0o600
        os.umask(0)


def test_a_home_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    keep_private(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_files_and_folders_that_appear_whole_are_private(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "file") as temporary:
        temporary.write_text("secret")
    keep_private(tmp_path)
    atomic_folder(tmp_path / "folder", lambda folder: (folder / "part").touch())
    assert mode(tmp_path / "file") == 0o600
    assert (mode(tmp_path / "folder"), mode(tmp_path / "folder" / "part")) == (0o700, 0o600)
