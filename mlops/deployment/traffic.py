"""What the online server's metrics say of each version: requests, errors, latencies.

Counters only grow, until a process restarts; so two scrapes are compared, and a counter that is
lower than before counts from zero, as Prometheus' own ``increase`` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

_ANSWERS: Final = "mlops_serving_answers_total"
_ERRORS: Final = "mlops_serving_errors_total"
_SECONDS: Final = "mlops_serving_seconds_bucket"
_ROWS: Final = "mlops_serving_prediction_count"
_INFO: Final = "mlops_serving_model_info"
_CPU: Final = "mlops_serving_cpu_seconds_total"
_RESIDENT: Final = "mlops_serving_resident_bytes"


@dataclass(frozen=True)
class Traffic:
    """What one version did.

    Attributes:
        answers: Requests answered.
        errors: Requests that failed in it.
        buckets: Upper bound in seconds to requests at most that long, the last one infinite.
        rows: Predicted.
    """

    answers: float = 0
    errors: float = 0
    buckets: Mapping[float, float] = field(default_factory=dict)
    rows: float = 0

    @property
    def requests(self) -> int:
        """Answered or failed."""
        return round(self.answers + self.errors)

    @property
    def error_share(self) -> float:
        """Errors per request; 0 without any."""
        return self.errors / self.requests if self.requests else 0.0

    def since(self, before: Traffic) -> Traffic:
        """Return what happened since an earlier scrape."""
        return Traffic(
            answers=_increase(before.answers, self.answers),
            errors=_increase(before.errors, self.errors),
            buckets={
                bound: _increase(before.buckets.get(bound, 0), count)
                for bound, count in self.buckets.items()
            },
            rows=_increase(before.rows, self.rows),
        )

    def quantile_seconds(self, share: float) -> float | None:
        """Return a quantile of the latency, or None without requests.

        Linear within a bucket, as Prometheus' ``histogram_quantile``
        (prometheus.io/docs/prometheus/latest/querying/functions); above the last finite bound it
        is that bound.
        """
        bounds = sorted(self.buckets)
        total = self.buckets[bounds[-1]] if bounds else 0
        if not total:
            return None
        below, lower = 0.0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= share * total:
                if math.isinf(bound):
                    return lower
                return lower + (bound - lower) * (share * total - below) / (count - below)
            below, lower = count, bound
        return lower


@dataclass(frozen=True)
class Scrape:
    """One reading of the server's metrics.

    Attributes:
        traffic: By version and role.
        serving: The versions that answer now, with their roles.
        cpu_seconds: That all workers have spent; 0 if the server does not tell.
        resident_bytes: Memory of all workers; likewise.
    """

    traffic: Mapping[tuple[int, str], Traffic]
    serving: frozenset[tuple[int, str]]
    cpu_seconds: float = 0
    resident_bytes: float = 0

    def of(self, version: int, role: str) -> Traffic:
        """Return the traffic of a version in a role; nothing if there was none."""
        return self.traffic.get((version, role), Traffic())


def parse_metrics(text: str) -> Scrape:
    """Read the server's metrics.

    Args:
        text: In Prometheus' text format.

    Raises:
        ValueError: If it is no such text.
    """
    answers: dict[tuple[int, str], float] = {}
    errors: dict[tuple[int, str], float] = {}
    rows: dict[tuple[int, str], float] = {}
    buckets: dict[tuple[int, str], dict[float, float]] = {}
    spent = {_CPU: 0.0, _RESIDENT: 0.0}
    serving = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if sample.name in spent:
                spent[sample.name] += sample.value
            if not labels.get("version", "").isdigit():
                continue
            key = int(labels["version"]), labels.get("role", "")
            if sample.name == _ANSWERS:
                answers[key] = answers.get(key, 0) + sample.value
            elif sample.name == _ERRORS:
                errors[key] = errors.get(key, 0) + sample.value
            elif sample.name == _ROWS:
                rows[key] = rows.get(key, 0) + sample.value
            elif sample.name == _SECONDS:
                counts = buckets.setdefault(key, {})
                bound = float(labels["le"])
                counts[bound] = counts.get(bound, 0) + sample.value
            elif sample.name == _INFO and sample.value:
                serving.add(key)
    keys = {*answers, *errors, *buckets}
    return Scrape(
        traffic={
            key: Traffic(
                answers.get(key, 0), errors.get(key, 0), buckets.get(key, {}), rows.get(key, 0)
            )
            for key in keys
        },
        serving=frozenset(serving),
        cpu_seconds=spent[_CPU],
        resident_bytes=spent[_RESIDENT],
    )


def _increase(before: float, after: float) -> float:
    return after - before if after >= before else after
