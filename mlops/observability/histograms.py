"""Percentiles and shares from the buckets of the server's histograms, as Prometheus reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mlops.datasets.answers import PREDICTION
from mlops.observability.serving_samples import PREDICTION_BUCKET
from mlops.serving.answers.metrics import SECONDS

if TYPE_CHECKING:
    from mlops.monitoring.reference.profile import ReferenceProfile

LATENCY: Final = "seconds_bucket"


def latency_buckets(grown: pd.DataFrame) -> pd.DataFrame:
    """Return the buckets of the time in the server, seconds; see `prediction_buckets`."""
    return _buckets(grown, LATENCY, SECONDS)


def prediction_buckets(grown: pd.DataFrame, bounds: Sequence[float]) -> pd.DataFrame:
    """Return the buckets of predictions.

    Args:
        grown: From `mlops.observability.serving_samples.increases`, of one version and role.
        bounds: `Dataset.answer_bounds`: counters that have not grown are not stored.

    Returns:
        ``low`` (of the first 0, or infinite if there are negative bounds), ``high`` (infinite in
        the last) and ``count``, ascending; zeros if it is empty.
    """
    return _buckets(grown, PREDICTION_BUCKET, bounds)


def _buckets(grown: pd.DataFrame, metric: str, bounds: Sequence[float]) -> pd.DataFrame:
    below = grown[grown["metric"] == metric].groupby("le")["value"].sum().astype("float64")
    below.index = pd.Index([float(bound) for bound in below.index], dtype="float64")
    high = sorted({*bounds, math.inf, *below.index})
    counted = below.sort_index().reindex(high).ffill().fillna(0.0).to_numpy()
    return pd.DataFrame({"low": _lows(high), "high": high, "count": np.diff(counted, prepend=0.0)})


def _lows(high: Sequence[float]) -> list[float]:
    """Return where buckets begin; the first as Prometheus takes it."""
    return [0.0 if high[0] > 0 else -math.inf, *high[:-1]]


def quantile(of: pd.DataFrame, level: float) -> float:
    """Return a quantile, linear within its bucket; NaN without observations.

    As ``histogram_quantile`` in prometheus.io/docs/prometheus/latest/querying/functions; above the
    last finite bound it is that bound.

    Args:
        of: From `latency_buckets`.
        level: From 0 to 1.
    """
    below = of["count"].cumsum().to_numpy()
    if not below[-1]:
        return math.nan
    place = int(np.searchsorted(below, level * below[-1]))
    low, high, count = of.iloc[place]
    if math.isinf(high):
        return float(low)
    return float(high - (high - low) * (below[place] - level * below[-1]) / count)


def percentiles_ms(grown: pd.DataFrame) -> dict[str, float]:
    """Return ``p50_ms``, ``p95_ms`` and ``p99_ms`` of the time in the server."""
    of = latency_buckets(grown)
    return {f"p{percent}_ms": quantile(of, percent / 100) * 1_000 for percent in (50, 95, 99)}


def reference_shares(profile: ReferenceProfile, bounds: Sequence[float]) -> pd.DataFrame | None:
    """Return the predictions of a version's reference in the buckets of the server.

    Args:
        profile: Of the version.
        bounds: As of `prediction_buckets`.

    Returns:
        ``low``, ``high``, ``share`` and ``rows`` (of all buckets); None if it has no predictions.
    """
    table = next((each for each in profile.features if each.name == PREDICTION), None)
    counts = np.array(table.counts if table else [[0.0]], dtype=np.float64).sum(axis=0)[:-1]
    if table is None or not counts.sum():
        return None
    points = [profile.shortest, *table.points, profile.longest]
    high = [*bounds, math.inf]
    below: Any = np.interp(high, points, np.append(0.0, np.cumsum(counts) / counts.sum()))
    return pd.DataFrame(
        {
            "low": _lows(high),
            "high": high,
            "share": np.diff(below, prepend=0.0),
            "rows": counts.sum(),
        }
    )
