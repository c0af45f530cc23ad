"""Metrics of the online server: each worker counts in shared files, one exporter adds them up.

prometheus_client's multiprocess mode needs its folder in the environment before it is first
imported, so nothing here imports it at the top. See its documentation, "Multiprocess Mode".
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections import Counter as Counts
from collections import deque
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlops.serving.answers.state import problem_in
from mlops.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_MEMORY: Final = Path("/dev/shm")
_STATM: Final = Path("/proc/self/statm")  # sizes in pages, the second is resident: proc(5)
# Fine where a prediction lies: percentiles of a canary and its champion are compared.
SECONDS: Final = (
    *(0.00005, 0.0001, 0.00015, 0.0002, 0.0003, 0.0004, 0.0006, 0.0008, 0.001, 0.0015),
    *(0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)


def prepare_folder() -> Path:
    """Make a new folder for the workers' counts and name it in the environment.

    In memory if possible: a mapped file on a full disk would kill the process that writes to it.
    Call it before anything imports prometheus_client.
    """
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="mlops-serving-", dir=memory)
    os.environ[_FOLDER] = folder
    return Path(folder)


def forget_worker(folder: Path, pid: int) -> None:
    """Drop the gauges of a dead worker; its counters stay."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


class VersionMetrics:
    """What one version did in one role.

    Args:
        metrics: All metrics of the process.
        version: Of the model.
        role: ``champion``, ``canary`` or ``shadow``.
    """

    def __init__(self, metrics: ServingMetrics, version: int, role: str) -> None:
        labels = (str(version), role)
        self._answers = metrics.answers.labels(*labels)
        self._seconds = metrics.seconds.labels(*labels)
        self._predictions = metrics.predictions.labels(*labels)
        self._bounds = metrics.bounds
        self._errors = metrics.errors
        self._labels = labels
        # Noted now, counted by `flush`: counting takes longer than encoding a row.
        self._noted: deque[tuple[float, npt.ArrayLike]] = deque()
        self.info = metrics.model_info.labels(*labels)

    def answered(self, seconds: float, predictions: npt.ArrayLike) -> None:
        """Note an answer.

        Args:
            seconds: It took.
            predictions: One or more, in the unit of the target.
        """
        self._noted.append((seconds, predictions))

    def failed(self, error: str) -> None:
        """Count an error by its kind."""
        self._errors.labels(*self._labels, error).inc()

    def flush(self) -> None:
        """Count what was noted."""
        noted = [self._noted.popleft() for _ in range(len(self._noted))]
        if noted:
            self._answers.inc(len(noted))
            _observe(self._seconds, SECONDS, np.array([seconds for seconds, _ in noted]))
            predictions = np.concatenate([predictions for _, predictions in noted])
            _observe(self._predictions, self._bounds, predictions)


def _observe(histogram: Any, bounds: Sequence[float], values: npt.NDArray[Any]) -> None:
    """Observe many values: one by one, ten thousand take longer than their predictions."""
    places = np.searchsorted(np.array(bounds), values, side="left")
    counts = np.bincount(places, minlength=len(bounds) + 1).tolist()
    histogram._sum.inc(float(values.sum()))
    for bucket, count in zip(histogram._buckets, counts, strict=True):
        if count:
            bucket.inc(count)


