"""Percentiles and shares from buckets."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS
from mlops.datasets.taxi.watched.watching import FEATURES
from mlops.deployment.traffic import Traffic
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.reference.tables import FeatureCounts
from mlops.observability.histograms import (
    LATENCY,
    PREDICTION,
    buckets,
    percentiles_ms,
    quantile,
    reference_shares,
)
from mlops.serving.answers.metrics import MINUTES, SECONDS


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


def profile_of(minutes: np.ndarray[tuple[int], np.dtype[np.float64]]) -> ReferenceProfile:
    """Return a reference of these predictions, or one that has none."""
    found = []
    for feature in FEATURES:
        if feature.name == "prediction_minutes" and len(minutes):
            table = FeatureCounts.of(feature, minutes)
            stratum = np.arange(len(minutes)) % NUMBER_OF_BANDS
            found.append(table.counting(table.codes(minutes), stratum, NUMBER_OF_BANDS))
    at = datetime(2024, 3, 1)
    return ReferenceProfile(
        version="1",
        created_at=at.replace(tzinfo=timezone.utc),
        start=at,
        end=at,
        tested_from=at,
        rows=len(minutes),
        shortest=1.0,
        longest=60.0,
        features=tuple(found),
        shares=(),
        errors=(),
    )


def test_a_reference_is_brought_into_the_buckets_of_the_server() -> None:
    # given predictions of all sizes
    minutes = np.random.default_rng(1).lognormal(2.5, 0.6, 20_000).clip(1, 60)

    found = reference_shares(profile_of(minutes))

    # then each bucket has about the share that counting them gives
    assert found is not None
    counted, _ = np.histogram(minutes, [0.0, *MINUTES, math.inf])
    assert found["share"].sum() == pytest.approx(1)
    np.testing.assert_allclose(found["share"], counted / len(minutes), atol=0.02)
    assert found["rows"].iloc[0] == len(minutes)


def test_a_reference_without_predictions_has_none() -> None:
    assert reference_shares(profile_of(np.empty(0))) is None
