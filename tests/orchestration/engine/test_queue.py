"""The fork queue, without Mage: limits, logs, kills, and what dies with whom."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest

from mlops.orchestration.engine import queue as queue_module
from mlops.orchestration.engine.queue import ForkQueue, JobPlan


@pytest.fixture
def queue(tmp_path):
    queue = ForkQueue(2, lambda job_id, arguments: JobPlan(tmp_path / f"{job_id}.log"))
    yield queue
    queue.stop()


def run_down(queue, seconds=20):
    """Tick until nothing is left; return how each job ended."""
    ends = {}
    deadline = time.monotonic() + seconds
    while not queue.idle:
        assert time.monotonic() < deadline
        ended, _ = queue.tick()
        ends.update({end.job_id: end for end in ended})
        time.sleep(0.005)
    return ends


def test_each_job_runs_once_and_writes_to_its_own_log(queue, tmp_path):
    for name in "abc":
        queue.enqueue(name, print, f"this is {name}")
    queue.enqueue("a", print, "again")
    ends = run_down(queue)
    assert {name: end.exit_code for name, end in ends.items()} == {"a": 0, "b": 0, "c": 0}
    assert (tmp_path / "a.log").read_text() == "this is a\n"


def test_an_exception_is_exit_code_one_and_in_the_log(queue, tmp_path):
    queue.enqueue("bad", int, "nonsense")
    assert run_down(queue)["bad"].exit_code == 1
    assert "ValueError: invalid literal" in (tmp_path / "bad.log").read_text()


def test_no_more_jobs_run_than_workers_first_come_first_served(queue):
    for name in "abcd":
        queue.enqueue(name, time.sleep, 0.05)
    _, started = queue.tick()
    assert started == ["a", "b"] and queue.running == ("a", "b")
    run_down(queue)


def test_a_job_that_only_waits_for_others_holds_no_worker(tmp_path):
    # Given one worker, and jobs that each wait for the job after them
    plans = {name: JobPlan(tmp_path / "log", waits=name != "c") for name in "abc"}
    queue = ForkQueue(1, lambda job_id, arguments: plans[job_id])

    def wait_for(name):
        while not (tmp_path / name).exists():
            time.sleep(0.01)

    queue.enqueue("a", wait_for, "c")
    queue.enqueue("b", wait_for, "c")
    queue.enqueue("c", (tmp_path / "c").touch)
    # When they are run, then all end.
    assert {end.exit_code for end in run_down(queue).values()} == {0}


def test_work_that_has_begun_goes_before_what_has_not(tmp_path):
    begun = {"c", "d"}
    queue = ForkQueue(1, lambda job_id, _: JobPlan(tmp_path / "log", goes_on=job_id in begun))
    for name in "abcd":
        queue.enqueue(name, int)
    assert list(run_down(queue)) == ["c", "d", "a", "b"]


def test_a_job_is_present_until_its_end_was_reported(queue):
    queue.enqueue("a", int)
    queue.tick()
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    # It has ended, but nobody was told: Mage must not take it for crashed.
    assert queue.has_job("a")
    ended, _ = queue.tick()
    assert [end.job_id for end in ended] == ["a"] and not queue.has_job("a")


def test_a_waiting_job_is_dropped_and_a_running_one_ended(queue):
    for name in "abc":
        queue.enqueue(name, time.sleep, 60)
    queue.tick()
    queue.kill_job("c")
    queue.kill_job("a")
    queue.kill_job("unknown")
    assert not queue.has_job("c")
    started = time.monotonic()
    while queue.has_job("a"):
        ended, _ = queue.tick()
        assert time.monotonic() - started < 5
    assert [end.exit_code for end in ended] == [-signal.SIGTERM]
    assert queue.has_job("b")


def test_a_job_that_ignores_requests_is_killed(queue, monkeypatch, tmp_path):
    monkeypatch.setattr("mlops.orchestration.engine.queue.KILL_GRACE_SECONDS", 0.1)

    def stubborn():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (tmp_path / "ready").touch()
        time.sleep(60)

    queue.enqueue("a", stubborn)
    queue.tick()
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    queue.kill_job("a")
    assert run_down(queue)["a"].exit_code == -signal.SIGKILL


def test_a_job_past_its_time_is_ended_and_said_to_be(tmp_path):
    queue = ForkQueue(1, lambda job_id, arguments: JobPlan(tmp_path / "log", timeout_seconds=0.1))
    queue.enqueue("slow", time.sleep, 60)
    end = run_down(queue)["slow"]
    assert end.timed_out and 0.1 <= end.seconds < 5


def test_children_of_a_job_end_with_it(queue, tmp_path, helpers):
    def leave_a_child():
        child = subprocess.Popen(["sleep", "60"])
        (tmp_path / "pid").write_text(str(child.pid))

    queue.enqueue("a", leave_a_child)
    run_down(queue)
    assert helpers.gone({int((tmp_path / "pid").read_text())})


def test_a_job_gets_its_environment_default_signals_and_no_input(tmp_path):
    plan = JobPlan(tmp_path / "log", {"GIVEN": "yes"})
    queue = ForkQueue(1, lambda job_id, arguments: plan, in_child=lambda: print("in child"))

    def look():
        print(os.environ["GIVEN"], signal.getsignal(signal.SIGINT) == signal.SIG_DFL)
        print(repr(sys.stdin.read()))

    queue.enqueue("a", look)
    assert run_down(queue)["a"].exit_code == 0, plan.log.read_text()
    assert plan.log.read_text().splitlines() == ["in child", "yes True", "''"]
    assert "GIVEN" not in os.environ


def test_stop_ends_everything_and_refuses_more_until_started_again(queue):
    for name in "abc":
        queue.enqueue(name, time.sleep, 60)
    queue.tick()
    queue.stop()
    assert queue.idle
    queue.enqueue("d", int)
    assert queue.idle
    queue.start()
    queue.enqueue("d", int)
    assert run_down(queue)["d"].exit_code == 0


def test_jobs_and_their_children_die_with_a_killed_parent(tmp_path, helpers):
    script = textwrap.dedent(
        f"""
        import subprocess, sys, time
        from pathlib import Path
        from mlops.orchestration.engine.queue import ForkQueue, JobPlan

        def work():
            child = subprocess.Popen(["sleep", "60"])
            Path({str(tmp_path)!r}, "child").write_text(str(child.pid))
            time.sleep(60)

        queue = ForkQueue(1, lambda job_id, arguments: JobPlan(Path({str(tmp_path)!r}, "log")))
        queue.enqueue("a", work)
        queue.tick()
        while not Path({str(tmp_path)!r}, "child").exists():
            time.sleep(0.01)
        print("ready", flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "ready\n"
    pids = helpers.descendants(parent.pid)
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    assert helpers.gone(pids)


@pytest.fixture
def clock(monkeypatch):
    """A clock set by hand, and the signals that were sent; the processes are real."""
    sent, really = [], queue_module._signal_group
    clock = SimpleNamespace(now=1_000.0, sent=sent)

    def send(pid, number):
        sent.append(number)
        really(pid, number)

    monkeypatch.setattr(
        queue_module, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=time.sleep)
    )
    monkeypatch.setattr(queue_module, "_signal_group", send)
    return clock


