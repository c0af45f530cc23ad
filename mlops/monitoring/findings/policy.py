"""From what was found in the last windows to what is to be done: pure, and never surprising.

More violations never lead to a milder decision. "N of the last M windows, and the latest" keeps one
odd day from starting a training, and a past that is over from doing so. Cool-downs keep a loop that
cannot mend its cause from turning for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from mlops.evaluation.results import Result
from mlops.monitoring.findings.measurements import FindingKind
from mlops.monitoring.findings.report import WindowReport
from mlops.settings import MonitoringSettings

Step = Literal["ok", "warn", "retrain", "rollback"]
SEVERITY: Final[tuple[Step, ...]] = ("ok", "warn", "retrain", "rollback")

# What learning again can mend: the world changed. A broken feed it would only learn by heart.
MENDED_BY_RETRAINING: Final[frozenset[FindingKind]] = frozenset(
    {"drift", "labels", "performance", "staleness"}
)
# What a version itself can be guilty of.
MENDED_BY_ROLLBACK: Final[frozenset[FindingKind]] = frozenset(
    {"performance", "stability", "skew", "serving"}
)


class WindowOutcome(Result):
    """What a decision needs to know of one window.

    Attributes:
        window: Identifies it.
        version: Of the model that answered.
        end: Of the window.
        violated: Kinds of findings with an alarm.
        reasons: In words, the worst first.
    """

    window: str
    version: str
    end: datetime
    violated: frozenset[FindingKind]
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, report: WindowReport, end: datetime) -> WindowOutcome:
        """Take the outcome from a report; ``end`` orders the windows, whatever their rows say."""
        return cls(
            window=report.window,
            version=report.version,
            end=end,
            violated=report.violated,
            reasons=report.reasons,
        )


class Champion(Result):
    """The version in charge, and the one before it.

    Attributes:
        version: Of the champion.
        promoted_at: When it took over.
        previous: Version before it; None if there was none.
        previous_gain: Lower end of the confidence interval of the previous version's relative RMSE
            gain over the champion, on the same labelled rows (`relative_gain`); None: not known.
    """

    version: str
    promoted_at: datetime
    previous: str | None = None
    previous_gain: float | None = None


class Action(Result):
    """Something that was done.

    Attributes:
        step: What.
        at: When.
        windows: On the evidence of which windows, if a decision led to it.
    """

    step: Literal["retrain", "rollback"]
    at: datetime
    windows: frozenset[str] = frozenset()


class Decision(Result):
    """What is to be done, why, and on which evidence.

    Attributes:
        step: ``ok``: nothing; ``warn``: tell a person; the others also act.
        at: When it was decided.
        reasons: Sentences, the most important first.
        held_back: What would have been done but for a cool-down.
        champion: As it was.
        windows: The windows that were looked at, the latest last.
    """

    step: Step
    at: datetime
    reasons: tuple[str, ...]
    held_back: Step | None = None
    champion: Champion
    windows: tuple[WindowOutcome, ...]


def decide(
    windows: Sequence[WindowOutcome],
    champion: Champion,
    actions: Sequence[Action],
    now: datetime,
    settings: MonitoringSettings,
) -> Decision:
    """Decide what is to be done.

    Args:
        windows: In any order; those of other versions are not the champion's fault and do not
            count.
        champion: The version in charge.
        actions: Retrainings and rollbacks so far.
        now: Times are all with a zone, or all without.
        settings: N, M, cool-down and the age until which a champion may be rolled back.
    """
    mine = sorted((w for w in windows if w.version == champion.version), key=lambda w: w.end)
    recent = tuple(mine[-settings.windows :])
    wanted = {
        "rollback": _rollback(recent, champion, now, settings),
        "retrain": _retrain(recent, settings),
        "warn": _warn(recent),
    }
    reasons: list[str] = []
    held_back: Step | None = None
    step: Step = "ok"
    for candidate in reversed(SEVERITY[1:]):
        why = wanted[candidate]
        if why is None:
            continue
        blocked = _blocked(candidate, recent, actions, now, settings)
        reasons.append(f"{why}, but {blocked}" if blocked else why)
        if blocked is None:
            step = candidate
            break
        held_back = held_back or candidate
    if recent and recent[-1].violated:
        reasons += recent[-1].reasons
    return Decision(
        step=step,
        at=now,
        reasons=tuple(dict.fromkeys(reasons)) or (_quiet(recent),),
        held_back=held_back,
        champion=champion,
        windows=recent,
    )


def _rollback(
    recent: Sequence[WindowOutcome],
    champion: Champion,
    now: datetime,
    settings: MonitoringSettings,
) -> str | None:
    """Say why to roll back, if the latest window, the champion's age and its rival speak for it."""
    if not recent or not recent[-1].violated & MENDED_BY_ROLLBACK:
        return None
    young = now - champion.promoted_at <= timedelta(days=settings.rollback_days)
    gain = champion.previous_gain
    if not young or champion.previous is None or gain is None or gain <= 0:
        return None
    return (
        f"version {champion.version} has been champion since {champion.promoted_at:%Y-%m-%d %H:%M}"
        f" and version {champion.previous} is at least {gain:.1%} better on the same rows"
    )


def _retrain(recent: Sequence[WindowOutcome], settings: MonitoringSettings) -> str | None:
    """Say why to train again, if the latest and enough windows show what training can mend."""
    violated = [w for w in recent if w.violated & MENDED_BY_RETRAINING]
    if len(violated) < settings.violations or violated[-1] is not recent[-1]:
        return None
    kinds = sorted(frozenset().union(*(w.violated for w in violated)) & MENDED_BY_RETRAINING)
    return (
        f"{len(violated)} of the last {len(recent)} windows, and the latest, show a change of"
        f" {' and '.join(kinds)}"
    )


def _warn(recent: Sequence[WindowOutcome]) -> str | None:
    if not recent or not recent[-1].violated:
        return None
    return f"the latest window has an alarm of {' and '.join(sorted(recent[-1].violated))}"


def _blocked(
    step: Step,
    recent: Sequence[WindowOutcome],
    actions: Sequence[Action],
    now: datetime,
    settings: MonitoringSettings,
) -> str | None:
    """Say which action before forbids a step now.

    A retraining may well be followed by the rollback of what it made; nothing follows a rollback.
    Nothing is done twice about the same latest window, however long ago it was done.
    """
    forbidding = {"retrain": ("retrain", "rollback"), "rollback": ("rollback",)}.get(step, ())
    before = [action for action in actions if action.step in forbidding and action.at <= now]
    cool_down = timedelta(hours=settings.cool_down_hours)
    if found := [action for action in before if now < action.at + cool_down]:
        last = max(found, key=lambda action: action.at)
        return (
            f"after the {last.step} of {last.at:%Y-%m-%d %H:%M} no {step} is started before"
            f" {last.at + cool_down:%Y-%m-%d %H:%M}"
        )
    if found := [action for action in before if recent and recent[-1].window in action.windows]:
        last = max(found, key=lambda action: action.at)
        return f"the {last.step} of {last.at:%Y-%m-%d %H:%M} was for the same windows"
    return None


def _quiet(recent: Sequence[WindowOutcome]) -> str:
    return "no alarm in the latest window" if recent else "no window has been measured"
