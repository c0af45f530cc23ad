"""Metrics as values: a name, what it means, and its samples. Names and units follow Prometheus.

Moments are given as such, not as ages: an age would change between scrapes while nothing happens
(prometheus.io/docs/practices/instrumentation, "Timestamps, not time since").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from prometheus_client.core import GaugeMetricFamily

Samples = Iterable[tuple[Mapping[str, Any], float | None]]


def gauge(name: str, meaning: str, samples: Samples) -> GaugeMetricFamily:
    """Return a gauge.

    Args:
        name: With its unit at the end.
        meaning: One line.
        samples: Labels to value; a value of None is left out. All have the same labels.
    """
    known = [(labels, value) for labels, value in samples if value is not None]
    names = list(known[0][0]) if known else []
    metric = GaugeMetricFamily(name, meaning, labels=names)
    for labels, value in known:
        metric.add_metric([str(labels[each]) for each in names], float(value))
    return metric


def single(name: str, meaning: str, value: float | None) -> GaugeMetricFamily:
    """Return a gauge without labels; without a value it has no sample."""
    return gauge(name, meaning, [({}, value)])


def seconds_of(moment: datetime | None) -> float | None:
    """Return a moment in seconds since 1970; one without zone is taken to be UTC."""
    if moment is None or moment != moment:  # pandas' NaT differs from itself
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return aware.timestamp()
