"""From the windows on record to a stored decision: what the policy is asked, and when it is news.

An hour in which nothing new was seen confirms the last decision, so the record holds one decision
per change of evidence, not one per look.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops.monitoring.findings.measurements import FindingKind
from mlops.monitoring.findings.policy import (
    SEVERITY,
    Action,
    Champion,
    Decision,
    Step,
    WindowOutcome,
    decide,
)
from mlops.monitoring.findings.records import (
    DecisionRecord,
    WindowRecord,
    read_decisions,
    read_windows,
    write_decision,
)
from mlops.records.files import refuse
from mlops.registry.trail import Promotion, rollback_target
from mlops.retraining.records import all_records
from mlops.settings import MonitoringSettings, Settings, dataset_option

# What is known only once labels have arrived, for windows that are seldom the latest.
KNOWN_LATER: Final[frozenset[FindingKind]] = frozenset({"labels", "performance"})
# Which pipeline does what was decided.
PIPELINES: Final[dict[Step, str]] = {"retrain": "retraining", "rollback": "rollback"}


@dataclass(frozen=True)
class Situation:
    """What a decision is made in.

    Args:
        trail: Every change of the champion, newest first.
        measure_gain: Lower end of the previous version's relative gain over the champion on rows
            that came in just now; None if there are too few. Costs seconds, so only if it matters.
        now: With time zone.
        run_id: Of the monitoring run; 0 outside of one.
        can_roll_back: The version before the champion is still there, and may serve in its place.
    """

    trail: Sequence[Promotion]
    measure_gain: Callable[[int], float | None]
    now: datetime
    run_id: int = 0
    can_roll_back: bool = True


def make_decision(settings: Settings, situation: Situation) -> DecisionRecord | None:
    """Decide on what is on record, and store the decision if it is not the one that stands.

    Args:
        settings: Say where records lie, and the policy.
        situation: Who is champion, since when, and the time.

    Returns:
        The decision in force; None while there is no champion.
    """
    decisions = read_decisions(settings)
    made = next((d for d in decisions if d.decision.at == situation.now), None)
    if made is not None or not situation.trail:
        return made
    last = decisions[-1] if decisions else None
    champion = champion_in(situation, last, settings.monitoring)
    decision = decide_on(
        windows_of(settings, champion),
        champion,
        actions_so_far(settings, situation.trail, decisions),
        situation.now,
        settings.monitoring,
    )
    if last is not None and decision.model_copy(update={"at": last.decision.at}) == last.decision:
        confirmed = last.model_copy(update={"confirmed_at": situation.now})
        write_decision(settings, confirmed)
        return confirmed
    record = DecisionRecord(
        decision=decision, run_id=situation.run_id, command=command_for(decision, settings.dataset)
    )
    write_decision(settings, record)
    return record


def windows_of(settings: Settings, champion: Champion) -> tuple[WindowRecord, ...]:
    """Return, in outline, the windows that a champion is judged by, but for a reign before.

    Rows that nobody asked about have times of their own, and count whenever they took place.

    Raises:
        DamagedFileError: If a window of the champion's is damaged: the one before it is not the
            latest.
    """
    return tuple(
        window
        for window in read_windows(settings, int(champion.version), whole=0, on_damage=refuse)
        if window.origin == "source" or window.end > champion.promoted_at
    )


def decide_on(
    windows: Sequence[WindowRecord],
    champion: Champion,
    actions: Sequence[Action],
    now: datetime,
    settings: MonitoringSettings,
) -> Decision:
    """Ask the policy about the latest windows, and about the latest with labels.

    Labels arrive when newer windows are there already, which would be quiet for want of them. So
    what labels say is decided on by the windows that have some; the more severe answer counts.

    Args:
        windows: Of the champion, by their ends.
        champion: As for `policy.decide`, like the rest.
        actions: So far.
        now: With time zone.
        settings: The policy's.
    """
    latest = [_outcome(window) for window in windows]
    ended = [_outcome(window, KNOWN_LATER) for window in windows if is_judged(window, KNOWN_LATER)]
    answers = [decide(each, champion, actions, now, settings) for each in (latest, ended)]
    by_severity = sorted(answers, key=lambda answer: -SEVERITY.index(answer.step))
    reasons = [reason for answer in by_severity if answer.step != "ok" for reason in answer.reasons]
    held_back = [answer.held_back for answer in by_severity if answer.held_back]
    # The windows that both looked at are all listed.
    seen = {w.window: w for answer in reversed(answers) for w in answer.windows}
    return by_severity[0].model_copy(
        update={
            "reasons": tuple(dict.fromkeys(reasons)) or answers[0].reasons,
            "held_back": max(held_back, key=SEVERITY.index, default=None),
            "windows": tuple(sorted(seen.values(), key=lambda w: (w.end, w.window))),
        }
    )


def is_judged(window: WindowRecord, kinds: frozenset[FindingKind]) -> bool:
    """Tell whether any finding of these kinds could be judged in a window."""
    return any(f.kind in kinds and f.outcome != "unjudged" for f in window.report.findings)


def _outcome(window: WindowRecord, only: frozenset[FindingKind] | None = None) -> WindowOutcome:
    report = window.report
    if only is not None:
        findings = tuple(f for f in report.findings if f.kind in only)
        report = report.model_copy(update={"findings": findings})
    return WindowOutcome.of(report, window.end)


def champion_in(
    situation: Situation, last: DecisionRecord | None, settings: MonitoringSettings
) -> Champion:
    """Return the champion, and where it may be rolled back to, what the one before it is worth.

    What the version before is worth is measured on rows whose labels have just arrived; in between
    it is what it was.
    """
    newest = situation.trail[0]
    previous = rollback_target(tuple(situation.trail)) if situation.can_roll_back else None
    champion = Champion(
        version=str(newest.version),
        promoted_at=newest.at,
        previous=None if previous is None else str(previous),
    )
    young = situation.now - newest.at <= timedelta(days=settings.rollback_days)
    if previous is None or not young:
        return champion
    gain = situation.measure_gain(previous)
    if gain is None and last is not None:
        known = last.decision.champion
        if (known.version, known.previous) == (champion.version, champion.previous):
            gain = known.previous_gain
    return champion.model_copy(update={"previous_gain": gain})


def actions_so_far(
    settings: Settings, trail: Sequence[Promotion], decisions: Sequence[DecisionRecord]
) -> tuple[Action, ...]:
    """Return what monitoring or anybody else has retrained or rolled back.

    Args:
        settings: Say where the records of retrainings lie.
        trail: Every change of the champion.
        decisions: All of them.
    """
    ours = (
        Action(
            step=record.decision.step,
            at=record.decision.at,
            windows=frozenset(window.window for window in record.decision.windows),
        )
        for record in decisions
        if record.started and record.decision.step in ("retrain", "rollback")
    )
    retrained = (
        Action(step="retrain", at=record.started_at)
        for record in all_records(settings)
        if record.status != "nothing to do"
    )
    rolled_back = (
        Action(step="rollback", at=change.at) for change in trail if change.kind == "rollback"
    )
    return (*ours, *retrained, *rolled_back)


def reason_for(decision: Decision) -> str:
    """Return what the run that a decision starts is given as its reason."""
    return f"monitoring: {decision.reasons[0]}"


def command_for(decision: Decision, dataset: str) -> str:
    """Return what a person would type to do what was decided; empty if there is nothing to do."""
    command = {"retrain": "mlops retrain --force", "rollback": "mlops rollback"}.get(decision.step)
    if not command:
        return ""
    return f"{command}{dataset_option(dataset)} --reason {shlex.quote(reason_for(decision))}"


def is_due(record: DecisionRecord) -> bool:
    """Tell whether something was decided that has not been started."""
    return record.decision.step in PIPELINES and not record.started
