"""Percentiles and shares from buckets."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.deployment.traffic import Traffic
from mlops.observability.histograms import LATENCY, PREDICTION, buckets, percentiles_ms, quantile
from mlops.serving.metrics import SECONDS


def grown(values: list[float], metric: str = LATENCY) -> pd.DataFrame:
    """Return the counters of a histogram after these observations; zeros are not told."""
    bounds = [*SECONDS, math.inf]
    counts = [(bound, sum(value <= bound for value in values)) for bound in bounds]
    rows = [
        {"metric": metric, "le": "+Inf" if math.isinf(bound) else str(bound), "value": count}
        for bound, count in counts
        if count
    ]
    return pd.DataFrame(rows, columns=["metric", "le", "value"])


@given(values=st.lists(st.floats(1e-6, 10), min_size=1, max_size=50), level=st.floats(0.01, 1))
def test_quantiles_are_those_that_a_deployment_measures(values: list[float], level: float) -> None:
    counters = grown(values)
    of = buckets(counters, LATENCY)
    below = np.cumsum(of["count"])
    traffic = Traffic(buckets=dict(zip(of["high"], below, strict=True)))

    assert of["count"].sum() == len(values)
    assert quantile(of, level) == pytest.approx(traffic.quantile_seconds(level))


def test_a_fast_bucket_begins_where_the_server_begins_it() -> None:
    # given answers that all took between 1.5 and 2 milliseconds
    found = percentiles_ms(grown([0.0016, 0.0018, 0.0019]))

    assert all(1.5 <= value <= 2.0 for value in found.values())


def test_nothing_observed_has_no_quantile() -> None:
    of = buckets(grown([]), PREDICTION)

    assert of["count"].sum() == 0
    assert math.isnan(quantile(of, 0.5))
