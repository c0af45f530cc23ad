"""A pytest plugin: one session runs the tests once, then each mutant's own tests in a fork of it.

Nothing is imported twice, and what a session's fixtures made (a registry with models) serves every
mutant. A fork runs the tests that call the mutated function, those first that noticed other faults
in it, then the fastest, and ends with the first that fails.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import itertools
import json
import math
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import psutil
import pytest

from benchmarks.mutants import active

AT_ONCE = 2  # mutants: many tests wait, for a server or a process, rather than compute
SECONDS_OF_TESTS = 20.0  # per mutant; a test that takes more than half of them is left out
_SLACK = (3.0, 6.0)  # a test may take so many times as long as before, and seconds more
# Exit codes of a fork: none that a mutant may happen to exit with means that its tests passed.
_PASSED, _FAILED, _HUNG = 44, 45, 1  # the last is that of faulthandler


class Forks:
    """Runs the tests, then the mutants.

    Args:
        mutants: Name and function of each.
        results: Gets a line of JSON per mutant: its name and outcome.
        pending: Gets the names of what tests call.
    """

    def __init__(self, mutants: Sequence[tuple[str, str]], results: Path, pending: Path) -> None:
        self.mutants, self.results, self.pending = mutants, results, pending
        self.seconds: dict[str, float] = {}
        self.callers: dict[str, list[pytest.Item]] = {}
        self.kills: Counter[tuple[str, str]] = Counter()  # by function and test
        self.failed = False
        self._nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Let hypothesis end with the first failure: it need be neither small nor remembered."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        parent = hypothesis.settings.get_profile("shared machines")
        hypothesis.settings.register_profile(
            "mutants", parent, phases=phases, database=None, derandomize=True
        )
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note whether the test at work failed, and how long it takes."""
        self.failed |= report.failed
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once, then the mutants."""
        terminal = session.config.pluginmanager.getplugin("terminalreporter")
        self._learn(session.items)
        gc.collect()
        gc.freeze()  # a collection in a fork would copy all that the parent has in memory
        terminal.write_line(f"\n{len(self.seconds)} of {len(session.items)} tests run in forks")

        # Threads only fork and wait. Whatever else runs is the only thread of its process.
        with (
            self.results.open("a", encoding="utf-8") as stream,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            for number, outcome in enumerate(pool.map(self._outcome, self.mutants), 1):
                stream.write(json.dumps([self.mutants[number - 1][0], outcome]) + "\n")
                stream.flush()
                if number % 50 == 0:
                    terminal.write_line(f"{number} of {len(self.mutants)} mutants")
        return True

    def _learn(self, items: Sequence[pytest.Item]) -> None:
        """Run every test to see what it calls, and how long those take that pass in a fork."""
        os.environ[active.CALLS] = str(self.pending)
        passed = []
        for item, following in zip(items, [*items[1:], items[0]], strict=True):
            self.pending.write_text("")
            active.seen.clear()
            self.failed = False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                continue
            passed.append(item)
            for function in set(self.pending.read_text().split()):
                self.callers.setdefault(function, []).append(item)
        del os.environ[active.CALLS]
        self.pending.write_text("")

        def note() -> int:
            for item, following in zip(passed, [*passed[1:], passed[0]], strict=True):
                began = time.monotonic()
                passes = self._passes([item], following)
                took = time.monotonic() - began if passes else math.inf
                with self.pending.open("a") as stream:
                    stream.write(f"{took} {item.nodeid}\n")
            return _PASSED

        noted: list[str] = []
        # A test that hangs or exits ends its fork: those after it are looked at in the next.
        while passed and self._fork(note, passed)[0] != _PASSED:
            before, noted = len(noted), self.pending.read_text().splitlines()
            del passed[: len(noted) - before + 1]
        # Here a test is without the session's fixtures, which it may have waited for before.
        lines = [line.split(" ", 1) for line in self.pending.read_text().splitlines()]
        taken = {nodeid: float(took) for took, nodeid in lines}
        self.seconds = {nodeid: s for nodeid, s in taken.items() if s <= SECONDS_OF_TESTS / 2}

    def _outcome(self, mutant: tuple[str, str]) -> str:
        """Run a mutant's tests, those first that noticed another one of its function."""
        name, function = mutant
        tests = [item for item in self.callers.get(function, ()) if item.nodeid in self.seconds]
        tests.sort(key=lambda i: (-self.kills[function, i.nodeid], self.seconds[i.nodeid]))
        until = itertools.accumulate(self.seconds[item.nodeid] for item in tests)
        tests = [i for i, s in zip(tests, until, strict=True) if s <= SECONDS_OF_TESTS]
        if not tests:
            return "untested"

        def work() -> int:
            os.environ[active.MUTANT] = name
            return _PASSED if self._passes(tests) else _FAILED

        code, last = self._fork(work, tests)
        if code == _PASSED:
            return "survived"
        self.kills[function, last] += 1
        return "timeout" if code == _HUNG else "killed"

    def _passes(self, tests: Sequence[pytest.Item], last: pytest.Item | None = None) -> bool:
        """Whether tests pass; what the session's fixtures made is left to the parent."""
        self.failed = False
        # With one of another file to come, the fixtures of the file end.
        others = (i for i in tests[-1].session.items if i.path != tests[-1].path)
        stays = last or next(others, tests[0])
        for item, following in zip(tests, [*tests[1:], stays], strict=True):
            self.at_work.write_text(item.nodeid)
            limit = self.seconds[item.nodeid] * _SLACK[0] + _SLACK[1]
            faulthandler.dump_traceback_later(limit, exit=True, file=self._nowhere)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            faulthandler.cancel_dump_traceback_later()
            if self.failed:
                return False
        return True

    def _fork(self, work: Callable[[], int], tests: Sequence[pytest.Item]) -> tuple[int, str]:
        """Run work in a fork with temporary folders of its own.

        Returns:
            Its exit code, and the test that it was at in the end.
        """
        patience = sum(self.seconds[i.nodeid] for i in tests) * _SLACK[0] + 3 * _SLACK[1]
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        at_work = folder / "at-work"
        at_work.touch()
        child = os.fork()
        if not child:
            code = _FAILED
            try:
                os.setsid()
                self.at_work = at_work
                tests[0].config.pluginmanager.unregister(name="terminalreporter")
                os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
                tests[0].config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]
                code = work()
            finally:
                os._exit(code)
        status, ended, deadline = 0, 0, time.monotonic() + patience
        while not ended and time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.005)
        _end_session(child)  # also of processes that a mutant has set free
        if not ended:
            os.waitpid(child, 0)
        last = at_work.read_text()
        shutil.rmtree(folder, ignore_errors=True)
        return os.waitstatus_to_exitcode(status) if ended else _HUNG, last


def _end_session(leader: int) -> None:
    """Kill all processes of a session, whatever groups they have moved to."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid != os.getpid() and os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


def pytest_configure(config: pytest.Config) -> None:
    """Take what to try from the environment, where the command left it."""
    mutants, results = map(Path, os.environ["MUTANTS_TO_TRY"].split(os.pathsep))
    tried = json.loads(mutants.read_text("utf-8"))
    config.pluginmanager.register(Forks(tried, results, mutants.with_name("called")))
