"""Decisions: never milder for more violations, never twice within a cool-down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.monitoring.findings.measurements import FindingKind
from mlops.monitoring.findings.policy import (
    SEVERITY,
    Action,
    Champion,
    Decision,
    WindowOutcome,
    decide,
)
from mlops.settings import MonitoringSettings

NOW = datetime(2024, 3, 1, 12)
LIMITS = MonitoringSettings(violations=2, windows=3, cool_down_hours=48, rollback_days=7)
OLD = Champion(version="3", promoted_at=NOW - timedelta(days=30))
YOUNG = Champion(version="3", promoted_at=NOW - timedelta(days=2), previous="2", previous_gain=0.04)

kinds = st.frozensets(st.sampled_from(get_args(FindingKind)))
champions = st.builds(
    Champion,
    version=st.just("3"),
    promoted_at=st.sampled_from([OLD.promoted_at, YOUNG.promoted_at]),
    previous=st.sampled_from([None, "2"]),
    previous_gain=st.sampled_from([None, -0.1, 0.0, 0.05]),
)
actions = st.lists(
    st.builds(
        Action,
        step=st.sampled_from(["retrain", "rollback"]),
        at=st.integers(1, 100).map(lambda hours: NOW - timedelta(hours=hours)),
    ),
    max_size=3,
)


def windows(
    *violated: set[FindingKind] | frozenset[FindingKind], version: str = "3"
) -> list[WindowOutcome]:
    return [
        WindowOutcome(
            window=f"w{i}",
            version=version,
            end=NOW - timedelta(hours=len(violated) - i),
            violated=frozenset(each),
            reasons=tuple(f"{name} is odd" for name in sorted(each)),
        )
        for i, each in enumerate(violated)
    ]


def decided(
    *violated: set[FindingKind], champion: Champion = OLD, **more: list[Action]
) -> Decision:
    return decide(windows(*violated), champion, more.get("actions", []), NOW, LIMITS)


@given(st.lists(kinds, min_size=1, max_size=5), st.data(), champions, actions)
def test_more_violations_never_lead_to_a_milder_decision(
    violated: list[frozenset[FindingKind]],
    data: st.DataObject,
    champion: Champion,
    done: list[Action],
) -> None:
    # given windows, and the same with more violations in any of them
    more = [each | data.draw(kinds) for each in violated]

    # when both are decided on in the same situation
    less, worse = (decide(windows(*each), champion, done, NOW, LIMITS) for each in (violated, more))

    # then the second is at least as severe
    assert SEVERITY.index(worse.step) >= SEVERITY.index(less.step)


@given(st.lists(kinds, max_size=5), champions, actions)
def test_a_cool_down_blocks_repeated_actions(
    violated: list[frozenset[FindingKind]], champion: Champion, done: list[Action]
) -> None:
    decision = decide(windows(*violated), champion, done, NOW, LIMITS)

    if decision.step in ("retrain", "rollback"):
        again = Action(step=decision.step, at=NOW)
        next_hour = NOW + timedelta(hours=1)
        repeated = decide(windows(*violated), champion, [*done, again], next_hour, LIMITS)
        assert repeated.step != decision.step
        assert repeated.held_back is not None


def test_no_windows_and_quiet_windows_are_ok() -> None:
    assert decided().step == "ok"
    assert decided(set(), set()).step == "ok"
    assert decided().reasons == ("no window has been measured",)


def test_one_violation_warns_and_two_of_three_retrain() -> None:
    assert decided(set(), set(), {"drift"}).step == "warn"
    assert decided({"performance"}, set(), {"drift"}).step == "retrain"


def test_what_is_over_leads_to_nothing() -> None:
    assert decided({"drift"}, {"drift"}, set()).step == "ok"


def test_violations_beyond_the_last_windows_are_forgotten() -> None:
    assert decided({"drift"}, {"drift"}, set(), set(), {"drift"}).step == "warn"


def test_broken_data_are_for_a_person_not_for_a_training() -> None:
    decision = decided({"quality"}, {"quality", "skew"}, {"quality"})

    assert decision.step == "warn"
    assert "quality is odd" in decision.reasons


def test_a_young_champion_gives_way_to_a_better_predecessor() -> None:
    decision = decided({"performance"}, champion=YOUNG)

    assert decision.step == "rollback"
    assert "version 2 is at least 4.0% better" in decision.reasons[0]


def test_an_old_champion_or_a_worse_predecessor_is_no_case_for_rollback() -> None:
    worse = YOUNG.model_copy(update={"previous_gain": -0.01})

    assert decided({"performance"}, champion=worse).step == "warn"
    assert decided({"performance"}, champion=OLD).step == "warn"
    assert decided({"drift"}, champion=YOUNG).step == "warn"


def test_what_a_retraining_made_may_be_rolled_back_at_once() -> None:
    retrained = [Action(step="retrain", at=NOW - timedelta(hours=3))]

    assert decided({"performance"}, champion=YOUNG, actions=retrained).step == "rollback"


def test_after_a_rollback_nothing_happens_until_it_has_cooled_down() -> None:
    rolled_back = [Action(step="rollback", at=NOW - timedelta(hours=3))]

    decision = decided({"performance"}, {"performance"}, champion=YOUNG, actions=rolled_back)

    assert (decision.step, decision.held_back) == ("warn", "rollback")
    assert "before 2024-03-03 09:00" in decision.reasons[0]


def test_windows_of_another_version_are_not_the_champions_fault() -> None:
    others = windows({"performance"}, {"performance"}, version="2")

    assert decide(others, OLD, [], NOW, LIMITS).step == "ok"


def test_a_decision_holds_its_evidence_and_survives_storage() -> None:
    decision = decided({"drift"}, {"drift"}, {"performance"})

    assert [w.window for w in decision.windows] == ["w0", "w1", "w2"]
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_nothing_is_done_twice_about_the_same_windows_even_without_a_cool_down() -> None:
    hasty = LIMITS.model_copy(update={"cool_down_hours": 0})
    seen = windows({"drift"}, {"drift"})
    done = Action(
        step="retrain", at=NOW - timedelta(days=9), windows=frozenset(w.window for w in seen)
    )

    # given what led to a retraining before, then it leads to none again
    again = decide(seen, OLD, [done], NOW, hasty)
    assert (again.step, again.held_back) == ("warn", "retrain")
    assert "was for the same windows" in again.reasons[0]

    # but a new window with the same change does
    later = WindowOutcome(window="w9", version="3", end=NOW, violated=frozenset({"drift"}))
    assert decide([*seen, later], OLD, [done], NOW, hasty).step == "retrain"


@pytest.mark.parametrize(
    ("age", "step"),
    [(timedelta(days=7), "rollback"), (timedelta(days=7, seconds=1), "warn")],
)
def test_a_champion_is_young_up_to_its_limit(age: timedelta, step: str) -> None:
    champion = YOUNG.model_copy(update={"promoted_at": NOW - age})

    assert decided({"performance"}, champion=champion).step == step


@pytest.mark.parametrize(
    "change", [{"previous_gain": 0.0}, {"previous_gain": None}, {"previous": None}]
)
def test_without_a_certain_gain_there_is_nothing_to_go_back_to(change: dict[str, None]) -> None:
    champion = YOUNG.model_copy(update=change)

    assert decided({"performance"}, champion=champion).step == "warn"


@pytest.mark.parametrize(
    ("done", "hours", "step", "held_back"),
    [
        ("retrain", 0, "warn", "retrain"),
        ("retrain", 47.99, "warn", "retrain"),
        ("retrain", 48, "retrain", None),
        ("rollback", 47.99, "warn", "retrain"),
        ("rollback", 48, "retrain", None),
        ("retrain", -1, "retrain", None),  # what is yet to come forbids nothing
    ],
)
def test_a_cool_down_lasts_as_long_as_it_is_set(
    done: str, hours: float, step: str, held_back: str | None
) -> None:
    actions = [Action(step=done, at=NOW - timedelta(hours=hours))]  # type: ignore[arg-type]

    decision = decided({"drift"}, {"drift"}, actions=actions)

    assert (decision.step, decision.held_back) == (step, held_back)


def test_the_last_action_is_the_one_that_forbids_and_the_worst_step_the_one_held_back() -> None:
    done = [
        Action(step="rollback", at=NOW - timedelta(hours=3)),
        Action(step="rollback", at=NOW - timedelta(hours=5)),
    ]

    decision = decided({"performance"}, {"performance"}, champion=YOUNG, actions=done)

    assert (decision.step, decision.held_back) == ("warn", "rollback")
    assert "after the rollback of 2024-03-01 09:00 no rollback is started" in decision.reasons[0]
    assert "after the rollback of 2024-03-01 09:00 no retrain is started" in decision.reasons[1]


def test_of_several_trainings_about_the_same_windows_the_last_is_named() -> None:
    hasty = LIMITS.model_copy(update={"cool_down_hours": 0})
    seen = windows({"drift"}, {"drift"})
    done = [
        Action(step="retrain", at=NOW - timedelta(days=days), windows=frozenset({"w1"}))
        for days in (2, 9)
    ]

    assert "the retrain of 2024-02-28 12:00" in decide(seen, OLD, done, NOW, hasty).reasons[0]


def test_windows_are_judged_in_the_order_of_their_ends() -> None:
    first, second, third = windows({"drift"}, {"drift"}, set())

    decision = decide([third, first, second], OLD, [], NOW, LIMITS)

    assert decision.step == "ok"
    assert [w.window for w in decision.windows] == ["w0", "w1", "w2"]
    assert decision.reasons == ("no alarm in the latest window",)


def test_a_training_needs_what_it_can_mend_in_the_latest_window() -> None:
    assert decided({"drift"}, {"drift"}, {"quality"}).step == "warn"
    reasons = decided({"drift"}, {"quality"}, {"performance", "quality"}).reasons
    assert reasons[0] == (
        "2 of the last 3 windows, and the latest, show a change of drift and performance"
    )
    assert "performance is odd" in reasons and "quality is odd" in reasons
