"""The gate's verdict: a small table of rule, value, limit and reason, kept with the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from mlops.counting import decimals_for
from mlops.evaluation.results import Result

Sense = Literal["<=", ">=", ">"]
# For `records.files.find_record`: what a person does if the last verdict is damaged.
VERDICT_WAY_OUT: Final = "run the gate again, which rewrites {path}: mlops run"


class RuleResult(Result):
    """One rule of the gate applied to one challenger. Percentages are kept as shares."""

    rule: str
    value: float | None  # None: nothing to measure
    sense: Sense  # the value must be … the limit
    limit: float
    unit: str  # of both; % means that they are shares
    passed: bool
    why: str  # one sentence


class Verdict(Result):
    """The gate's decision with every rule behind it."""

    passed: bool
    rules: tuple[RuleResult, ...]
    summary: str  # one sentence

    @property
    def refused_by(self) -> tuple[str, ...]:
        """The names of the rules that refused, in the order of the table."""
        return tuple(rule.rule for rule in self.rules if not rule.passed)

    def table(self) -> str:
        """Return the rules as aligned text, one line per rule below a heading."""
        rows = [("rule", "value", "limit", "verdict", "why")] + [
            (
                rule.rule,
                _shown(rule.value, rule.unit),
                f"{rule.sense} {_shown(rule.limit, rule.unit)}",
                "passed" if rule.passed else "REFUSED",
                rule.why,
            )
            for rule in self.rules
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


_FORMATS: Final[dict[str, Callable[[float], str]]] = {
    "%": "{:.1%}".format,
    "ms": "{:.1f} ms".format,
    "MB": "{:.1f} MB".format,
    "": "{:g}".format,
}


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit in _FORMATS:
        return _FORMATS[unit](value)
    return f"{value:,.{decimals_for(value)}f} {unit}"