def stubborn(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.touch()
    time.sleep(60)


def start_stubborn(queue, tmp_path):
    queue.enqueue("a", stubborn, tmp_path / "ready")
    queue.tick()
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)


def test_who_is_asked_to_end_is_killed_after_the_grace_and_not_before(queue, tmp_path, clock):
    start_stubborn(queue, tmp_path)
    queue.kill_job("a")
    clock.now += 3
    queue.kill_job("a")  # to ask again does not put it off
    clock.now += 2
    queue.tick()
    assert clock.sent == [signal.SIGTERM]
    clock.now += 0.1
    queue.tick()
    assert clock.sent == [signal.SIGTERM, signal.SIGKILL]
    end = run_down(queue)["a"]
    assert end.exit_code == -signal.SIGKILL and not end.timed_out
    assert end.seconds == pytest.approx(5.1)


def test_time_is_over_after_its_limit_and_not_at_it(tmp_path, clock):
    queue = ForkQueue(1, lambda job_id, _: JobPlan(tmp_path / "log", timeout_seconds=10))
    start_stubborn(queue, tmp_path)
    clock.now += 10
    queue.tick()
    assert clock.sent == []
    clock.now += 0.1
    queue.tick()
    queue.tick()
    assert clock.sent == [signal.SIGTERM]
    clock.now += 5.1
    queue.tick()
    assert run_down(queue)["a"].timed_out


def test_what_takes_no_worker_starts_at_once_and_a_worker_that_is_free_is_used(tmp_path):
    queue = ForkQueue(2, lambda job_id, _: JobPlan(tmp_path / "log", waits=job_id.startswith("w")))
    for name in ("w1", "a", "w2", "b", "w3", "c"):
        queue.enqueue(name, time.sleep, 60)
    assert queue.tick()[1] == ["w1", "a", "w2", "b", "w3"]
    assert queue.tick() == ([], [])
    queue.kill_job("a")
    started = []
    while not started:
        started = queue.tick()[1]
    assert started == ["c"]
    assert queue.has_job("b") and not queue.has_job("a")
    queue.stop()


def test_an_end_that_somebody_else_has_seen_is_a_failure(queue):
    queue.enqueue("a", int)
    queue.tick()
    os.waitpid(queue._running["a"].pid, 0)
    ended, _ = queue.tick()
    assert [(end.job_id, end.exit_code) for end in ended] == [("a", 1)]


def test_before_a_fork_connections_are_let_go_and_the_job_is_run_as_told(tmp_path):
    before = []

    def run(target, *arguments, **named):
        print("run as told")
        return target(*arguments, **named)

    queue = ForkQueue(
        1,
        lambda job_id, arguments: JobPlan(tmp_path / "very" / "deep" / str(arguments[0])),
        run,
        before_fork=lambda: before.append(1),
    )
    queue.enqueue("a", print, "log", end="!")
    queue.enqueue("b", print, "log2")
    assert before == []
    run_down(queue)
    assert before == [1, 1]
    assert (tmp_path / "very" / "deep" / "log").read_text() == "run as told\nlog!"
    assert (tmp_path / "very" / "deep" / "log").stat().st_mode & 0o777 == 0o600


def test_a_log_is_gone_on_with_and_holds_errors_in_their_place(queue, tmp_path):
    def speak():
        print("out")
        print("err", file=sys.stderr)
        print("ünd", end="")

    (tmp_path / "a.log").write_text("before\n")
    queue.enqueue("a", speak)
    run_down(queue)
    assert (tmp_path / "a.log").read_text() == "before\nout\nerr\nünd"


def test_a_job_that_leaves_by_itself_is_not_a_success_by_accident(queue, tmp_path):
    queue.enqueue("a", sys.exit, "no")
    assert run_down(queue)["a"].exit_code == 1


def test_a_job_does_not_wake_its_parent_by_the_signals_it_gets(queue, tmp_path):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    former = signal.set_wakeup_fd(ours.fileno())
    try:
        queue.enqueue("a", lambda: print(signal.set_wakeup_fd(-1)))
        run_down(queue)
    finally:
        signal.set_wakeup_fd(former)
        ours.close()
        theirs.close()
    assert (tmp_path / "a.log").read_text() == "-1\n"
