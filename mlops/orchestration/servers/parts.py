"""The processes of `mlops up`: each is started again when it dies, after a wait that grows.

A database that is away for a minute, a process that the operating system ends for its memory: what
passes must not take the other parts with it. What fails before it was ever up is a mistake that a
person should see, and ends the start.
"""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlops.errors import HINT, ServerError
from mlops.orchestration.engine.queue import ForkQueue, JobEnd, JobPlan

START_SECONDS: Final = 300  # on a busy machine: Mage alone imports for seconds
TICK_SECONDS: Final = 0.1
FIRST_WAIT_SECONDS: Final = 1.0  # before a part is started again; doubles
LONGEST_WAIT_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 300.0  # a part that was up so long is trusted again
LAST_LINES: Final = 15
# Where an entry of a log begins, and whether it is an error that a person can act on.
_ENTRY: Final = re.compile(r"\[?\d{4}-\d\d-\d\d[ T]|mlops\.errors\.")
_OUR_ERROR: Final = re.compile(r"(\d{4}-\d\d-\d\d [\d:,.]+ )?mlops\.errors\.\w+: ")


@dataclass
class ServerProcess:
    """One process.

    Attributes:
        name: Of the process and of its log.
        run: What it does, given whether it is started again; returns only if it fails.
        is_up: Tells whether it does its work.
    """

    name: str
    run: Callable[[bool], None]
    is_up: Callable[[], bool]
    started_at: float = 0.0
    wait: float = FIRST_WAIT_SECONDS
    again_at: float | None = None  # when it is started again, while it is down
    announced: bool = False  # whether it was announced that it is up


class Parts:
    """The parts of one server.

    Args:
        parts: In the order of their start.
        logs: Folder of their logs.
        say: Given each line meant for the person at the terminal.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        parts: tuple[ServerProcess, ...],
        logs: Path,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = {part.name: part for part in parts}
        self._logs = logs
        self._say = say
        self._clock = clock
        self.queue = ForkQueue(
            workers=len(parts), plan=lambda name, _: JobPlan(logs / f"{name}.log")
        )

    def start(self, stop_wanted: Callable[[], bool]) -> None:
        """Start all parts and wait until each is up.

        Raises:
            ServerError: If one ends, or is not up in time.
        """
        for part in self._parts.values():
            self._start(part, again=False)
        deadline = self._clock() + START_SECONDS
        waiting = list(self._parts.values())
        while waiting and not stop_wanted():
            for end in self.queue.tick()[0]:
                raise self._died(end)
            for part in waiting:
                part.announced = part.is_up()
            waiting = [part for part in waiting if not part.announced]
            if self._clock() > deadline:
                raise ServerError(
                    f"{', '.join(part.name for part in waiting)}: no answer within "
                    f"{START_SECONDS} s",
                    f"read the logs in {self._logs}",
                )
            time.sleep(TICK_SECONDS)

    def keep_up(self) -> None:
        """Start again what has died and waited long enough; never blocks for long."""
        now = self._clock()
        for end in self.queue.tick()[0]:
            self._note_death(self._parts[end.job_id], end, now)
        for part in self._parts.values():
            if part.again_at is not None and now >= part.again_at:
                self._start(part, again=True)
            elif part.again_at is None and not part.announced and part.is_up():
                part.announced = True
                self._say(f"{part.name} is running again")

    def _start(self, part: ServerProcess, *, again: bool) -> None:
        part.started_at, part.again_at, part.announced = self._clock(), None, False
        self.queue.enqueue(part.name, part.run, again)

    def _note_death(self, part: ServerProcess, end: JobEnd, now: float) -> None:
        if now - part.started_at > STEADY_SECONDS:
            part.wait = FIRST_WAIT_SECONDS
        part.again_at = now + part.wait
        lines = self._last_lines(part.name)
        self._say(
            f"{part.name} {_how(end)}: {_in_short(lines)}\n"
            f"  it restarts in {part.wait:.0f} s; its log: {self._log(part.name)}"
        )
        part.wait = min(2 * part.wait, LONGEST_WAIT_SECONDS)

    def _died(self, end: JobEnd) -> ServerError:
        lines = self._last_lines(end.job_id)
        return ServerError(
            f"{end.job_id} {_how(end)}; its last lines:\n" + "\n".join(f"    {x}" for x in lines),
            f"read {self._log(end.job_id)}; the other servers were stopped",
        )

    def _last_lines(self, name: str) -> list[str]:
        """Return the end of a log; of an error that a person can act on, what it says alone."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = self._log(name).read_text(errors="replace").splitlines()[-LAST_LINES:]
        entry = max((n for n, line in enumerate(lines) if _ENTRY.match(line)), default=0)
        if lines and (error := _OUR_ERROR.match(lines[entry])):
            return [lines[entry][error.end() :], *lines[entry + 1 :]]
        return lines

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _in_short(lines: list[str]) -> str:
    """Return the last line of a log with the line that it explains, if it is a hint."""
    shown = lines[-2:] if lines and lines[-1].lstrip().startswith(HINT.strip()) else lines[-1:]
    return "; ".join(line.strip() for line in shown) or "it wrote nothing"


def _how(end: JobEnd) -> str:
    if end.exit_code >= 0:
        return f"stopped unexpectedly with code {end.exit_code}"
    return f"was killed by {signal.Signals(-end.exit_code).name}"
