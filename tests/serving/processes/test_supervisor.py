"""The supervisor without a process: when what died is started again, and how all are ended."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prometheus_client  # noqa: F401 - imported by a test, it would count in its folder for ever
import pytest
import xgboost  # noqa: F401 - its first import starts a process, which a test may not

from demo.servers import free_ports
from mlops.errors import BusyError, ConfigurationError
from mlops.serving.http.keys import hash_of, read_keys
from mlops.serving.processes import supervisor, worker
from mlops.serving.processes.supervisor import _Child
from mlops.settings import Settings, load_settings

LOCK = 7


@dataclass
class Machine:
    """Forks and ends processes that do not exist; its clock moves only when somebody sleeps."""

    now: float = 1_000.0
    living: set[int] = field(default_factory=set)
    started: list[int] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    stubborn: set[int] = field(default_factory=set)  # go on after SIGTERM
    gone: set[int] = field(default_factory=set)  # somebody else has waited for them

    def fork(self) -> int:
        self.started.append(1 + len(self.started))
        self.living.add(self.started[-1])
        return self.started[-1]

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        assert options == os.WNOHANG
        if pid in self.gone:
            raise ChildProcessError
        return (0, 0) if pid in self.living else (pid, 0)

    def kill(self, pid: int, number: int) -> None:
        self.sent.append((pid, number))
        if pid in self.gone:
            raise ProcessLookupError
        if number == signal.SIGKILL or pid not in self.stubborn:
            self.living.discard(pid)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    clock = SimpleNamespace(monotonic=lambda: machine.now, sleep=machine.sleep)
    monkeypatch.setattr(supervisor, "time", clock)
    for name in ("fork", "waitpid", "kill"):
        monkeypatch.setattr(supervisor.os, name, getattr(machine, name))
    monkeypatch.setattr(
        supervisor.metrics, "forget_worker", lambda folder, pid: machine.forgotten.append(pid)
    )
    return machine


def child(name: str = "worker-0") -> _Child:
    return _Child(name, lambda: None)


def wait_after_death(machine: Machine, it: _Child, lived: float) -> float:
    """Let a child live and die; return after how long it is started again, at most a minute."""
    began = len(machine.started)
    machine.now = it.started_at + lived
    machine.living.clear()
    supervisor._watch([it], Path("counts"), LOCK)
    died = machine.now
    while len(machine.started) == began and machine.now < died + 60:
        machine.now = round(machine.now + 0.1, 6)
        supervisor._watch([it], Path("counts"), LOCK)
    return round(machine.now - died, 6)


def test_what_lives_is_left_alone_and_what_never_was_is_started(machine: Machine) -> None:
    both = [child("worker-0"), child("worker-1")]

    for _ in range(3):
        supervisor._watch(both, Path("counts"), LOCK)

    assert [it.pid for it in both] == machine.started == [1, 2]
    assert machine.forgotten == []


def test_the_pause_before_a_start_doubles_up_to_its_longest(machine: Machine) -> None:
    it = child()
    supervisor._watch([it], Path("counts"), LOCK)

    waits = [wait_after_death(machine, it, lived=1) for _ in range(9)]

    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15, 15]
    # the counts of every process that died are added up before its file goes
    assert machine.forgotten == machine.started[:-1]


@pytest.mark.parametrize(("lived", "wait"), [(30, 0.8), (30.1, 0.2)])
def test_the_deaths_of_what_lived_long_enough_are_forgotten(
    machine: Machine, lived: float, wait: float
) -> None:
    it = child()
    supervisor._watch([it], Path("counts"), LOCK)
    for _ in range(2):
        wait_after_death(machine, it, lived=1)

    assert wait_after_death(machine, it, lived=lived) == wait


def test_one_that_dies_delays_no_other(machine: Machine) -> None:
    both = [child("worker-0"), child("worker-1")]
    supervisor._watch(both, Path("counts"), LOCK)
    machine.living.discard(1)
    machine.gone.add(2)  # ended, and waited for by somebody else

    supervisor._watch(both, Path("counts"), LOCK)
    assert [it.pid for it in both] == [0, 0]
    machine.now += 0.2
    supervisor._watch(both, Path("counts"), LOCK)

    assert [it.pid for it in both] == [3, 4]


def test_all_are_asked_to_end_and_who_does_not_is_ended(machine: Machine) -> None:
    three = [child(f"worker-{number}") for number in range(3)]
    supervisor._watch(three, Path("counts"), LOCK)
    machine.stubborn, machine.gone = {2}, {3}
    never = child("never started")
    began = machine.now

    supervisor._stop([*three, never])

    asked = [(1, signal.SIGTERM), (2, signal.SIGTERM), (3, signal.SIGTERM)]
    assert machine.sent == [*asked, (2, signal.SIGKILL)]
    assert [it.pid for it in three] == [0, 0, 0]
    assert 30 <= machine.now - began < 31  # nobody waits for who has ended


def test_a_child_lets_the_lock_go_and_ends_with_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in the child, without a fork: its signals, the lock, and its exit code."""
    closed: list[int] = []
    codes: list[int] = []
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(supervisor.os, "fork", lambda: 0)
    monkeypatch.setattr(supervisor.os, "close", closed.append)
    monkeypatch.setattr(supervisor.os, "_exit", codes.append)
    monkeypatch.setattr(supervisor.signal, "signal", handlers.__setitem__)

    def leave() -> None:
        sys.exit(3)

    def fail() -> None:
        raise RuntimeError("broken")

    for work in (lambda: None, leave, fail):
        supervisor._start(_Child("worker-0", work), LOCK)

    assert codes == [0, 0, 1]
    assert closed == [LOCK] * 3
    assert handlers[signal.SIGINT] is handlers[signal.SIGHUP] is signal.SIG_IGN
    with pytest.raises(SystemExit) as left:
        handlers[signal.SIGTERM](signal.SIGTERM, None)
    assert left.value.code == 0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (port,) = free_ports(1)
    return load_settings({"home": str(tmp_path), "serving.port": port})


