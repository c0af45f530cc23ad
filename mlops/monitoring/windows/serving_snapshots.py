"""Notes what the online server's counters say of each version, at each monitoring run.

The counters begin anew with each start of the server. One small file per version and run keeps what
happened in between, also of versions that are gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import Field

from mlops import progress
from mlops.deployment.endpoint import Endpoint
from mlops.deployment.traffic import Scrape, Traffic
from mlops.errors import DamagedFileError
from mlops.evaluation.results import Result
from mlops.records.files import find_or_report, write_record
from mlops.serving.answers.state import read_state
from mlops.serving.processes.follower import bundles_folder
from mlops.settings import Settings

_ANSWERING: Final = ("champion", "canary")
SNAPSHOT_WAY_OUT: Final = "remove {path}: only the online server's health at that moment is lost"
_TIME: Final = "%Y%m%dT%H%M%S.%f"


class Counts(Result):
    """What one version did, and what all workers spent meanwhile.

    Attributes:
        answers: Requests answered to callers, as champion or canary.
        errors: Requests that failed in it.
        trips: Rows predicted.
        seconds: Upper bound of the latency, as text, to requests at most that long.
        server_answers: Requests answered by all versions together, shadows included.
        cpu_seconds: Of all workers; 0 if the server does not tell.
    """

    answers: float = 0
    errors: float = 0
    trips: float = 0
    seconds: dict[str, float] = Field(default_factory=dict)
    server_answers: float = 0
    cpu_seconds: float = 0

    def since(self, before: Counts) -> Counts:
        """Return what happened since; if any counter went back, all of them began anew."""
        if any(after < earlier for after, earlier in zip(self._all(), before._all(), strict=True)):
            return self
        return self._plus(before, -1)

    def plus(self, other: Counts) -> Counts:
        """Add what happened at another time."""
        return self._plus(other, 1)

    @property
    def traffic(self) -> Traffic:
        """Requests, errors and latencies, as a deployment sees them."""
        buckets = {float(bound): count for bound, count in self.seconds.items()}
        return Traffic(self.answers, self.errors, buckets, self.trips)

    def _all(self) -> tuple[float, ...]:
        return (self.answers, self.errors, self.trips, self.server_answers, self.cpu_seconds)

    def _plus(self, other: Counts, sign: int) -> Counts:
        bounds = {**self.seconds, **other.seconds}
        return Counts(
            answers=self.answers + sign * other.answers,
            errors=self.errors + sign * other.errors,
            trips=self.trips + sign * other.trips,
            seconds={b: self.seconds.get(b, 0) + sign * other.seconds.get(b, 0) for b in bounds},
            server_answers=self.server_answers + sign * other.server_answers,
            cpu_seconds=self.cpu_seconds + sign * other.cpu_seconds,
        )


class Snapshot(Result):
    """How a version did between two monitoring runs.

    Attributes:
        version: Of the model.
        at: When the server was asked, with time zone.
        since: When it was asked before; None: it is all since the server's start.
        period: What happened in between.
        total: As the counters stood.
        resident_bytes: Memory of all workers together; 0 if the server does not tell.
        bundle_bytes: Size on disk of what is served; 0 if that is on another machine.
    """

    version: int
    at: datetime
    since: datetime | None
    period: Counts
    total: Counts
    resident_bytes: float
    bundle_bytes: int


class SnapshotFile(NamedTuple):
    """A stored snapshot, not read yet; ``at`` sorts by time."""

    version: int
    at: str
    path: Path

    def read(self) -> Snapshot | None:
        """Return the content; None, and a warning in the log, if this code cannot read it."""
        return find_or_report(self.path, Snapshot, SNAPSHOT_WAY_OUT)


def take_snapshots(settings: Settings, now: datetime) -> tuple[Snapshot, ...]:
    """Note how each version did since the last time; nothing if the server cannot be asked.

    Args:
        settings: Say where the server tells its metrics, and where notes are kept.
        now: With time zone.

    Returns:
        One snapshot per version that answered anything meanwhile.
    """
    scrape = Endpoint(settings).scrape()
    if scrape is None:
        where = settings.serving_metrics_url
        progress.report(f"no online server at {where}: its latency and cost are not measured")
        return ()
    stored, sizes = snapshot_files(settings), _bundle_bytes(settings)
    found = []
    for version in sorted({version for version, _ in scrape.traffic}):
        mine = [file for file in stored if file.version == version]
        before = mine[-1].read() if mine else None
        total = _counts(scrape, version)
        period = total.since(before.total) if before else total
        if period.answers or period.errors:
            snapshot = Snapshot(
                version=version,
                at=now,
                since=before.at if before else None,
                period=period,
                total=total,
                resident_bytes=scrape.resident_bytes,
                bundle_bytes=sizes.get(version, 0),
            )
            _write(settings, snapshot)
            found.append(snapshot)
    return tuple(found)


def snapshot_files(settings: Settings) -> list[SnapshotFile]:
    """Return the stored snapshots by time, without reading them."""
    found = []
    for path in _folder(settings).glob("v*-*.json"):
        version, _, at = path.stem.removeprefix("v").partition("-")
        if version.isdigit():
            found.append(SnapshotFile(int(version), at, path))
    return sorted(found, key=lambda file: (file.at, file.version))


def time_key(moment: datetime) -> str:
    """Return what `SnapshotFile.at` of a snapshot taken at a moment is, in UTC."""
    return f"{moment:{_TIME}}"


def _counts(scrape: Scrape, version: int) -> Counts:
    parts = [scrape.of(version, role) for role in _ANSWERING]
    buckets: dict[str, float] = {}
    for part in parts:
        for bound, count in part.buckets.items():
            buckets[f"{bound:g}"] = buckets.get(f"{bound:g}", 0) + count
    return Counts(
        answers=sum(part.answers for part in parts),
        errors=sum(part.errors for part in parts),
        trips=sum(part.rows for part in parts),
        seconds=buckets,
        server_answers=sum(traffic.answers for traffic in scrape.traffic.values()),
        cpu_seconds=scrape.cpu_seconds,
    )


def _bundle_bytes(settings: Settings) -> Mapping[int, int]:
    """Return the size of what is being served, by version; empty if it is not on this machine."""
    try:
        state = read_state(settings.served)
    except DamagedFileError:  # a running server writes it anew
        return {}
    served = [s for s in (state.champion, state.beside) if s] if state else []
    sizes = {}
    for one in served:
        with suppress(OSError):  # it was replaced meanwhile
            files = (bundles_folder(settings) / one.bundle).iterdir()
            sizes[one.version] = sum(file.stat().st_size for file in files)
    return sizes


def _folder(settings: Settings) -> Path:
    return settings.monitored / "serving"


def _write(settings: Settings, snapshot: Snapshot) -> None:
    name = f"v{snapshot.version}-{time_key(snapshot.at)}.json"
    write_record(_folder(settings) / name, snapshot, indent=None)
