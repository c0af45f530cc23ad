"""Collects windows to be measured: of the prediction log, and of the source where nobody asked.

What was cut before is read off the stored windows. So nothing else has to be remembered, and a
collection that was interrupted is simply made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from mlops import progress
from mlops.datasets.opening import dataset_of
from mlops.datasets.wall_clock import wall_clock_of
from mlops.datasets.watching import Arriving, Watching
from mlops.errors import DamagedFileError
from mlops.monitoring.findings.records import WindowRecord, read_windows
from mlops.monitoring.windows.arrivals import Arrivals
from mlops.monitoring.windows.cutting import Span
from mlops.monitoring.windows.served import ServedSpan, from_us, new_spans, read_spans, to_us
from mlops.monitoring.windows.serving_snapshots import take_snapshots
from mlops.monitoring.windows.staging import StagedWindow, forget_old, named_by, stage
from mlops.monitoring.windows.unserved import source_windows
from mlops.settings import Settings


def collect(settings: Settings, now: datetime) -> tuple[StagedWindow, ...]:
    """Stage the windows that are new, or whose labels have arrived or changed.

    A window of the log holds the answers of one version, as champion and as canary. The answers of
    a shadow reach no caller, and the probes of a deployment are no traffic: both are left out.
    Where the champion answered nobody, rows of the source that it was not tested on make windows
    instead.

    Also notes how the online server does (`serving_snapshots`), for `serving_health`.

    Args:
        settings: The configuration.
        now: With time zone.

    Returns:
        The windows, the latest last; none if there is nothing new.

    Raises:
        MlopsError: If the log or the registry cannot be read, or the dataset cannot be watched.
    """
    dataset = dataset_of(settings)
    watching, source = dataset.watching(settings), dataset.arriving(settings)
    forget_old(settings)
    take_snapshots(settings, now)
    records = _sound_windows(settings, now)
    staged = list(_served_windows(settings, watching, source, records, now))
    staged += source_windows(settings, watching, source, records, staged, now)
    rows = sum(window.rows for window in staged)
    progress.report("collected", windows=len(staged), **{watching.plural: rows})
    return tuple(sorted(staged, key=lambda window: (window.end, window.name)))


def _sound_windows(settings: Settings, now: datetime) -> tuple[WindowRecord, ...]:
    """Return the stored windows up to the first damaged one of each version and origin.

    So a damaged window, and those after it, are cut again where they were, measured and written in
    place of what is stored. One whose answers are not looked for any more stays as it is.
    """
    damaged: list[DamagedFileError] = []
    records = read_windows(settings, whole=0, on_damage=damaged.append)
    monitoring = settings.monitoring
    horizon = now - timedelta(days=max(monitoring.label_wait_days, monitoring.window_days))
    for error in damaged:
        named = named_by(error.path.stem) if error.path else None
        if named is None or named[2] < horizon:
            progress.report(str(error))
            continue
        progress.report(f"{error.message}; it and the later windows are measured again")
        records = tuple(
            record
            for record in records
            if (record.version, record.origin) != named[:2] or record.start < named[2]
        )
    return records


def _served_windows(
    settings: Settings,
    watching: Watching,
    source: Arriving,
    records: Sequence[WindowRecord],
    now: datetime,
) -> Iterator[StagedWindow]:
    """Stage windows of the log: those never measured, and those measured with fewer labels."""
    if settings.prediction_log.sink == "none":
        return
    served = [record for record in records if record.origin == "served"]
    ends: dict[int, datetime] = {}
    for record in served:
        ends[record.version] = max(record.end, ends.get(record.version, record.end))
    new = new_spans(settings, watching, ends, now)
    wait = timedelta(days=settings.monitoring.label_wait_days)
    waiting = [record for record in served if now - record.end <= wait]
    months = {
        *(month for span in new for month in span.months),
        *(month for record in waiting for month in record.labels_from),
    }
    arrivals = Arrivals(source, months, wall_clock_of(now, watching.zone).date())
    again = {_span_of(r): r.trips for r in waiting if arrivals.news(r.labels_from)}
    for window, answered in read_spans(settings, [*new, *again]):
        if len(answered.rows) < again.get(window, 0):
            continue  # the log is not kept that long: what was found in all of it stays
        span = (from_us(window.span.start), from_us(window.span.end))
        labelled = answered._replace(rows=arrivals.label(answered.rows, window.months))
        labels_from = arrivals.found(window.months)
        yield stage(settings, window.version, "served", span, labelled, watching, labels_from)


def _span_of(record: WindowRecord) -> ServedSpan:
    span = Span(to_us(record.start), to_us(record.end))
    return ServedSpan(record.version, span, tuple(record.labels_from))
