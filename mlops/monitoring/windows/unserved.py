"""Windows of rows that the champion did not answer: it predicts them afterwards.

A model that answers nobody, or answers where no log is kept, ages all the same; each month that the
source publishes shows by how much. A month's windows end with it, because rows come by months.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from mlops import progress
from mlops.data.months import month_bounds
from mlops.data.origins import is_synthetic
from mlops.datasets.answers import ANSWER
from mlops.datasets.wall_clock import instant_of, wall_clock_of
from mlops.datasets.watching import Arriving, MonthFiles, Watching
from mlops.errors import MlopsError
from mlops.inference.overlap import predictions_of
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.windows.cutting import Instants, Span, cut
from mlops.monitoring.windows.staging import Answered, StagedWindow, stage
from mlops.registry.versions import Registry, VersionInfo
from mlops.serving.model.compilation import fastest_model
from mlops.settings import MonitoringSettings, Settings

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


def source_windows(
    settings: Settings,
    watching: Watching,
    source: Arriving,
    records: Sequence[WindowRecord],
    staged: Sequence[StagedWindow],
    now: datetime,
) -> Iterator[StagedWindow]:
    """Stage windows of the source's rows after the champion's test, where it answered nobody.

    Args:
        settings: The registry, the sizes of windows.
        watching: Of the dataset.
        source: Of the dataset.
        records: Stored windows.
        staged: Windows of the log that were staged just now.
        now: With time zone; later rows are not known yet.

    Yields:
        New windows, predicted and labelled; none if there is no champion, no newer month, or the
        source cannot be asked.
    """
    registry = Registry(settings)
    champion = registry.champion()
    if champion is None or not _learned_from(champion, source):
        return
    since = _since(champion, records, watching)
    if since is None:
        return
    served = _served(champion.version, records, staged)
    local = wall_clock_of(now, watching.zone)
    known = local - watching.label_delay
    for month, files in _new_months(source, since, local).items():
        if any(is_synthetic(f.uri) for f in files) != champion.synthetic:
            progress.report(
                f"{month} is left out: version {champion.version} was trained on other"
                f" {watching.plural}"
            )
            continue
        rows = _rows(source.rows(files), watching.event, month, since)
        at = _microseconds(rows[watching.event])
        spans = [
            span
            for span in _spans(at, month, known, settings.monitoring)
            if not any(span.start <= last and first < span.end for first, last in served)
        ]
        if not spans:
            continue
        trained, _ = registry.load(champion.version)
        model = fastest_model(trained, champion.version, len(rows))
        for span in spans:
            part = rows.iloc[slice(*np.searchsorted(at, span))].reset_index(drop=True)
            answers = predictions_of(model, part[list(watching.asked)])
            answered = Answered(part, pd.DataFrame(answers, columns=list(ANSWER)), None)
            start, end = (instant_of(_EPOCH + us * _MICROSECOND, watching.zone) for us in span)
            yield stage(settings, champion.version, "source", (start, end), answered, watching, {})


def _learned_from(champion: VersionInfo, source: Arriving) -> bool:
    """Tell whether the champion is of the configured source: others' rows say nothing of it."""
    receipt = champion.receipt
    if receipt is None or not receipt.origin.is_of(source.origin):
        return False
    return receipt.synthetic or not source.origin.synthetic


def _since(
    champion: VersionInfo, records: Sequence[WindowRecord], watching: Watching
) -> datetime | None:
    """Return up to when the champion's rows were looked at, at first by its test."""
    mine = (r for r in records if r.version == champion.version and r.origin == "source")
    last = max((record.end for record in mine), default=None)
    if last is not None:
        return wall_clock_of(last, watching.zone)
    return champion.receipt.windows["test"].end if champion.receipt else None


def _served(
    version: int, records: Sequence[WindowRecord], staged: Sequence[StagedWindow]
) -> list[Span]:
    """Return the first and last event of each window that the version answered, but for strays."""
    stored = [r for r in records if r.version == version and r.origin == "served"]
    found = [
        *(record.pickups or (record.report.start, record.report.end) for record in stored),
        *(window.pickups for window in staged if window.version == version and window.pickups),
    ]
    return [
        Span((first - _EPOCH) // _MICROSECOND, (last - _EPOCH) // _MICROSECOND)
        for first, last in found
        if first is not None and last is not None
    ]


def _new_months(source: Arriving, since: datetime, now: datetime) -> MonthFiles:
    before = since.replace(day=1) - timedelta(days=1)
    try:
        return source.after(f"{before:%Y-%m}", now.date())
    except MlopsError as error:
        progress.report(f"no new months can be requested now: {error.message}")
        return {}


def _rows(rows: pd.DataFrame, event: str, month: str, since: datetime) -> pd.DataFrame:
    """Return the rows of a month from ``since`` on, those that break rules included, by event."""
    start, end = month_bounds(month)
    inside = (rows[event] >= max(start, since)) & (rows[event] < end)
    return rows[inside].sort_values(event, kind="stable", ignore_index=True)


def _spans(at: Instants, month: str, now: datetime, settings: MonitoringSettings) -> list[Span]:
    """Cut a month into windows; what remains at its end is one too, if it is large enough."""
    end = (month_bounds(month)[1] - _EPOCH) // _MICROSECOND
    over = month_bounds(month)[1] <= now
    # The file of a month that is not over ends with its last row.
    until = end if over else min([*at[-1:].tolist(), (now - _EPOCH) // _MICROSECOND])
    spans = cut(at, until, settings)
    rest = at[np.searchsorted(at, spans[-1].end) if spans else 0 :]
    if over and len(rest) >= settings.min_window_trips:
        spans.append(Span(int(rest[0]), end))
    return spans


def _microseconds(events: pd.Series[Any]) -> Instants:
    return events.to_numpy("datetime64[us]").astype(np.int64)
