"""Decisions on what is on record: stored once, on all that is known, never twice about the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.monitoring.findings.deciding import Situation, decide_on, is_due, make_decision
from mlops.monitoring.findings.policy import SEVERITY, Champion, WindowOutcome, decide
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    read_decisions,
    write_decision,
    write_window,
)
from mlops.registry.trail import Promotion
from mlops.retraining.decision import RetrainingDecision
from mlops.retraining.records import RetrainingRecord, write_record
from mlops.settings import MonitoringSettings, Settings, load_settings

Maker = Callable[..., WindowRecord]
MARCH = datetime(2024, 3, 1, tzinfo=timezone.utc)
NOW = MARCH + timedelta(days=2)
POLICY = MonitoringSettings(violations=2, windows=3, cool_down_hours=24, rollback_days=7)
WITH_LABELS = ("drift", "quality", "performance")


def change(version: int = 3, previous: int | None = None, **more: Any) -> Promotion:
    given = {"at": MARCH - timedelta(days=1), "reason": "", "by": "ann", **more}
    return Promotion(version=version, source="", previous=previous, **given)


def no_gain(previous: int) -> float | None:
    return None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path}).model_copy(update={"monitoring": POLICY})


def look(
    settings: Settings,
    windows: Sequence[WindowRecord] = (),
    trail: Sequence[Promotion] = (change(),),
    now: datetime = NOW,
    gain: Callable[[int], float | None] = no_gain,
    can_roll_back: bool = True,
) -> DecisionRecord:
    for window in windows:
        write_window(settings, window)
    situation = Situation(trail, gain, now, run_id=7, can_roll_back=can_roll_back)
    record = make_decision(settings, situation)
    assert record is not None
    return record


def later(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def confirmed(record: DecisionRecord, at: datetime) -> DecisionRecord:
    return record.model_copy(update={"confirmed_at": at})


def test_nothing_is_decided_without_a_champion(settings: Settings, make_window: Maker) -> None:
    write_window(settings, make_window(0, "drift"))

    assert make_decision(settings, Situation((), no_gain, NOW)) is None
    assert read_decisions(settings) == ()


def test_a_quiet_window_is_ok_and_a_look_at_nothing_new_leaves_it_at_that(
    settings: Settings, make_window: Maker
) -> None:
    first = look(settings, [make_window(0)])
    assert (first.decision.step, first.run_id, first.command) == ("ok", 7, "")
    assert not is_due(first)

    # when nothing is new, then the decision stands, and it is on record that somebody looked
    assert look(settings, now=later(1)) == confirmed(first, later(1))
    assert read_decisions(settings) == (confirmed(first, later(1)),)
    # when a window is, then there is another
    assert look(settings, [make_window(1)], now=later(2)) != first
    assert len(read_decisions(settings)) == 2


def test_a_change_leads_to_one_retraining(settings: Settings, make_window: Maker) -> None:
    # Given two windows that drifted
    wanted = look(settings, [make_window(0, "drift"), make_window(1, "drift")])
    assert wanted.decision.step == "retrain" and is_due(wanted)
    assert wanted.command.startswith("mlops retrain --force --reason 'monitoring: 2 of the last")
    # When it could not be started, then the next look wants the same, by the same decision
    assert look(settings, now=later(1)) == confirmed(wanted, later(1))
    # When it was started, then the next look holds back, also once the cool-down is over
    write_decision(settings, wanted.model_copy(update={"started": "retraining"}))
    for hours in (2, 90):
        held = look(settings, now=later(hours))
        assert (held.decision.step, held.decision.held_back) == ("warn", "retrain")
    # But a new window after the cool-down may lead to another
    assert look(settings, [make_window(2, "drift")], now=later(91)).decision.step == "retrain"


def test_a_step_that_is_repeated_finds_its_decision(settings: Settings, make_window: Maker) -> None:
    first = look(settings, [make_window(0, "drift"), make_window(1, "drift")])
    write_decision(settings, first.model_copy(update={"started": "retraining", "started_run": 4}))

    again = look(settings, [make_window(2)])  # at the same time, with more on record

    assert again.started_run == 4
    assert len(read_decisions(settings)) == 1


def test_what_labels_say_counts_although_newer_windows_have_none(
    settings: Settings, make_window: Maker
) -> None:
    # Given windows whose labels came when three newer ones were there already
    windows = [make_window(hour, "performance", quiet=WITH_LABELS) for hour in (0, 1)]
    newer = [make_window(hour) for hour in (2, 3, 4)]

    decision = look(settings, [*windows, *newer]).decision

    assert decision.step == "retrain"
    assert "performance is odd: 5 min (limit 4.5)" in decision.reasons
    assert {w.window for w in decision.windows} == {w.window for w in (*windows, *newer)}
    assert "change of performance" in decision.reasons[0]


def test_better_labels_end_what_labels_began(settings: Settings, make_window: Maker) -> None:
    worse = [make_window(hour, "performance", quiet=WITH_LABELS) for hour in (0, 1)]

    decision = look(settings, [*worse, make_window(2, quiet=WITH_LABELS)]).decision

    assert decision.step == "ok"


alarms = st.sets(st.sampled_from(["drift", "quality", "performance", "labels", "serving"]))


@given(st.lists(st.tuples(alarms, st.booleans()), min_size=1, max_size=6))
def test_it_is_never_milder_than_the_policy_on_the_latest_windows(
    make_window: Maker, drawn: list[tuple[set[str], bool]]
) -> None:
    windows = [
        make_window(hour, *sorted(found), quiet=WITH_LABELS if labelled else ("drift",))
        for hour, (found, labelled) in enumerate(drawn)
    ]
    champion = Champion(version="3", promoted_at=MARCH)
    outcomes = [WindowOutcome.of(window.report, window.end) for window in windows]

    plain = decide(outcomes, champion, (), NOW, POLICY)
    found = decide_on(windows, champion, (), NOW, POLICY)

    assert SEVERITY.index(found.step) >= SEVERITY.index(plain.step)
    assert {w.window for w in plain.windows} <= {w.window for w in found.windows}


def test_what_a_champion_answered_in_a_reign_before_does_not_count(
    settings: Settings, make_window: Maker
) -> None:
    since = MARCH + timedelta(hours=10)
    before = [make_window(0, "drift"), make_window(9, "drift")]  # ends as the reign begins

    assert look(settings, before, [change(at=since)]).decision.step == "ok"
    # but trips that nobody asked about are of any time
    unasked = [make_window(hour, "drift", origin="source") for hour in (2, 3)]
    assert look(settings, unasked, [change(at=since)], later(1)).decision.step == "retrain"


def test_a_young_champion_gives_way_to_a_better_one_before_it(
    settings: Settings, make_window: Maker
) -> None:
    worse = make_window(0, "performance", quiet=WITH_LABELS)
    trail = [change(3, previous=2)]

    asked: list[int] = []
    record = look(settings, [worse], trail, gain=lambda before: asked.append(before) or 0.04)

    assert asked == [2]
    assert record.decision.step == "rollback"
    assert record.command.startswith("mlops rollback --reason 'monitoring: version 3 has been")
    # and what was measured stands while nothing else ends
    assert look(settings, trail=trail, now=later(1)) == confirmed(record, later(1))
    # nor longer than until something is measured again
    again = look(settings, trail=trail, now=later(1.5), gain=lambda _: 0.01)
    assert again.decision.champion.previous_gain == 0.01
    # but not for another champion
    other = look(settings, trail=[change(4, previous=3)], now=later(2))
    assert other.decision.champion.previous_gain is None


def test_a_version_that_is_gone_or_must_not_serve_is_never_gone_back_to(
    settings: Settings, make_window: Maker
) -> None:
    worse = make_window(0, "performance", quiet=WITH_LABELS)
    trail = [change(3, previous=2)]

    decision = look(settings, [worse], trail, gain=lambda _: 0.04, can_roll_back=False).decision

    assert decision.step == "warn" and decision.champion.previous is None


@pytest.mark.parametrize(
    "trail",
    [
        [change(3)],  # there was none before
        [change(3, previous=2, at=NOW - timedelta(days=8))],  # old
        [change(3, previous=2, kind="rollback")],  # another rollback would bring back what failed
    ],
)
def test_the_version_before_is_asked_only_if_it_may_come_back(
    settings: Settings, make_window: Maker, trail: list[Promotion]
) -> None:
    def fail(previous: int) -> float:
        raise AssertionError("it costs seconds")

    worse = make_window(0, "performance", quiet=WITH_LABELS)

    assert look(settings, [worse], trail, gain=fail).decision.step == "warn"


@pytest.mark.parametrize(("status", "step"), [("completed", "warn"), ("nothing to do", "retrain")])
def test_what_a_person_retrained_counts_if_it_came_to_a_training(
    settings: Settings, make_window: Maker, status: Any, step: str
) -> None:
    plan = RetrainingDecision(needed=True, reason="ann", months=("2024-02",), new_months=())
    record = RetrainingRecord(
        run_id=4, trigger="api", status=status, summary="", decision=plan, started_at=later(-3)
    )
    write_record(settings, record)

    decision = look(settings, [make_window(0, "drift"), make_window(1, "drift")]).decision

    assert decision.step == step


def test_what_a_person_rolled_back_counts(settings: Settings, make_window: Maker) -> None:
    back = change(3, previous=4, at=MARCH, kind="rollback")
    windows = [make_window(0, "drift"), make_window(1, "drift")]

    decision = look(settings, windows, [back], MARCH + timedelta(hours=6)).decision

    assert (decision.step, decision.held_back) == ("warn", "retrain")
    assert "after the rollback of 2024-03-01 00:00" in decision.reasons[0]
