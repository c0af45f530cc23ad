"""A pytest plugin: one session runs the tests once, then each mutant's own tests in a fork of it.

Nothing is imported twice, and what a session's fixtures made (a registry with models) serves every
mutant. A fork runs the tests that call the mutated function, those first that noticed other faults
in it, then the fastest, and ends with the first that fails.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import math
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import hypothesis
import psutil
import pytest

from benchmarks.mutants import active

SECONDS_OF_TESTS = 10.0  # per mutant; a test that takes more than most of them is left out
_SLACK = (3.0, 6.0)  # a test may take so many times as long as before, and seconds more
# Exit codes of a fork: none that a mutant may happen to exit with means that its tests passed.
_PASSED, _FAILED, _HUNG = 44, 45, 1  # the last is that of faulthandler


class Forks:
    """Runs the tests, then the mutants.

    Args:
        mutants: Name and function of each mutant to try.
        results: Gets a line of JSON per mutant: its name, and "killed", "timeout" or "survived".
        pending: Gets the names of what tests call.
    """

    def __init__(self, mutants: Sequence[tuple[str, str]], results: Path, pending: Path) -> None:
        self.mutants, self.results, self.pending = mutants, results, pending
        self.at_work = pending.with_name("at-work")  # gets the name of a fork's test
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
        usable = self._learn(session.items)
        gc.collect()
        gc.freeze()  # a collection in a fork would copy all that the parent has in memory
        terminal.write_line(f"\n{len(usable)} of {len(session.items)} tests can run in forks")
        with self.results.open("a", encoding="utf-8") as stream:
            for number, (name, function) in enumerate(self.mutants, 1):
                tests = self._tests_of(function, usable)
                outcome = self._outcome(name, tests) if tests else "untested"
                if outcome in ("killed", "timeout"):
                    self.kills[function, self.at_work.read_text()] += 1
                stream.write(json.dumps([name, outcome]) + "\n")
                stream.flush()
                if number % 50 == 0:
                    terminal.write_line(f"{number} of {len(self.mutants)} mutants")
        return True

    def _learn(self, items: Sequence[pytest.Item]) -> set[str]:
        """Run every test to see what it calls; return those that are quick and pass in a fork."""
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
        while passed and self._fork(note, passed) != _PASSED:
            before, noted = len(noted), self.pending.read_text().splitlines()
            del passed[: len(noted) - before + 1]
        # Here a test is without the session's fixtures, which it may have waited for before.
        lines = [line.split(" ", 1) for line in self.pending.read_text().splitlines()]
        self.seconds = {nodeid: float(took) for took, nodeid in lines}
        return {nodeid for nodeid, took in self.seconds.items() if took <= SECONDS_OF_TESTS / 2}

    def _tests_of(self, function: str, usable: set[str]) -> list[pytest.Item]:
        """Return the tests that call a function, as many as there is time for, in this order."""
        tests = [item for item in self.callers.get(function, ()) if item.nodeid in usable]
        tests.sort(key=lambda i: (-self.kills[function, i.nodeid], self.seconds[i.nodeid]))
        chosen, total = [], 0.0
        for item in tests:
            total += self.seconds[item.nodeid]
            if total > SECONDS_OF_TESTS and chosen:
                break
            chosen.append(item)
        return chosen

    def _outcome(self, name: str, tests: Sequence[pytest.Item]) -> str:
        os.environ[active.MUTANT] = name
        code = self._fork(lambda: _PASSED if self._passes(tests) else _FAILED, tests)
        del os.environ[active.MUTANT]
        return {_PASSED: "survived", _HUNG: "timeout"}.get(code, "killed")

    def _passes(self, tests: Sequence[pytest.Item], last: pytest.Item | None = None) -> bool:
        """Whether tests pass; what the session's fixtures made is left to the parent."""
        self.failed = False
        stays = last or next((i for i in _others(tests)), tests[0])
        for item, following in zip(tests, [*tests[1:], stays], strict=True):
            self.at_work.write_text(item.nodeid)
            faulthandler.dump_traceback_later(self._limit(item), exit=True, file=self._nowhere)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            faulthandler.cancel_dump_traceback_later()
            if self.failed:
                return False
        return True

    def _limit(self, item: pytest.Item) -> float:
        """Return how many seconds a test may take."""
        return self.seconds[item.nodeid] * _SLACK[0] + _SLACK[1]

    def _fork(self, work: Callable[[], int], tests: Sequence[pytest.Item]) -> int:
        """Run work on tests in a fork with temporary folders of its own; return its exit code."""
        patience = sum(self.seconds[i.nodeid] for i in tests) * _SLACK[0] + 3 * _SLACK[1]
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        child = os.fork()
        if not child:
            code = _FAILED
            try:
                os.setsid()
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
        shutil.rmtree(folder, ignore_errors=True)
        return os.waitstatus_to_exitcode(status) if ended else _HUNG


def _end_session(leader: int) -> None:
    """Kill all processes of a session, whatever groups they have moved to."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid != os.getpid() and os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


def _others(tests: Sequence[pytest.Item]) -> Iterable[pytest.Item]:
    """Yield tests of other files than the last one's: its fixtures end before them."""
    last = tests[-1]
    return (item for item in last.session.items if item.path != last.path)


def pytest_configure(config: pytest.Config) -> None:
    """Take what to try from the environment, where the command left it."""
    mutants, results = map(Path, os.environ["MUTANTS_TO_TRY"].split(os.pathsep))
    tried = json.loads(mutants.read_text("utf-8"))
    config.pluginmanager.register(Forks(tried, results, mutants.with_name("called")))
