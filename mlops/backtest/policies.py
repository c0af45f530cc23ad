"""When to train again: each policy is one question to what monitoring says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from mlops.backtest.results import Signal, Signals
from mlops.errors import ConfigurationError


class PolicyDecision(NamedTuple):
    """Whether to train again, and why or why not."""

    retrain: bool
    reason: str


Policy = Callable[[Signals], PolicyDecision]


def _on(signal: Signal) -> PolicyDecision:
    return PolicyDecision(signal.alarm, signal.reason)


POLICIES: Final[Mapping[str, Policy]] = {
    "never": lambda signals: PolicyDecision(False, "never"),
    "monthly": lambda signals: PolicyDecision(True, "a month has passed"),
    "on_drift": lambda signals: _on(signals.drift),
    "on_performance": lambda signals: _on(signals.performance),
}


def policy_of(name: str) -> Policy:
    """Return a policy by its name.

    Raises:
        ConfigurationError: If there is none of this name, listing those that exist.
    """
    if name not in POLICIES:
        raise ConfigurationError(
            f"--policy {name}: there is no such policy", f"choose from {', '.join(POLICIES)}"
        )
    return POLICIES[name]