def test_a_home_is_served_once_per_port(settings: Settings) -> None:
    lock = settings.served / f"serve-{settings.serving.port}.lock"
    settings.served.mkdir(parents=True)
    lock.write_text("12345678901234567890")  # of one that ended long ago

    with supervisor._only_one(settings):
        assert lock.read_text() == str(os.getpid())
        with pytest.raises(BusyError, match=f"as process {os.getpid()}"):
            supervisor._only_one(settings).__enter__()
    with supervisor._only_one(settings):
        pass


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_each_worker_listens_to_itself_at_a_port_nobody_else_has(workers: int) -> None:
    (port,) = free_ports(1)

    listeners = supervisor._listeners("serving.port", "127.0.0.1", port, workers)
    try:
        assert {listener.getsockname()[1] for listener in listeners} == {port}
        shared = [bool(it.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)) for it in listeners]
        assert shared == [workers > 1] * len(listeners) or sys.platform != "linux"
        assert len(listeners) == (workers if sys.platform == "linux" else 1)
        with pytest.raises(ConfigurationError, match=r"serving\.port: cannot listen") as caught:
            supervisor._listeners("serving.port", "127.0.0.1", port, workers)
        assert os.strerror(errno.EADDRINUSE) in caught.value.message
    finally:
        supervisor._close(listeners)
    assert all(listener.fileno() == -1 for listener in listeners)


def test_an_address_of_the_sixth_version_is_understood() -> None:
    if not socket.has_dualstack_ipv6():
        return
    (port,) = free_ports(1)
    with supervisor._listener("serving.port", "::1", port) as listener:
        assert listener.family == socket.AF_INET6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_a_wish_to_stop_and_leaves_its_handler_behind(number: int) -> None:
    former = signal.getsignal(number)

    with supervisor._stop_wanted() as wanted:
        assert not wanted()
        signal.raise_signal(number)
        assert wanted()

    assert signal.getsignal(number) is former


@pytest.mark.parametrize(
    ("changes", "token", "words", "missing"),
    [
        ({}, "secret-key", ["http://127.0.0.1:", "API key  secret-key"], ["no API key"]),
        ({}, None, [], ["API key", "secret"]),
        ({"serving.require_key": False}, None, ["no API key is needed"], []),
        ({"serving.host": "0.0.0.0"}, None, ["http://127.0.0.1:"], ["0.0.0.0"]),
        ({"serving.host": "10.1.2.3"}, None, ["http://10.1.2.3:"], ["http://127.0.0.1:8000"]),
    ],
)
def test_the_start_says_where_it_answers_and_the_key_once(
    tmp_path: Path, changes: dict[str, Any], token: str | None, words: list[str], missing: list[str]
) -> None:
    said: list[str] = []

    supervisor._greet(load_settings({"home": str(tmp_path), **changes}), token, said.append)

    text = "\n".join(said)
    assert all(word in text for word in words)
    assert not any(word in text for word in missing)


