"""The home's lock: who holds it, who waits, and what becomes of it when its holder dies."""

import os
import signal
import threading
import time

import pytest

from mlops.errors import BusyError
from mlops.orchestration.lock import HomeLock, is_held


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
