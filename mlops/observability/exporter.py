"""The page that Prometheus reads: made at each refresh, handed out as it is at each scrape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from mlops.errors import ConfigurationError
from mlops.observability.gauges import gauge, seconds_of, single
from mlops.observability.memory import Stamp, WorldPart
from mlops.observability.model_metrics import deployment_metrics, version_metrics
from mlops.observability.monitoring_metrics import decision_metrics, window_metrics
from mlops.observability.pipeline_metrics import (
    pipeline_metrics,
    product_metrics,
    training_set_metrics,
)
from mlops.observability.tables import Refreshed
from mlops.observability.world import ObservedWorld
from mlops.serving.answers.metrics import metrics_server
from mlops.settings import Settings

logger = logging.getLogger(__name__)

# Each is made on its own: what cannot be read costs its own metrics only.
GROUPS: Final[Mapping[str, Callable[[ObservedWorld], Iterable[Metric]]]] = {
    "pipelines": pipeline_metrics,
    "products": product_metrics,
    "training set": training_set_metrics,
    "versions": version_metrics,
    "deployments": deployment_metrics,
    "windows": window_metrics,
    "decisions": decision_metrics,
}


class Page(Collector):
    """The metrics of the last refresh.

    Args:
        groups: Name to what makes its metrics.
    """

    def __init__(
        self, groups: Mapping[str, Callable[[ObservedWorld], Iterable[Metric]]] = GROUPS
    ) -> None:
        self._groups = groups
        self._made: dict[str, tuple[Mapping[WorldPart[Any], Stamp], list[Metric]]] = {}
        self._problems: dict[str, str] = {}
        self._shown: list[Metric] = []

    def show(self, refreshed: Refreshed) -> None:
        """Take over what a refresh found; scrapes see the old page until it is complete."""
        world = refreshed.world
        metrics = [metric for name in self._groups for metric in self._group(name, world)]
        problems = {**refreshed.problems, **self._problems}
        self._shown = [*metrics, *_of_observer(refreshed, problems)]

    def collect(self) -> Iterator[Metric]:
        """Yield the page."""
        yield from self._shown

    def _group(self, name: str, world: ObservedWorld) -> list[Metric]:
        """Return the metrics of a group, made anew if anything they were made from has changed."""
        if name in self._made and world.is_unchanged(self._made[name][0]):
            return self._made[name][1]
        world.used.clear()
        try:
            metrics = list(self._groups[name](world))
            self._problems.pop(name, None)
        except Exception as error:
            # Better no number than an old one that looks like news.
            metrics = []
            problem = repr(error)
            if self._problems.get(name) != problem:  # once, not at every refresh
                logger.exception("the metrics of %s are left out", name)
            self._problems[name] = problem
        self._made[name] = (dict(world.used), metrics)
        return metrics


def _of_observer(refreshed: Refreshed, problems: Mapping[str, str]) -> Iterator[Metric]:
    yield single(
        "mlops_observer_refresh_timestamp_seconds",
        "Time of the last refresh",
        seconds_of(refreshed.world.at),
    )
    yield single("mlops_observer_refresh_seconds", "Length of the last refresh", refreshed.seconds)
    yield single("mlops_observer_problems", "Parts that could not be built", len(problems))
    yield gauge(
        "mlops_observer_problem",
        "1 for a table or metric group that could not be built; the log says why",
        [({"part": name}, 1) for name in sorted(problems)],
    )


def exporter(settings: Settings, page: Page) -> ThreadingHTTPServer:
    """Return the bound server of ``/metrics``.

    Raises:
        ConfigurationError: If its port is taken.
    """
    registry = CollectorRegistry()
    registry.register(page)
    host, port = settings.observability.metrics_host, settings.observability.metrics_port
    try:
        return metrics_server(host, port, registry)
    except OSError as error:
        raise ConfigurationError(
            f"observability.metrics_port: cannot listen on {host}:{port} ({error.strerror})",
            f"stop what uses port {port}, or choose another: --set observability.metrics_port=PORT",
        ) from error
