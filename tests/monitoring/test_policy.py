"""Decisions: never milder for more violations, never twice within a cool-down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from mlops.monitoring.measurements import Family
from mlops.monitoring.policy import SEVERITY, Action, Champion, Decision, WindowOutcome, decide
from mlops.settings import MonitoringSettings

NOW = datetime(2024, 3, 1, 12)
LIMITS = MonitoringSettings(violations=2, windows=3, cool_down_hours=48, rollback_days=7)
OLD = Champion(version="3", promoted_at=NOW - timedelta(days=30))
YOUNG = Champion(version="3", promoted_at=NOW - timedelta(days=2), previous="2", previous_gain=0.04)

families = st.frozensets(st.sampled_from(get_args(Family)))
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


def windows(*violated: set[Family] | frozenset[Family], version: str = "3") -> list[WindowOutcome]:
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


def decided(*violated: set[Family], champion: Champion = OLD, **more: list[Action]) -> Decision:
    return decide(windows(*violated), champion, more.get("actions", []), NOW, LIMITS)


@given(st.lists(families, min_size=1, max_size=5), st.data(), champions, actions)
def test_more_violations_never_lead_to_a_milder_decision(
    violated: list[frozenset[Family]],
    data: st.DataObject,
    champion: Champion,
    done: list[Action],
) -> None:
    # given windows, and the same with more violations in any of them
    more = [each | data.draw(families) for each in violated]

    # when both are decided on in the same situation
    less, worse = (decide(windows(*each), champion, done, NOW, LIMITS) for each in (violated, more))

    # then the second is at least as severe
    assert SEVERITY.index(worse.step) >= SEVERITY.index(less.step)


@given(st.lists(families, max_size=5), champions, actions)
def test_a_cool_down_blocks_repeated_actions(
    violated: list[frozenset[Family]], champion: Champion, done: list[Action]
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
    assert "concerned the same windows" in again.reasons[0]

    # but a new window with the same change does
    later = WindowOutcome(window="w9", version="3", end=NOW, violated=frozenset({"drift"}))
    assert decide([*seen, later], OLD, [done], NOW, hasty).step == "retrain"
