"""The home's lock: who holds it, who waits, and what becomes of it when its holder dies."""

import os
import signal
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops.errors import BusyError, ConfigurationError
from mlops.orchestration.runs import lock as lock_module
from mlops.orchestration.runs.lock import HomeLock, is_held


def test_a_second_holder_is_told_who_is_first(tmp_path):
    first = HomeLock(tmp_path / "lock", "mlops run")
    assert not is_held(first.path)
    first.acquire()
    with pytest.raises(BusyError) as refusal:
        HomeLock(tmp_path / "lock", "another").acquire()
    assert f"process {os.getpid()} (mlops run), since 20" in str(refusal.value)
    assert "MLOPS_HOME" in refusal.value.hint
    assert is_held(first.path)
    first.release()
    assert not is_held(first.path)


def test_taking_a_held_lock_again_and_releasing_twice_do_no_harm(tmp_path):
    lock = HomeLock(tmp_path / "deep" / "lock", "test")
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    assert not lock.held


def test_waiting_for_the_holder(tmp_path):
    first = HomeLock(tmp_path / "lock", "first")
    first.acquire()
    threading.Timer(0.3, first.release).start()
    second = HomeLock(tmp_path / "lock", "second")
    second.acquire(wait_seconds=10)
    assert second.holder()["purpose"] == "second"
    second.release()


def test_an_orphan_keeps_the_lock_of_its_dead_parent(tmp_path):
    # Given a holder that forked a child and died
    path = tmp_path / "lock"
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        HomeLock(path, "engine").acquire()
        child = os.fork()
        if child:
            os.write(writer, str(child).encode())
        else:
            time.sleep(60)
        os._exit(0)
    os.waitpid(parent, 0)
    orphan = int(os.read(reader, 20))
    # Then the lock is held as long as the orphan may still be working
    assert is_held(path)
    os.kill(orphan, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_held(path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_unreadable_note_still_gives_a_message(tmp_path):
    lock = HomeLock(tmp_path / "lock", "first")
    lock.acquire()
    lock.path.write_text("scrambled")
    with pytest.raises(BusyError, match="process unknown"):
        HomeLock(lock.path, "second").acquire()
    lock.release()


def open_times(path):
    """Return how often this process has a file open (on Linux)."""
    return sum(
        Path(link).exists() and link.samefile(path) for link in Path("/proc/self/fd").glob("*")
    )


def test_who_is_refused_or_only_looks_keeps_nothing_open(tmp_path):
    first = HomeLock(tmp_path / "lock", "first")
    first.acquire()
    held = open_times(first.path)
    for _ in range(3):
        assert is_held(first.path)
        with pytest.raises(BusyError):
            HomeLock(first.path, "second").acquire()
    assert open_times(first.path) == held
    first.release()
    assert not is_held(first.path) and open_times(first.path) == 0


def test_the_holder_replaces_what_a_longer_note_said(tmp_path):
    path = tmp_path / "lock"
    path.write_text('{"pid": 1, "purpose": "' + "long " * 100 + '"}')
    lock = HomeLock(path, "short")
    lock.acquire()
    holder = lock.holder()
    assert lock.holder() == HomeLock(path, "anybody").holder()
    lock.release()
    assert (holder["pid"], holder["purpose"]) == (os.getpid(), "short")
    since = datetime.fromisoformat(holder["since"])
    assert timedelta(0) <= datetime.now(timezone.utc) - since < timedelta(minutes=5)


def test_without_a_wait_it_is_refused_at_once_in_folders_that_are_made(tmp_path, monkeypatch):
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: pytest.fail("waits"))
    monkeypatch.setattr(lock_module, "time", clock)
    first = HomeLock(tmp_path / "very" / "deep" / "lock", "first")
    first.acquire()
    with pytest.raises(BusyError):
        HomeLock(first.path, "second").acquire()
    first.release()


@pytest.mark.parametrize("note", ["[1]", "null", "7", '"text"', "", "{"])
def test_a_note_that_is_none_says_nothing(tmp_path, note):
    (tmp_path / "lock").write_text(note)
    assert HomeLock(tmp_path / "lock", "any").holder() == {}
    assert HomeLock(tmp_path / "none", "any").holder() == {}


def test_it_is_free_as_soon_as_it_is_released_though_a_child_has_the_file_open(tmp_path):
    lock = HomeLock(tmp_path / "lock", "server")
    lock.acquire()
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        lock.release()
        assert not is_held(lock.path)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize(("wait", "tries"), [(0, 1), (0.1, 2), (0.4, 3), (0.5, 4)])
def test_it_is_tried_until_the_time_is_over_and_not_longer(tmp_path, monkeypatch, wait, tries):
    now, tried = [100.0], []

    def sleep(seconds):
        now[0] = round(now[0] + seconds, 6)

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(lock_module, "time", clock)
    monkeypatch.setattr(lock_module, "_try_lock", lambda file: tried.append(file) is not None)
    with pytest.raises(BusyError):
        HomeLock(tmp_path / "lock", "second").acquire(wait_seconds=wait)
    assert len(tried) == tries
    assert now[0] == pytest.approx(100 + (tries - 1) * 0.2)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="file"):
        HomeLock(tmp_path / "file" / "lock", "any").acquire()


def test_the_lock_is_its_owners_only(tmp_path):
    lock = HomeLock(tmp_path / "lock", "any")
    lock.acquire()
    lock.release()
    assert lock.path.stat().st_mode & 0o777 == 0o600
