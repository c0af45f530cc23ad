"""Keys are kept as hashes, in a private file, and end when they are told to."""

from __future__ import annotations

import stat
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mlops.errors import ConfigurationError, DamagedFileError
from mlops.serving.http import keys
from mlops.serving.http.keys import (
    DEPLOYMENT,
    add_key,
    first_key,
    hash_of,
    key_file,
    read_keys,
    revoke_keys,
)


def test_a_token_is_stored_nowhere_and_its_hash_privately(tmp_path: Path) -> None:
    tmp_path = tmp_path / "not" / "there"
    key, token = add_key(tmp_path, "team", days=1)

    text = key_file(tmp_path).read_text()
    assert token not in text
    assert hash_of(token).hex() in text
    assert len(token) > 40
    assert stat.S_IMODE(key_file(tmp_path).stat().st_mode) == 0o600
    assert key.is_valid(datetime.now(timezone.utc))
    assert not key.is_valid(datetime.now(timezone.utc) + timedelta(days=1))


def test_keys_rotate(tmp_path: Path) -> None:
    old, _ = add_key(tmp_path, "team")
    new, _ = add_key(tmp_path, "team")
    assert (old.number, new.number) == (1, 2)

    revoked = revoke_keys(tmp_path, "1")

    assert [key.number for key in revoked] == [1]
    now = datetime.now(timezone.utc)
    assert [key.is_valid(now) for key in read_keys(tmp_path)] == [False, True]
    with pytest.raises(ConfigurationError, match="no valid key"):
        revoke_keys(tmp_path, "1")


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    add_key(tmp_path, "a")
    revoke_keys(tmp_path, "a")
    assert add_key(tmp_path, "b")[0].number == 2


def test_the_first_key_is_made_once(tmp_path: Path) -> None:
    add_key(tmp_path, DEPLOYMENT)
    assert first_key(tmp_path)
    assert first_key(tmp_path) is None


def test_keys_added_at_once_are_all_there(tmp_path: Path) -> None:
    threads = [threading.Thread(target=add_key, args=(tmp_path, f"k{i}")) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.number for key in read_keys(tmp_path)) == list(range(1, 9))


def test_a_key_is_valid_until_the_moment_it_expires(tmp_path: Path) -> None:
    forever, _ = add_key(tmp_path, "-a_")
    key, _ = add_key(tmp_path, "x" * 64, days=0.5)

    assert forever.expires_at is None
    assert key.expires_at is not None
    assert key.expires_at - key.created_at == timedelta(days=0.5)
    assert key.is_valid(key.expires_at - timedelta(microseconds=1))
    assert not key.is_valid(key.expires_at)
    assert key.number == 2


def test_a_name_revokes_all_its_valid_keys_and_no_others(tmp_path: Path) -> None:
    for name in ("team", "team", "other"):
        add_key(tmp_path, name)
    revoke_keys(tmp_path, "2")
    at = read_keys(tmp_path)[1].revoked_at

    assert [key.number for key in revoke_keys(tmp_path, "team")] == [1]
    left = read_keys(tmp_path)
    assert [key.revoked_at is None for key in left] == [False, False, True]
    assert left[1].revoked_at == at


def test_there_are_no_more_keys_than_can_be_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_KEYS", 3)
    assert [add_key(tmp_path, name)[0].number for name in "ab"] == [1, 2]

    with pytest.raises(ConfigurationError, match="3 keys"):
        add_key(tmp_path, "c")
    assert len(read_keys(tmp_path)) == 2


def test_the_file_is_on_disk_before_it_takes_the_place_of_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given what a process killed while writing left behind, readable by all
    leftover = key_file(tmp_path).with_suffix(".new")
    leftover.write_text("half")
    leftover.chmod(0o644)
    synced: list[tuple[int, int]] = []
    monkeypatch.setattr(
        keys.os,
        "fsync",
        lambda descriptor: synced.append((leftover.stat().st_ino, leftover.stat().st_size)),
    )

    add_key(tmp_path / "", "team")

    file = key_file(tmp_path).stat()
    assert synced == [(file.st_ino, file.st_size)] and file.st_size > 100
    assert stat.S_IMODE(file.st_mode) == 0o600
    assert not leftover.exists()
    assert stat.S_IMODE(key_file(tmp_path).with_suffix(".lock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "days"),
    [("", None), ("a b", None), ("x" * 65, None), ("a", -1), ("a", 0), ("-", None)],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, name: str, days: float | None) -> None:
    with pytest.raises(ConfigurationError):
        add_key(tmp_path, name, days)
    assert read_keys(tmp_path) == ()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    key_file(tmp_path).write_text('{"keys": [')
    with pytest.raises(DamagedFileError, match=r"keys\.json"):
        read_keys(tmp_path)
