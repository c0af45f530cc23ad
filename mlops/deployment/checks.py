"""Rules of a deployment as the gate writes its own: value, limit, passed, and why in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlops.evaluation.verdict import RuleResult, Verdict


def at_most(rule: str, value: float, limit: float, unit: str, why: str) -> RuleResult:
    """Return a rule that holds while a value does not exceed its limit; NaN never holds."""
    return RuleResult(
        rule=rule,
        value=value if math.isfinite(value) else None,
        sense="<=",
        limit=limit,
        unit=unit,
        passed=value <= limit,
        why=why,
    )


def at_least(rule: str, value: float, limit: float, unit: str, why: str) -> RuleResult:
    """Return a rule that holds while a value does not fall short of its limit."""
    return RuleResult(
        rule=rule, value=value, sense=">=", limit=limit, unit=unit, passed=value >= limit, why=why
    )


def none_of(rule: str, count: int, why: str) -> RuleResult:
    """Return a rule that holds if something never happened."""
    return at_most(rule, float(count), 0, "", why)


def verdict(rules: Sequence[RuleResult], success: str) -> Verdict:
    """Sum rules up.

    Args:
        rules: At least one.
        success: The sentence if all hold; otherwise it is that of the first that does not.
    """
    refused = [rule for rule in rules if not rule.passed]
    names = " and ".join(rule.rule for rule in refused)
    summary = f"refused by {names}: {refused[0].why}" if refused else success
    return Verdict(passed=not refused, rules=tuple(rules), summary=summary)
