"""The state machine by itself: what it allows, and that every story has an end."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.deployment.states import (
    FINAL,
    START,
    STATES,
    SUCCESSES,
    TRANSITIONS,
    Event,
    State,
    advance,
    state_after,
)
from mlops.errors import DeploymentError

EVENTS: tuple[Event, ...] = get_args(Event)
events = st.sampled_from(EVENTS)
states = st.sampled_from(STATES)


def reachable(start: State) -> set[State]:
    found, new = {start}, {start}
    while new:
        new = {advance(s, e) for s in new for e in EVENTS if possible(s, e)} - found
        found |= new
    return found


def possible(state: State, event: Event) -> bool:
    try:
        advance(state, event)
    except DeploymentError:
        return False
    return True


def test_every_state_can_be_reached_and_left_for_an_end() -> None:
    assert set().union(*(reachable(start) for start in START.values())) == set(STATES)
    for state in STATES:
        assert reachable(state) & FINAL
        # without help from outside, too
        if state not in FINAL:
            assert any(origin == state for origin, _ in TRANSITIONS)


def test_every_event_has_its_place() -> None:
    anywhere = {"interrupted", "stopped"}

    assert {event for _, event in TRANSITIONS} | anywhere == set(EVENTS)


@given(state=st.sampled_from(sorted(FINAL)), event=events)
def test_nothing_follows_an_end(state: State, event: Event) -> None:
    with pytest.raises(DeploymentError, match="it has ended"):
        advance(state, event)


@given(state=states, event=events)
def test_what_is_not_foreseen_is_refused_and_the_possible_is_named(
    state: State, event: Event
) -> None:
    if (state, event) in TRANSITIONS:
        assert advance(state, event) == TRANSITIONS[state, event]
    elif state in FINAL or event not in ("interrupted", "stopped"):
        with pytest.raises(DeploymentError, match=event):
            advance(state, event)


@given(st.sampled_from(sorted(START)), st.lists(events, max_size=30))
def test_a_deployment_is_only_kept_after_promotion_and_proof(
    kind: str, wanted: list[Event]
) -> None:
    happened: list[Event] = []
    for event in wanted:
        if possible(state_after(kind, happened), event):  # type: ignore[arg-type]
            happened.append(event)

    state = state_after(kind, happened)  # type: ignore[arg-type]
    if state == "kept":
        moved = happened.index("promoted" if kind == "deployment" else "restored")
        proved = [i for i, e in enumerate(happened) if e in ("smoke_passed", "smoke_skipped")]
        assert moved < proved[0]
    if state == "refused":
        assert "promoted" not in happened
    if state in SUCCESSES:
        assert "smoke_failed" not in happened
