"""What was decided is started once, whatever dies or hurries in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import ServerError
from mlops.monitoring.findings.deciding import command_for
from mlops.monitoring.findings.policy import Champion, Decision, Step
from mlops.monitoring.findings.records import DecisionRecord, read_decisions, write_decision
from mlops.orchestration.runs.lock import is_held
from mlops.orchestration.triggers import acting
from mlops.orchestration.triggers.acting import act
from mlops.settings import Settings, load_settings

NOW = datetime(2024, 3, 3, 12, tzinfo=timezone.utc)


@dataclass
class Mage:
    """Runs and what they were given; starting one can fail before or after it was created."""

    runs: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    alive: bool = False
    fails_before: bool = False
    fails_after: bool = False
    pause: Callable[[], Any] = lambda: None
    since_when: set[timedelta] = field(default_factory=set)

    def start(self, settings: Settings, pipeline: str, variables: dict[str, Any]) -> int:
        if self.fails_before:
            raise ServerError("no server answers", "start the servers: mlops up")
        number = len(self.runs) + 1
        self.runs.append((number, pipeline, variables))
        self.pause()
        if self.fails_after:
            raise ServerError("it does not answer", "look")
        return number

    def given(self, settings: Settings, pipeline: str, since: datetime) -> Any:
        self.since_when.add(NOW - since)
        return [(number, given) for number, name, given in self.runs if name == pipeline]

    def since(self, settings: Settings, since: datetime) -> Any:
        self.since_when.add(NOW - since)
        return [{"run": n, "pipeline": name, "status": "running"} for n, name, _ in self.runs]


@pytest.fixture
def mage(monkeypatch: pytest.MonkeyPatch) -> Mage:
    told = Mage()
    monkeypatch.setattr(acting, "start_pipeline", told.start)
    monkeypatch.setattr(acting, "runs_with_variables", told.given)
    monkeypatch.setattr(acting, "runs_since", told.since)
    monkeypatch.setattr(acting, "run_is_alive", lambda settings, run: told.alive)
    return told


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path})


def decided(settings: Settings, step: Step, at: datetime = NOW) -> DecisionRecord:
    decision = Decision(
        step=step,
        at=at,
        reasons=("2 of the last 3 windows show drift", "zone 7 is closed"),
        champion=Champion(version="3", promoted_at=NOW - timedelta(days=9)),
        windows=(),
    )
    record = DecisionRecord(
        decision=decision, run_id=8, command=command_for(decision, settings.dataset)
    )
    write_decision(settings, record)
    return record


@pytest.mark.parametrize(
    ("step", "pipeline", "more"), [("retrain", "retraining", ["force"]), ("rollback",) * 2 + ([],)]
)
def test_it_starts_what_was_decided_and_notes_the_run(
    mage: Mage, settings: Settings, step: Any, pipeline: str, more: list[str]
) -> None:
    record = decided(settings, step)

    done = act(settings, record)

    assert (done.started, done.started_run, done.problem) == (pipeline, 1, "")
    assert read_decisions(settings) == (done,)
    [(_, name, given)] = mage.runs
    assert name == pipeline
    assert given["by"] == "monitoring"
    assert given["reason"] == "monitoring: 2 of the last 3 windows show drift"
    assert sorted(given) == sorted(["by", "reason", "monitoring_decision", *more])
    assert given.get("force", True) is True
    # clocks of two machines may differ by minutes, and no run takes longer than three days
    assert mage.since_when == {timedelta(minutes=5), timedelta(days=3)}


@pytest.mark.parametrize("step", ["ok", "warn"])
def test_there_may_be_nothing_to_start(mage: Mage, settings: Settings, step: Any) -> None:
    record = decided(settings, step)

    assert act(settings, record) == record
    assert mage.runs == []


def test_it_starts_it_once_however_often_it_is_asked(mage: Mage, settings: Settings) -> None:
    record = decided(settings, "retrain")

    first, second = act(settings, record), act(settings, record)

    assert first == second
    assert len(mage.runs) == 1


def test_killed_before_it_was_noted_the_run_is_found_again(mage: Mage, settings: Settings) -> None:
    record = decided(settings, "retrain")
    # Given a process that died between the answer and the note of it
    act(settings, record)
    write_decision(settings, record)

    done = act(settings, record)

    assert (done.started_run, len(mage.runs)) == (1, 1)
    # But what was started for another decision is not ours
    other = act(settings, decided(settings, "retrain", NOW + timedelta(days=9)))
    assert (other.started_run, len(mage.runs)) == (2, 2)


def test_an_answer_that_is_lost_is_no_failure(mage: Mage, settings: Settings) -> None:
    mage.fails_after = True

    assert act(settings, decided(settings, "retrain")).started_run == 1


def test_two_at_once_start_one(mage: Mage, settings: Settings) -> None:
    record = decided(settings, "retrain")
    begun, go_on = threading.Event(), threading.Event()
    mage.pause = lambda: (begun.set(), go_on.wait(60))
    results: list[DecisionRecord] = []

    def try_it() -> None:
        results.append(act(settings, record))

    threads = [threading.Thread(target=try_it) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join()

    assert len(mage.runs) == 1
    assert [result.started_run for result in results] == [1, 1]


def test_without_a_server_it_says_what_a_person_would_type(mage: Mage, settings: Settings) -> None:
    mage.fails_before = True
    done = act(settings, decided(settings, "retrain"))

    assert (done.started, done.started_run) == ("", None)
    assert done.problem == "no server answers (start the servers: mlops up)"
    assert done.command.startswith("mlops retrain --force --reason 'monitoring: 2 of the last 3")
    assert read_decisions(settings) == (done,)
    # And it is started once there is one
    mage.fails_before = False
    assert (done := act(settings, done)).started_run == 1
    assert done.problem == ""


def test_a_run_for_another_dataset_is_in_nobodys_way(mage: Mage, settings: Settings) -> None:
    mage.alive = True
    mage.runs.append((1, "retraining", {"dataset": "flights", "reason": "new data"}))

    assert act(settings, decided(settings, "retrain")).started_run == 2

    flights = load_settings({"home": settings.home, "dataset": "flights"})
    blocked = act(flights, decided(flights, "retrain"))
    assert blocked.problem == "retraining is in progress already: run 1"


def test_what_is_in_progress_is_not_started_again(mage: Mage, settings: Settings) -> None:
    mage.runs.append((1, "retraining", {"reason": "the weekly retraining"}))
    mage.alive = True

    done = act(settings, decided(settings, "retrain"))

    assert done.problem == "retraining is in progress already: run 1"
    # A rollback does not wait for it, and a run whose server died holds up nobody
    assert act(settings, decided(settings, "rollback", NOW + timedelta(hours=1))).started_run == 2
    mage.alive = False
    assert act(settings, done).started_run == 3


def test_told_not_to_act_it_only_says_so(mage: Mage, settings: Settings) -> None:
    quiet = settings.monitoring.model_copy(update={"act": False})
    done = act(settings.model_copy(update={"monitoring": quiet}), decided(settings, "rollback"))

    assert (done.problem, mage.runs) == ("monitoring.act is off", [])
    assert done.command.startswith("mlops rollback --reason")


def test_nobody_decides_while_another_does(settings: Settings) -> None:
    with acting.alone(settings):
        assert is_held(settings.monitored / "deciding.lock")
    assert not is_held(settings.monitored / "deciding.lock")
