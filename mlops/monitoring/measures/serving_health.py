"""How the online server does: a version's latency, errors and cost against the last versions.

Like is compared with like: a list of a thousand rows takes longer than one row, and a server that
is rarely asked spends more on waiting, per answer, than a busy one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Final

from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.windows.serving_snapshots import (
    Counts,
    Snapshot,
    SnapshotFile,
    snapshot_files,
    time_key,
)
from mlops.monitoring.windows.staging import StagedWindow
from mlops.settings import Settings

_ENOUGH: Final = 200  # requests; quantiles of fewer are chance
_ACCIDENTS: Final = 5  # errors; a share of fewer says nothing
_EARLIER: Final = 5  # snapshots that tell what is usual
# Requests are alike if their sizes, or their numbers per second, are within this factor.
_ALIKE: Final = 2.0
_ALONE: Final = 0.95  # share of all answers from which on what workers spend is a version's own
_QUANTILES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_JUDGED: Final = "p95"
_MEGABYTE: Final = 1e6


def measure_serving(settings: Settings, window: StagedWindow) -> Iterator[Measurement]:
    """Compare how the server did when a window ended with how the version before it did.

    Without a version before, the same version's earlier days tell what is usual; without these,
    values are reported and not judged. Nothing is reported of windows that the server did not
    answer, nor of a time when it could not be asked.

    Args:
        settings: The limits, and where the snapshots are.
        window: Just staged, or looked at again.
    """
    if window.origin != "served":
        return
    files = snapshot_files(settings)
    end = time_key(window.end)
    later = next((f for f in files if f.version == window.version and f.at >= end), None)
    snapshot = later.read() if later else None
    if later is None or snapshot is None:
        return
    if snapshot.since is not None and snapshot.since >= window.end:
        return
    earlier = [file for file in files if file.at < later.at]
    yield from compare(snapshot, _usual(earlier, window.version), settings)


def compare(
    snapshot: Snapshot, usual: Sequence[Snapshot], settings: Settings
) -> Iterator[Measurement]:
    """Compare a snapshot with earlier ones.

    Args:
        snapshot: How the version did.
        usual: Snapshots of one version that tell what is usual, the latest last; may be empty.
        settings: `deployment.max_latency_ratio`, ``latency_floor_ms`` and ``max_error_share`` mean
            what they mean for a canary; `monitoring.max_cost_ratio`.
    """
    yield from _latency(snapshot.period, _sum(usual), settings)
    yield from _errors(snapshot.period, _sum(usual), settings)
    last = usual[-1] if usual else None
    requests, ratio = snapshot.period.traffic.requests, settings.monitoring.max_cost_ratio
    for subject, statistic, unit, value, other in (
        ("cost", "CPU per 1 000 answers", "s", *_costs(snapshot, usual)),
        (
            *("memory", "resident", "MB", snapshot.resident_bytes / _MEGABYTE),
            last.resident_bytes / _MEGABYTE if last else 0.0,
        ),
        (
            *("bundle", "size", "MB", snapshot.bundle_bytes / _MEGABYTE),
            last.bundle_bytes / _MEGABYTE if last else 0.0,
        ),
    ):
        if value:
            limit = ratio * other if other else None
            yield _high(subject, statistic, requests, value, other or value, unit, limit)


def _latency(mine: Counts, usual: Counts, settings: Settings) -> Iterator[Measurement]:
    limits = settings.deployment
    known = usual.answers >= _ENOUGH and _alike(_size(mine), _size(usual))
    for name, share in _QUANTILES.items():
        value = mine.traffic.quantile_seconds(share)
        other = usual.traffic.quantile_seconds(share) if known else value
        if value is None or other is None:
            continue
        limit = limits.max_latency_ratio * max(1_000 * other, limits.latency_floor_ms)
        judged = name == _JUDGED and known and mine.answers >= _ENOUGH
        yield _high(
            *("latency", name, mine.traffic.requests, 1_000 * value, 1_000 * other, "ms"),
            limit if judged else None,
        )


def _errors(mine: Counts, usual: Counts, settings: Settings) -> Iterator[Measurement]:
    requests = mine.traffic.requests
    if requests:
        other = usual.traffic.error_share if usual.answers >= _ENOUGH else 0.0
        limit = max(other + settings.deployment.max_error_share, _ACCIDENTS / requests)
        yield _high("errors", "share", requests, mine.traffic.error_share, other, "%", limit)


def _costs(snapshot: Snapshot, usual: Sequence[Snapshot]) -> tuple[float, float]:
    """Return CPU seconds per 1 000 answers and what is usual; 0 where that is not known."""
    like = [
        one
        for one in usual
        if _alike(_rate(one), _rate(snapshot)) and _alike(_size(one.period), _size(snapshot.period))
    ]
    return _cost(snapshot.period), _cost(_sum(like))


def _cost(counts: Counts) -> float:
    if counts.answers < max(_ENOUGH, _ALONE * counts.server_answers):
        return 0.0
    return 1_000 * counts.cpu_seconds / counts.answers


def _rate(snapshot: Snapshot) -> float:
    """Return answers per second; 0 if it is not known since when."""
    seconds = (snapshot.at - snapshot.since).total_seconds() if snapshot.since else 0.0
    return snapshot.period.answers / seconds if seconds > 0 else 0.0


def _size(counts: Counts) -> float:
    """Return rows per request."""
    return counts.trips / counts.answers if counts.answers else 0.0


def _alike(one: float, other: float) -> bool:
    return 0 < max(one, other) <= _ALIKE * min(one, other)


def _usual(earlier: Sequence[SnapshotFile], version: int) -> list[Snapshot]:
    """Return the last snapshots of the version before, or else of the version itself."""
    others = [file for file in earlier if file.version != version]
    for candidate in dict.fromkeys(file.version for file in reversed(others)):
        found = _last(others, candidate)
        if _sum(found).answers >= _ENOUGH:
            return found
    return _last(earlier, version)


def _last(files: Sequence[SnapshotFile], version: int) -> list[Snapshot]:
    mine = [file for file in files if file.version == version][-_EARLIER:]
    return [snapshot for file in mine if (snapshot := file.read()) is not None]


def _sum(snapshots: Sequence[Snapshot]) -> Counts:
    return reduce(Counts.plus, (snapshot.period for snapshot in snapshots), Counts())


def _high(
    subject: str,
    statistic: str,
    requests: int,
    value: float,
    usual: float,
    unit: str,
    limit: float | None,
) -> Measurement:
    return Measurement(
        *("serving", subject, statistic, "ratio", "high", requests, value, usual, unit),
        limit=limit,
    )
