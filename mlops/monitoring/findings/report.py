"""Everything about one window: measured, judged and put into words.

The report is what is stored, charted and alerted on; it needs neither the rows nor the profile to
be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, Field

from mlops.counting import counted
from mlops.evaluation.results import Result
from mlops.monitoring.findings.measurements import FindingKind, MeasureName

Outcome = Literal["ok", "alarm", "unjudged"]


class Finding(Result):
    """One statistic of one subject, judged.

    Attributes:
        kind: What it is about; records written by former versions call it ``family``.
        subject: The feature, rule or slice.
        statistic: E.g. ``psi``.
        value: Measured; shares as shares, all else in its unit.
        reference: Expected; 0 for a distance.
        unit: Of value, reference and limit; ``%`` means that they are shares.
        limit: The value from which on it is an alarm; None if it cannot be judged.
        score: Standard deviations off under "no change"; None for limits set by hand.
        interval: 95 % confidence interval of the value.
        rows: It was computed from.
        outcome: ``unjudged`` if there are too few rows, or nothing is known of its spread.
        why: One sentence.
    """

    kind: FindingKind = Field(validation_alias=AliasChoices("kind", "family"))
    subject: MeasureName
    statistic: str
    value: float
    reference: float
    unit: str
    limit: float | None
    score: float | None
    interval: tuple[float, float] | None
    rows: int
    outcome: Outcome
    why: str


class WindowReport(Result):
    """What monitoring found in one window.

    Attributes:
        window: Identifies it.
        version: Of the model.
        start: First event.
        end: Last event.
        created_at: With time zone.
        rows: Of the window.
        refused: Rows that no model should be asked about.
        labelled: Rows whose label is known and can be learned from.
        findings: Every statistic with its limit, alarms first, the worst of them at the top.
    """

    window: str
    version: str
    start: datetime | None
    end: datetime | None
    created_at: datetime
    rows: int
    refused: int
    labelled: int
    findings: tuple[Finding, ...]

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The findings beyond their limits, the worst first."""
        return tuple(f for f in self.findings if f.outcome == "alarm")

    @property
    def violated(self) -> frozenset[FindingKind]:
        """The kinds of findings with an alarm."""
        return frozenset(f.kind for f in self.alarms)

    def worst(self, kind: FindingKind) -> Finding | None:
        """Return the worst finding of a kind: its first alarm, or what came nearest to one."""
        judged = (f for f in self.findings if f.kind == kind and f.outcome != "unjudged")
        return next(judged, None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence per alarmed subject, the worst first."""
        first: dict[tuple[str, str], str] = {}
        for finding in self.alarms:
            first.setdefault((finding.kind, finding.subject), finding.why)
        return tuple(first.values())

    def summary(self) -> str:
        """Return the window in one sentence."""
        what = f"{counted(self.rows, 'row')} of {_span(self.start, self.end)}"
        if not self.alarms:
            return f"{what}: nothing unusual"
        subjects = len(self.reasons)
        others = f" (and {subjects - 1} more)" if subjects > 1 else ""
        return f"{what}: {self.reasons[0]}{others}"


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: alarms by hand-set limits, then by score."""

    def rank(finding: Finding) -> tuple[bool, float]:
        score = finding.score if finding.score is not None else float("inf")
        return finding.outcome != "alarm", -score

    return tuple(sorted(findings, key=rank))


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return "no time"
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
