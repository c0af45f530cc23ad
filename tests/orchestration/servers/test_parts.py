"""The processes of a server: one that dies comes back, after a wait that grows while it fails."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlops.errors import DamagedFileError, ServerError
from mlops.orchestration.engine.queue import JobEnd
from mlops.orchestration.servers import parts as parts_module
from mlops.orchestration.servers.parts import (
    LONGEST_WAIT_SECONDS,
    STEADY_SECONDS,
    Parts,
    ServerProcess,
)


@dataclass
class Stage:
    """A server of one part, whose process does what a file tells it, and a clock set by hand."""

    folder: Path
    now: float = 0.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orders = self.folder / "orders"
        self.orders.write_text("live")
        self.pid_file = self.folder / "pid"
        part = ServerProcess("worker", self._work, self.pid_file.exists)
        self.parts = Parts((part,), self.folder, self.said.append, clock=lambda: self.now)

    def _work(self, again: bool) -> None:
        print(f"again: {again}", flush=True)
        if self.orders.read_text() == "fail":
            raise RuntimeError("the database is away")
        self.pid_file.write_text(str(os.getpid()))
        time.sleep(600)

    def start(self) -> None:
        self.parts.start(lambda: False)

    def die(self) -> None:
        pid = int(self.pid_file.read_text())
        self.pid_file.unlink()
        os.kill(pid, signal.SIGKILL)

    def until(self, done: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.said
            self.parts.keep_up()
            time.sleep(0.01)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.parts.queue.stop()


def test_a_part_that_dies_is_started_again_and_both_are_said(stage: Stage) -> None:
    stage.start()
    assert stage.said == []

    # When it dies, then it is said how, where its log is, and when it comes back
    stage.die()
    stage.until(lambda: len(stage.said) == 1)
    assert "worker was killed by SIGKILL" in stage.said[0]
    assert "restarts in 1 s" in stage.said[0]
    assert str(stage.folder / "worker.log") in stage.said[0]
    # and it does not before that
    stage.now = 0.9
    for _ in range(5):
        stage.parts.keep_up()
    assert not stage.parts.queue.running
    stage.now = 1.1
    stage.until(stage.pid_file.exists)
    stage.until(lambda: len(stage.said) == 2)
    assert stage.said[1] == "worker is running again"
    for _ in range(3):
        stage.parts.keep_up()
    assert len(stage.said) == 2, "it is said once"
    # and it knows that this is not the first time
    assert (stage.folder / "worker.log").read_text().split("\n")[:2] == [
        "again: False",
        "again: True",
    ]


def test_while_it_fails_the_wait_doubles_up_to_a_minute(stage: Stage) -> None:
    stage.start()
    stage.orders.write_text("fail")
    stage.die()

    waits = []
    for number in range(1, 10):
        stage.until(lambda number=number: len(stage.said) == number)  # type: ignore[misc]
        waits.append(float(stage.said[-1].partition("restarts in ")[2].split()[0]))
        stage.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    assert "RuntimeError: the database is away" in stage.said[-1]

    # When it works again and goes on for long, then its next death is a first one
    stage.orders.write_text("live")
    stage.until(stage.pid_file.exists)
    stage.now += STEADY_SECONDS
    stage.die()
    stage.until(lambda: "was killed" in stage.said[-1])
    assert "restarts in 60 s" in stage.said[-1], "it was not up for longer than that"
    stage.now += 60
    stage.until(lambda: stage.said[-1] == "worker is running again")
    stage.now += STEADY_SECONDS + 1
    stage.die()
    stage.until(lambda: "was killed" in stage.said[-1])
    assert "restarts in 1 s" in stage.said[-1]


def test_what_never_was_up_ends_the_start_with_its_last_lines(stage: Stage) -> None:
    stage.orders.write_text("fail")

    with pytest.raises(ServerError, match="the database is away") as caught:
        stage.start()

    assert "worker stopped unexpectedly with code 1" in caught.value.message


def test_an_error_that_a_person_can_act_on_is_shown_without_its_stack(stage: Stage) -> None:
    def refuse(again: bool) -> None:
        raise DamagedFileError("mage.db: the file is damaged", "restore it from a backup")

    # At the start
    works, stage.parts._parts["worker"].run = stage.parts._parts["worker"].run, refuse
    with pytest.raises(ServerError) as caught:
        stage.start()
    assert caught.value.message.splitlines()[1:] == [
        "    mage.db: the file is damaged",
        "      what to do: restore it from a backup",
    ]

    # and later: message and hint, not the hint alone
    stage.parts._parts["worker"].run = works
    stage.start()
    stage.parts._parts["worker"].run = refuse
    stage.die()
    stage.until(lambda: len(stage.said) == 1)
    stage.now += 2
    stage.until(lambda: len(stage.said) == 2)
    assert "code 1: mage.db: the file is damaged; what to do: restore it" in stage.said[1]


def test_a_part_that_is_not_up_in_time_ends_the_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[float] = []

    def sleep(seconds: float) -> None:
        stage.now += 30
        ticks.append(stage.now)

    monkeypatch.setattr(parts_module.time, "sleep", sleep)
    stage.pid_file = stage.folder / "elsewhere"
    stage.parts._parts["worker"].is_up = lambda: False

    with pytest.raises(ServerError, match="worker: no answer within 300 s"):
        stage.start()

    assert ticks[-1] == 330, "at 300 s it may still come up"


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "stopped unexpectedly with code 0"), (1, "with code 1"), (-9, "was killed by SIGKILL")],
)
def test_how_a_part_ended_is_said_in_words(code: int, words: str) -> None:
    assert words in parts_module._how(JobEnd("worker", code, 1.0, False))
