"""What monitoring would have said: the champion's reference, and its reports of the weeks since.

A policy decides once a month on the windows of that month, by the same rule as production: so many
of the last so many windows violated, and the latest among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from mlops.backtest.history import Clock, content_sha256
from mlops.backtest.store import Store, key_of
from mlops.backtest.training import Training, model_of
from mlops.data.references import Reference
from mlops.data.trips import REQUEST_COLUMNS
from mlops.monitoring.judging import report_window
from mlops.monitoring.learning import build_profile
from mlops.monitoring.profile import ReferenceProfile
from mlops.monitoring.report import Finding, WindowReport
from mlops.monitoring.windows import TripWindow
from mlops.settings import MonitoringSettings, Settings

Kind = Literal["drift", "performance"]
ALL_TRIPS: Final = "all trips"  # how monitoring calls the errors of a whole window
KINDS: Final[tuple[Kind, ...]] = ("drift", "performance")


class Signal(Reference):
    """What the windows of a month say of one kind of change."""

    alarm: bool
    windows: tuple[bool, ...]  # violated? in order of time
    reason: str  # of the latest alarm, or that there is none


class Signals(Reference):
    """What monitoring says at the end of a month."""

    drift: Signal
    performance: Signal


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
        trips whose labels have arrived. Policies with the same champion share the reports.
        """
        seen = clock.observed(start, clock.now)
        key = key_of(
            *("signals", champion.key, start, clock.now, content_sha256(seen)),
            self.settings.monitoring.model_dump(),
            self.settings.validation.model_dump(),
            self.settings.backtest.window_days,
        )
        return self.store.remembered(
            "signals", key, Signals, lambda: self._reported(champion, clock, start)
        )

    def _reported(self, champion: Training, clock: Clock, start: datetime) -> Signals:
        profile = ReferenceProfile.load(self._profile(champion))
        reports = [
            report_window(
                self._window(champion, clock, first, end),
                profile,
                self.settings.monitoring,
                name=f"{first:%Y-%m-%d}",
            )
            for first, end in weeks(start, clock.now, self.settings.backtest.window_days)
        ]
        return Signals(**{kind: signal(kind, reports, self.settings.monitoring) for kind in KINDS})

    def _profile(self, champion: Training) -> Path:
        return self.store.path("trainings", champion.key, ".profile.json")

    def _window(
        self, champion: Training, clock: Clock, start: datetime, end: datetime
    ) -> TripWindow:
        trips = clock.observed(start, end)
        model = model_of(champion, self.settings, self.store)
        predictions = model.predict(trips[list(REQUEST_COLUMNS)])
        return TripWindow.of(trips, predictions, model.encoder.statistics, self.settings.validation)


def weeks(start: datetime, now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Cut the time until now into windows of equal length, in order; what is left over at the start
    belongs to the first.
    """  # noqa: D205
    count = max(1, (now - start) // timedelta(days=days))
    ends = [now - timedelta(days=days * number) for number in range(count)][::-1]
    yield from zip([start, *ends[:-1]], ends, strict=True)


def signal(kind: Kind, reports: Sequence[WindowReport], settings: MonitoringSettings) -> Signal:
    """Say whether a kind of change was found in enough of the last windows, and in the latest.

    Args:
        kind: Of the change.
        reports: Of windows in order of time, at least one.
        settings: How many of how many windows.
    """
    worst = [_worst(kind, report, settings) for report in reports]
    violated = tuple(finding is not None for finding in worst)
    recent = violated[-settings.windows :]
    latest = worst[-1]
    count = f"{sum(recent)} of the last {len(recent)} windows show {kind}"
    alarm = latest is not None and sum(recent) >= min(settings.violations, len(recent))
    return Signal(
        alarm=alarm,
        windows=violated,
        reason=f"{count}: {latest.why}" if latest else f"{count}, the latest not",
    )


def _worst(kind: Kind, report: WindowReport, settings: MonitoringSettings) -> Finding | None:
    """Return the worst finding of a kind that is an alarm.

    A model tested on less than two stretches of ten days has no learned limits of its errors. Then
    a plain rule holds: the whole confidence interval of the RMSE is above the expected one by more
    than what matters.
    """
    found = [finding for finding in report.findings if finding.family == kind]
    for finding in found:
        if finding.outcome == "alarm":
            return finding
    for finding in found:
        if finding.subject == ALL_TRIPS and finding.statistic == "rmse" and finding.interval:
            least = finding.reference * (1 + settings.min_error_change)
            if finding.outcome == "unjudged" and finding.interval[0] > least:
                return finding
    return None