@pytest.fixture
def serving(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what makes a server of two workers in a home that does not exist yet."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setattr(supervisor.metrics, "_MEMORY", tmp_path)
    monkeypatch.setattr(supervisor, "keep_private", lambda home: None)
    port, metrics_port = free_ports(2)
    return {
        "home": str(tmp_path / "deep" / "home"),
        **{"serving.port": port, "serving.metrics_port": metrics_port, "serving.workers": 2},
    }


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, True),
        ({"serving.require_key": False}, False),
        ({"serving.key_hashes": [hash_of("a token from elsewhere").hex()]}, False),
    ],
)
def test_all_run_until_a_signal_asks_to_stop(
    serving: dict[str, Any],
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    shown: bool,
) -> None:
    settings = load_settings({**serving, **changes})
    private: list[Path] = []
    monkeypatch.setattr(supervisor, "keep_private", private.append)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        machine.sleep(seconds)
        naps.append(seconds)
        if len(naps) == 1:
            socket.create_connection(("127.0.0.1", settings.serving.port)).close()
            machine.living.discard(2)
        elif len(naps) == 5:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(supervisor.time, "sleep", sleep)
    said: list[str] = []

    supervisor.serve(settings, said.append)

    # The follower, the metrics and two workers, and once more what died: all were asked to end
    assert machine.started == [1, 2, 3, 4, 5]
    assert sorted(machine.sent) == [(pid, signal.SIGTERM) for pid in (1, 3, 4, 5)]
    assert naps[:5] == [0.1] * 5
    assert (said[-1], private) == ("stopping …", [settings.home])
    # A key is made for who has none and needs one
    assert any(line.startswith("API key  ") for line in said) == shown
    assert len(read_keys(settings.served)) == shown
    # And nothing is left behind: no socket, no lock, no counts
    for port in (settings.serving.port, settings.serving.metrics_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    with supervisor._only_one(settings):
        assert not Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).exists()


@pytest.mark.parametrize(
    ("name", "listening", "exporting"),
    [
        ("follower", (False, False), False),
        ("metrics", (False, False), True),
        ("worker-0", (True, False), False),
        ("worker-1", (False, True), False),
    ],
)
def test_each_process_keeps_only_the_socket_that_is_its_own(
    serving: dict[str, Any],
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    listening: tuple[bool, ...],
    exporting: bool,
) -> None:
    if sys.platform != "linux":
        return  # there one socket is shared
    exporter = SimpleNamespace(socket=socket.socket(), serve_forever=lambda: look("metrics"))
    listeners: list[socket.socket] = []
    really = supervisor._listeners
    seen: list[tuple[str, tuple[bool, ...], bool]] = []

    def listen(*arguments: Any) -> list[socket.socket]:
        listeners.extend(really(*arguments))
        return list(listeners)

    def look(who: str) -> None:
        is_open = tuple(it.fileno() != -1 for it in listeners)
        seen.append((who, is_open, exporter.socket.fileno() != -1))

    def run_worker(settings: Settings, listener: socket.socket, limiter: Any, number: int) -> None:
        assert listener is listeners[number]
        look(f"worker-{number}")

    def start(child: _Child, lock: int) -> None:
        child.pid = machine.fork()
        if child.name == name:
            child.run()
        if child.name == "worker-1":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(supervisor, "_exporter", lambda settings, counts: exporter)
    monkeypatch.setattr(supervisor, "_listeners", listen)
    monkeypatch.setattr(supervisor, "_start", start)
    monkeypatch.setattr(supervisor, "run_follower", lambda settings: look("follower"))
    monkeypatch.setattr(worker, "run_worker", run_worker)

    supervisor.serve(load_settings(serving), lambda line: None)

    assert seen == [(name, listening, exporting)]
    exporter.socket.close()


def test_a_port_of_the_metrics_that_is_taken_is_named(serving: dict[str, Any]) -> None:
    with (
        socket.create_server(("127.0.0.1", serving["serving.metrics_port"])),
        pytest.raises(ConfigurationError, match=r"serving\.metrics_port: cannot listen on"),
    ):
        supervisor.serve(load_settings(serving), lambda line: None)
