"""The state machine of a deployment: what may happen in which state, and what comes of it.

It is pure. A deployment's record keeps the events; its state is what they add up to, so that no
stored state can contradict the story.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final, Literal, get_args

from mlops.errors import DeploymentError

Kind = Literal["deployment", "rollback"]

State = Literal[
    "testing",  # the artifact is to be tested
    "watching",  # it works: shadow and canary are next
    "promoting",  # nothing speaks against it: it may become champion
    "restoring",  # a rollback is to restore a former champion
    "verifying",  # it is champion: the running endpoint is to be asked
    "proven",  # the endpoint answers right, or there is none to ask
    "failing",  # it does not: the previous champion is to be restored
    # the ends
    "unchanged",  # it was champion already, or a rollback only had to stop a deployment
    "refused",  # it never became champion
    "kept",  # it is champion
    "rolled_back",  # it was champion for a moment; the previous one is again
    "unproven",  # it is champion and does not answer right, and there is none to go back to
    "stopped",  # a rollback or another deployment took its place before it had ended
]

Event = Literal[
    "already_champion",
    "artifact_passed",
    "artifact_failed",
    "shadow_passed",
    "shadow_failed",
    "canary_passed",
    "canary_skipped",
    "canary_failed",
    "promoted",
    "champion_changed",  # by somebody else, since it began
    "restored",
    "nothing_to_restore",
    "smoke_passed",
    "smoke_skipped",
    "smoke_failed",
    "kept",
    "rolled_back",
    "left_unproven",
    "interrupted",  # an error that says nothing about the version: its step runs again
    "stopped",
]

START: Final[Mapping[Kind, State]] = {"deployment": "testing", "rollback": "restoring"}

TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    ("testing", "already_champion"): "unchanged",
    ("testing", "artifact_passed"): "watching",
    ("testing", "artifact_failed"): "refused",
    ("watching", "shadow_passed"): "watching",
    ("watching", "shadow_failed"): "refused",
    ("watching", "canary_passed"): "promoting",
    ("watching", "canary_skipped"): "promoting",
    ("watching", "canary_failed"): "refused",
    ("promoting", "promoted"): "verifying",
    ("promoting", "champion_changed"): "refused",
    ("restoring", "restored"): "verifying",
    ("restoring", "nothing_to_restore"): "unchanged",
    ("verifying", "smoke_passed"): "proven",
    ("verifying", "smoke_skipped"): "proven",
    ("verifying", "smoke_failed"): "failing",
    ("proven", "kept"): "kept",
    ("failing", "rolled_back"): "rolled_back",
    ("failing", "left_unproven"): "unproven",
}

SUCCESSES: Final[frozenset[State]] = frozenset({"unchanged", "kept"})
FINAL: Final[frozenset[State]] = SUCCESSES | {"refused", "rolled_back", "unproven", "stopped"}


def advance(state: State, event: Event) -> State:
    """Return the state after an event.

    Raises:
        DeploymentError: If the event cannot happen in this state.
    """
    if state not in FINAL:
        if event == "stopped":
            return "stopped"
        if event == "interrupted":
            return state
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        possible = [known for origin, known in TRANSITIONS if origin == state]
        raise DeploymentError(
            f"a deployment that is {state} cannot be followed by {event}; "
            f"possible: {', '.join(possible) or 'nothing, it has ended'}"
        ) from None


def state_after(kind: Kind, events: Iterable[Event]) -> State:
    """Return what the events of a deployment add up to; raises what `advance` raises."""
    return reduce(advance, events, START[kind])


STATES: Final[tuple[State, ...]] = get_args(State)