class ServingMetrics:
    """The metrics of one process; make it once, after the fork.

    Args:
        bounds: Of the buckets in which predictions are counted: `Dataset.answer_bounds`.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        registry = self.registry = CollectorRegistry()  # the exporter reads the files instead
        by_version = ("version", "role")
        self.requests = Counter(
            "mlops_serving_requests", "Requests", ("endpoint", "status"), registry=registry
        )
        self.answers = Counter(
            "mlops_serving_answers", "Requests answered by a model", by_version, registry=registry
        )
        self.errors = Counter(
            "mlops_serving_errors",
            "Failures of a model by kind: exception, not_finite, load",
            (*by_version, "error"),
            registry=registry,
        )
        self.seconds = Histogram(
            "mlops_serving_seconds",
            "Time that the server takes for an answered request",
            by_version,
            buckets=SECONDS,
            registry=registry,
        )
        self.bounds = bounds
        self.predictions = Histogram(
            "mlops_serving_prediction",
            "Predictions, of each row in the unit of the target",
            by_version,
            buckets=bounds,
            registry=registry,
        )
        self.model_info = Gauge(
            "mlops_serving_model_info",
            "1 if a worker holds the version in the role, 0 if none does any longer",
            by_version,
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.log_dropped = Counter(
            "mlops_serving_log_dropped", "Answers that were not logged", registry=registry
        )
        self.shadow_dropped = Counter(
            "mlops_serving_shadow_dropped", "Requests that a busy shadow skipped", registry=registry
        )
        self.cpu_seconds = Counter(
            "mlops_serving_cpu_seconds", "Processor time of the workers", registry=registry
        )
        self.resident = Gauge(
            "mlops_serving_resident_bytes",
            "Memory of the workers; shared memory counts once per worker",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._spent = 0.0
        self._noted: Counts[tuple[str, int]] = Counts()
        self._versions: dict[tuple[int, str], VersionMetrics] = {}

    def request(self, endpoint: str, status: int) -> None:
        """Note a request; only for the event loop's thread."""
        self._noted[endpoint, status] += 1

    def flush(self) -> None:
        """Count what was noted since the last time; likewise, and several times per second."""
        noted, self._noted = self._noted, Counts()
        for (endpoint, status), count in noted.items():
            self.requests.labels(endpoint, str(status)).inc(count)
        for version in tuple(self._versions.values()):
            version.flush()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent = usage.ru_utime + usage.ru_stime
        self.cpu_seconds.inc(spent - self._spent)
        self._spent = spent
        self.resident.set(_resident_bytes(usage))

    def of(self, version: int, role: str) -> VersionMetrics:
        """Return the metrics of a version in a role."""
        found = self._versions.get((version, role))
        if found is None:
            found = self._versions[version, role] = VersionMetrics(self, version, role)
        return found

    def holding(self, held: Sequence[tuple[int, str]]) -> None:
        """Say which versions this worker holds, in which roles."""
        for version, role in held:
            self.of(version, role)
        for key, metrics in self._versions.items():
            metrics.info.set(1 if key in held else 0)


def _resident_bytes(usage: resource.struct_rusage) -> float:
    """Return this process' memory now; the most it ever had where there is no /proc."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024)


class _Follower:
    """A collector that says how well the server follows the registry."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Any]:
        """Yield the metrics, read from the state file at each scrape."""
        from prometheus_client.core import GaugeMetricFamily

        yield GaugeMetricFamily(
            "mlops_serving_follower_problem",
            "1 while the registry cannot be followed; GET /model says why",
            value=float(bool(problem_in(self._settings.served))),
        )


def exporter(settings: Settings, folder: Path) -> ThreadingHTTPServer:
    """Return the bound server of ``/metrics``, adding up the counts in a folder.

    Raises:
        OSError: If its port is taken.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    registry.register(_Follower(settings))
    return metrics_server(settings.serving.metrics_host, settings.serving.metrics_port, registry)


def metrics_server(host: str, port: int, registry: CollectorRegistry) -> ThreadingHTTPServer:
    """Return a bound server that tells what a registry collects, at ``/metrics`` and nowhere else.

    Raises:
        OSError: If its port is taken.
    """
    from prometheus_client.exposition import MetricsHandler

    class OnlyMetricsHandler(MetricsHandler):
        timeout = 10  # seconds for a slow reader

        def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            super().do_GET()

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, address: Any) -> None:
            # A caller that hangs up before its answer is nobody's fault here.
            if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
                super().handle_error(request, address)

    OnlyMetricsHandler.registry = registry
    server = Server((host, port), OnlyMetricsHandler)
    server.daemon_threads = True
    return server
