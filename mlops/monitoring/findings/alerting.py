"""The alerts of monitoring, on what it found and did: one story per kind of trouble.

The kinds are those with one remedy each. A story begins with the champion's first abnormal window,
continues with what was done about it, under any version, and ends with a quiet one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Final, NamedTuple

from mlops.counting import counted
from mlops.monitoring.findings.deciding import PIPELINES, is_due, is_judged, windows_of
from mlops.monitoring.findings.measurements import FindingKind
from mlops.monitoring.findings.policy import MENDED_BY_RETRAINING, MENDED_BY_ROLLBACK
from mlops.monitoring.findings.records import DecisionRecord, WindowRecord, read_windows
from mlops.monitoring.findings.report import Finding
from mlops.notifications.alerts import Alert, Severity
from mlops.notifications.events import MONITORING
from mlops.notifications.incidents import is_reported, notify, resolve
from mlops.retraining.records import PendingApproval, pending_approval
from mlops.settings import Settings, dataset_option

# By who can fix it: a training, the supplier of the data, the operator of the server.
GROUPS: Final[Mapping[str, tuple[FindingKind, ...]]] = {
    "model": ("performance", "drift", "labels", "staleness"),
    "data": ("quality",),
    "answers": ("stability", "skew", "serving"),
}
WORDS: Final[Mapping[FindingKind, str]] = {
    "performance": "worse predictions",
    "drift": "drift",
    "labels": "a different distribution of labels",
    "staleness": "an outdated model",
    "quality": "broken data",
    "stability": "implausible predictions",
    "skew": "answers that differ from the training code's",
    "serving": "a slow or failing server",
}
# These harm the callers of the server at once.
HARMFUL: Final[frozenset[FindingKind]] = frozenset({"performance", "stability", "serving"})
DASHBOARD: Final = "/pipelines/monitoring/dashboard"
_MOST_SENTENCES: Final = 4


class Streak(NamedTuple):
    """Windows in a row, up to the latest that could be judged, with an alarm of one kind."""

    kind: FindingKind
    since: datetime  # start of the first
    windows: int
    latest: WindowRecord

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """What is beyond its limit in the latest, the worst first."""
        return tuple(f for f in self.latest.report.alarms if f.kind == self.kind)


def streak_of(windows: Sequence[WindowRecord], kind: FindingKind) -> Streak | None:
    """Return how long a kind of finding has been abnormal; None if it is not, or was never judged.

    Args:
        windows: Of one version, by their ends.
        kind: The kind of finding.
    """
    judged = [window for window in windows if is_judged(window, frozenset({kind}))]
    first: WindowRecord | None = None
    count = 0
    for window in reversed(judged):
        if kind not in window.report.violated:
            break
        first, count = window, count + 1
    return None if first is None else Streak(kind, first.start, count, judged[-1])


def tell(settings: Settings, record: DecisionRecord) -> None:
    """Tell what is abnormal and what was done, and what is over; once each. Never raises.

    Call it after every look, whether or not it found anything new: messages that did not arrive
    are sent again then.

    Args:
        settings: Channels, links, and where records lie.
        record: The decision in force.
    """
    windows = windows_of(settings, record.decision.champion)
    if not windows:
        return  # of this champion nothing is known yet
    for group, kinds in GROUPS.items():
        streaks = [s for kind in kinds if (s := streak_of(windows, kind)) is not None]
        if streaks:
            notify(settings, alert_of(group, streaks, record, pending_approval(settings), settings))
        elif is_reported(settings, f"{MONITORING}{group}") and _is_over(settings, kinds, windows):
            quiet = f"No such finding in {windows[-1].window}"
            resolve(settings, f"{MONITORING}{group}", quiet)


def _is_over(
    settings: Settings, kinds: Sequence[FindingKind], windows: Sequence[WindowRecord]
) -> bool:
    """Tell whether all that was abnormal has been looked at since, and found quiet.

    A new champion's first windows have no labels yet: they say nothing of its errors.
    """
    concerned = frozenset(kinds)
    abnormal = [w for w in read_windows(settings, whole=0) if w.report.violated & concerned]
    last = abnormal[-1].version if abnormal else None
    violated = frozenset().union(*(w.report.violated for w in abnormal if w.version == last))
    return all(
        any(is_judged(window, frozenset({kind})) for window in windows)
        for kind in violated & concerned
    )


def alert_of(
    group: str,
    streaks: Sequence[Streak],
    record: DecisionRecord,
    pending: PendingApproval | None,
    settings: Settings,
) -> Alert:
    """Word one kind of trouble.

    Args:
        group: One of `GROUPS`.
        streaks: Of kinds of this group; at least one.
        record: The decision in force.
        pending: The version that waits for approval, if one does.
        settings: Say where the pages are.
    """
    version = record.decision.champion.version
    since = min(streak.since for streak in streaks)
    latest = max((streak.latest for streak in streaks), key=lambda window: window.end)
    # The worst of each kind before the next worst of any.
    ranked = zip_longest(*(streak.alarms for streak in streaks))
    whys = list(dict.fromkeys(finding.why for rank in ranked for finding in rank if finding))
    others = len(whys) - _MOST_SENTENCES
    more = [f"{counted(others, 'more finding')}."] if others > 0 else []
    concerned = record if group == _remedied_by(record) else None
    waiting = pending if group == "model" else None
    outcome, stage = _outcome(concerned, waiting)
    severity = _severity(streaks, concerned)
    option = dataset_option(settings.dataset)
    look = f"mlops monitor {latest.window}{option}"
    return Alert(
        kind="monitoring",
        severity=severity,
        incident=f"{MONITORING}{group}",
        stage=stage or f"version {version}: {_FIRST[severity]}",
        repeats=False,
        title=f"version {version}: {', '.join(WORDS[s.kind] for s in streaks)}",
        text="\n".join([*(f"{why}." for why in whys[:_MOST_SENTENCES]), *more, *outcome]),
        facts={
            "since": f"{since:%Y-%m-%d %H:%M %Z}",
            "windows": f"{max(s.windows for s in streaks)} in a row, the latest {latest.window}",
            "answers": f"{latest.trips:,}, {latest.labelled:,} with a known outcome",
            "details": look,
        },
        link=f"{settings.pages_url}{DASHBOARD}",
        command=_command(concerned, waiting, option) or look,
    )


_FIRST: Final[Mapping[Severity, str]] = {"info": "", "warning": "abnormal", "error": "harmful"}


def _remedied_by(record: DecisionRecord) -> str | None:
    """Return the group that what was decided is about."""
    step = record.decision.step
    mended = {"retrain": MENDED_BY_RETRAINING, "rollback": MENDED_BY_ROLLBACK}.get(step)
    violated = frozenset().union(*(window.violated for window in record.decision.windows))
    about = violated & (mended or frozenset())
    return next((name for name, kinds in GROUPS.items() if about & frozenset(kinds)), None)


def _severity(streaks: Sequence[Streak], concerned: DecisionRecord | None) -> Severity:
    left_undone = concerned is not None and is_due(concerned)
    return "error" if left_undone or any(s.kind in HARMFUL for s in streaks) else "warning"


def _outcome(
    concerned: DecisionRecord | None, waiting: PendingApproval | None
) -> tuple[list[str], str]:
    """Return what was done or is to be done, in sentences and as a stage; nothing if nothing is."""
    if concerned is not None and concerned.started:
        stage = f"{concerned.started} started as run {concerned.started_run}"
        return [f"{concerned.decision.reasons[0]}: {stage}."], stage
    if waiting is not None:
        stage = f"version {waiting.version} waits for approval"
        return [f"{stage}: {waiting.verdict}."], stage
    if concerned is not None and is_due(concerned):
        pipeline = PIPELINES[concerned.decision.step]
        why = f"{concerned.decision.reasons[0]}: a {pipeline} is due, but {concerned.problem}."
        return [why], f"{pipeline} due, not started"
    return [], ""


def _command(concerned: DecisionRecord | None, waiting: PendingApproval | None, option: str) -> str:
    if waiting is not None:
        return f"mlops approve {waiting.version}{option}"
    return concerned.command if concerned is not None and is_due(concerned) else ""
