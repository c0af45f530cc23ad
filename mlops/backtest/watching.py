"""What monitoring would have said: the champion's reference, and its reports of the weeks since.

Monitoring decides after each window, by its own rule; a retraining that it wanted at any time of a
month takes place at the end of it, when the month can be learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from mlops.backtest.history import Clock, content_sha256
from mlops.backtest.results import Signal, Signals
from mlops.backtest.store import Store, key_of
from mlops.backtest.training import Training, model_of
from mlops.datasets.opening import dataset_of
from mlops.monitoring.findings.policy import Champion, WindowOutcome, decide
from mlops.monitoring.findings.report import WindowReport
from mlops.monitoring.measures.judging import report_window
from mlops.monitoring.measures.learning import build_profile
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.windows.features import RowWindow
from mlops.settings import MonitoringSettings, Settings

Kind = Literal["drift", "performance"]
# Kinds of findings that count as one kind of change: the labels' own distribution is drift, too.
_FINDINGS: Final[Mapping[Kind, frozenset[str]]] = {
    "drift": frozenset({"drift", "labels"}),
    "performance": frozenset({"performance"}),
}
KINDS: Final[tuple[Kind, ...]] = ("drift", "performance")


class Watcher(Protocol):
    """Something that looks at a champion's month; tests bring their own."""

    def adopt(self, champion: Training, clock: Clock) -> None:
        """Remember the world of a new champion, so that a change of it can be seen."""

    def look(self, champion: Training, clock: Clock, start: datetime) -> Signals:
        """Say what has changed since ``start``, as far as the clock shows."""


@dataclass(frozen=True)
class Monitoring:
    """`mlops.monitoring`, asked as the monitoring pipeline asks it.

    Attributes:
        settings: Limits, length of the reference, length of a window.
        store: Keeps one reference profile per training.
    """

    settings: Settings
    store: Store

    def adopt(self, champion: Training, clock: Clock) -> None:
        """Build the champion's reference profile from what is known on the day of its training."""
        path = self._profile(champion)
        if path.exists():
            return
        days = timedelta(days=self.settings.monitoring.reference_days)
        history = self._window(champion, clock, clock.now - days, clock.now)
        model = model_of(champion, self.settings, self.store)
        build_profile(
            history,
            champion.key,
            champion.learned_until,
            (model.shortest, model.longest),
            self.settings.monitoring,
        ).save(path)

    def look(self, champion: Training, clock: Clock, start: datetime) -> Signals:
        """Report the windows since ``start`` and sum them up.

        Windows are counted back from now, so that the latest is complete; errors are those of the
        rows whose labels have arrived. Policies with the same champion share the reports.
        """
        seen = content_sha256(clock.observed(month_before(start), clock.now))
        key = key_of(
            *("signals", champion.key, start, clock.now, seen),
            self.settings.monitoring.model_dump(),
            self.settings.validation.model_dump(),
            self.settings.backtest.window_days,
        )
        return self.store.remembered(
            "signals", key, Signals, lambda: self._reported(champion, clock, start)
        )

    def _reported(self, champion: Training, clock: Clock, start: datetime) -> Signals:
        profile = ReferenceProfile.load(self._profile(champion))
        settings, days = self.settings.monitoring, self.settings.backtest.window_days
        # A change may begin at the end of a month: the windows before still count.
        earlier = list(weeks(month_before(start), start, days))[1 - settings.windows :]
        before = [window for window in earlier if window[0] >= champion.at]
        reports = []
        for first, end in [*before, *weeks(start, clock.now, days)]:
            window = self._window(champion, clock, first, end)
            report = report_window(window, profile, settings, name=f"{first:%Y-%m-%d}")
            reports.append((end, report))
        return Signals(**{kind: signal(kind, reports, champion, start, settings) for kind in KINDS})

    def _profile(self, champion: Training) -> Path:
        settings = self.settings
        key = key_of(
            *("profile", champion.key, settings.backtest.label_delay_hours),
            settings.monitoring.model_dump(),
            settings.validation.model_dump(),
        )
        return self.store.path("profiles", key, ".json")

    def _window(
        self, champion: Training, clock: Clock, start: datetime, end: datetime
    ) -> RowWindow:
        rows = clock.observed(start, end)
        watching = dataset_of(self.settings).watching(self.settings)
        model = model_of(champion, self.settings, self.store)
        predictions = model.predict(rows[list(watching.asked)])
        return RowWindow.of(rows, predictions, watching, model.encoder)


def weeks(start: datetime, now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Cut the time until now into windows of equal length, in order.

    What is left over at the start belongs to the first.
    """
    count = max(1, (now - start) // timedelta(days=days))
    ends = [now - timedelta(days=days * number) for number in range(count)][::-1]
    yield from zip([start, *ends[:-1]], ends, strict=True)


def month_before(start: datetime) -> datetime:
    """Return the first day of the month before."""
    return (start - timedelta(days=1)).replace(day=1)


def signal(
    kind: Kind,
    reports: Sequence[tuple[datetime, WindowReport]],
    champion: Training,
    start: datetime,
    settings: MonitoringSettings,
) -> Signal:
    """Let monitoring decide after each window as if a kind of change were all that it looks at.

    Args:
        kind: Of the change.
        reports: End and report of each window, in order of time.
        champion: Who answered.
        start: Of the month; windows that end before only add to what later ones say.
        settings: How many of how many windows must be violated.
    """
    outcomes = [_outcome(kind, end, report) for end, report in reports]
    in_charge = Champion(version=champion.key, promoted_at=champion.at)
    decisions = [
        decide(outcomes[: number + 1], in_charge, (), outcome.end, settings)
        for number, outcome in enumerate(outcomes)
        if outcome.end > start
    ]
    wanted = [decision for decision in decisions if decision.step == "retrain"]
    return Signal(
        alarm=bool(wanted),
        windows=tuple(bool(outcome.violated) for outcome in outcomes if outcome.end > start),
        reason="; ".join((wanted or decisions)[-1].reasons[:2]),
    )


def _outcome(kind: Kind, end: datetime, report: WindowReport) -> WindowOutcome:
    """Return what a window says of one kind of change."""
    reasons = tuple(f.why for f in report.alarms if f.kind in _FINDINGS[kind])
    return WindowOutcome(
        window=report.window,
        version=report.version,
        end=end,
        violated=frozenset({kind} if reasons else ()),
        reasons=reasons,
    )
