"""Windows of trips that the champion did not answer: it predicts them afterwards.

A model that answers nobody, or answers where no log is kept, ages all the same; each month that the
source publishes shows by how much. A month's windows end with it, because trips come by months.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from mlops import progress
from mlops.data.months import month_bounds
from mlops.data.origins import is_synthetic
from mlops.data.references import SourceFile
from mlops.datasets.taxi.clock import minutes_between
from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sources.news import months_after
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, REQUEST_COLUMNS, TARGET
from mlops.errors import MlopsError
from mlops.inference.overlap import predictions_of
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.windows.arrivals import month_files
from mlops.monitoring.windows.cutting import Instants, Span, cut
from mlops.monitoring.windows.staging import (
    StagedWindow,
    from_wall_clock,
    stage,
    to_wall_clock,
)
from mlops.registry.versions import Registry, VersionInfo
from mlops.serving.log.rows import MINUTES
from mlops.serving.model.compilation import fastest_model
from mlops.settings import MonitoringSettings, Settings

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


def source_windows(
    settings: Settings,
    records: Sequence[WindowRecord],
    staged: Sequence[StagedWindow],
    now: datetime,
) -> Iterator[StagedWindow]:
    """Stage windows of the source's trips after the champion's test, where it answered nobody.

    Args:
        settings: The source, the registry, the sizes of windows.
        records: Stored windows.
        staged: Windows of the log that were staged just now.
        now: With time zone; later trips are not known yet.

    Yields:
        New windows, predicted and labelled; none if there is no champion, no newer month, or the
        source cannot be asked.
    """
    registry = Registry(settings)
    champion = registry.champion()
    since = _since(champion, records) if champion and _learned_from(champion, settings) else None
    if champion is None or since is None:
        return
    served = _served(champion.version, records, staged)
    for month, files in _new_months(settings, since, now).items():
        if any(is_synthetic(f.uri) for f in files) != champion.synthetic:
            progress.report(
                f"{month} is left out: version {champion.version} was trained on other trips"
            )
            continue
        trips = _trips(files, settings, month, since)
        at = _microseconds(trips)
        spans = [
            span
            for span in _spans(at, month, to_wall_clock(now), settings.monitoring)
            if not any(span.start <= last and first < span.end for first, last in served)
        ]
        if not spans:
            continue
        trained, _ = registry.load(champion.version)
        model = fastest_model(trained, champion.version, len(trips))
        for span in spans:
            rows = trips.iloc[slice(*np.searchsorted(at, span))].reset_index(drop=True)
            minutes = predictions_of(model, rows[list(REQUEST_COLUMNS)])
            rows = rows.assign(**dict(zip(MINUTES, minutes.T, strict=True)))
            start, end = (from_wall_clock(_EPOCH + at * _MICROSECOND) for at in span)
            yield stage(settings, champion.version, "source", (start, end), rows, {})


def _learned_from(champion: VersionInfo, settings: Settings) -> bool:
    """Tell whether the champion is of the configured source: others' trips say nothing of it."""
    receipt, source = champion.receipt, settings.source
    if receipt is None or receipt.taxi != source.taxi:
        return False
    return receipt.synthetic or source.kind != "sample"


def _since(champion: VersionInfo, records: Sequence[WindowRecord]) -> datetime | None:
    """Return up to when the champion's trips were looked at, at first by its test."""
    mine = (r for r in records if r.version == champion.version and r.origin == "source")
    last = max((record.end for record in mine), default=None)
    if last is not None:
        return to_wall_clock(last)
    return champion.receipt.windows["test"].end if champion.receipt else None


def _served(
    version: int, records: Sequence[WindowRecord], staged: Sequence[StagedWindow]
) -> list[Span]:
    """Return the first and last pickup of each window that the version answered, but for strays."""
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


def _new_months(
    settings: Settings, since: datetime, now: datetime
) -> dict[str, tuple[SourceFile, ...]]:
    before = since.replace(day=1) - timedelta(days=1)
    try:
        months = months_after(settings.source, f"{before:%Y-%m}", to_wall_clock(now).date())
        return month_files(settings, months)
    except MlopsError as error:
        progress.report(f"no new months can be requested now: {error.message}")
        return {}


def _trips(
    files: Sequence[SourceFile], settings: Settings, month: str, since: datetime
) -> pd.DataFrame:
    """Read a month's trips from ``since`` on, those that break rules included, by pickup."""
    taxi = settings.source.taxi
    clock = settings.validation.clock
    frames = [read_trips(file.uri, taxi, clock=clock) for file in files]
    trips = pd.concat(frames, ignore_index=True)
    start, end = month_bounds(month)
    inside = (trips[PICKUP_AT] >= max(start, since)) & (trips[PICKUP_AT] < end)
    trips = trips[inside].sort_values(PICKUP_AT, kind="stable", ignore_index=True)
    return trips.assign(**{TARGET: minutes_between(trips[PICKUP_AT], trips[DROPOFF_AT])})


def _spans(at: Instants, month: str, now: datetime, settings: MonitoringSettings) -> list[Span]:
    """Cut a month into windows; what remains at its end is one too, if it is large enough."""
    end = (month_bounds(month)[1] - _EPOCH) // _MICROSECOND
    over = month_bounds(month)[1] <= now
    # The file of a month that is not over ends with its last trip.
    until = end if over else min([*at[-1:].tolist(), (now - _EPOCH) // _MICROSECOND])
    spans = cut(at, until, settings)
    rest = at[np.searchsorted(at, spans[-1].end) if spans else 0 :]
    if over and len(rest) >= settings.min_window_trips:
        spans.append(Span(int(rest[0]), end))
    return spans


def _microseconds(trips: pd.DataFrame) -> Instants:
    return trips[PICKUP_AT].to_numpy("datetime64[us]").astype(np.int64)
