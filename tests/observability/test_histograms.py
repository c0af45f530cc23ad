"""Percentiles and shares from buckets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.declared.dataset import DeclaredDataset
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.features.calendar import NUMBER_OF_BANDS
from mlops.datasets.taxi.watched.watching import FEATURES
from mlops.deployment.traffic import Traffic
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.reference.tables import FeatureCounts
from mlops.observability.histograms import (
    LATENCY,
    latency_buckets,
    percentiles_ms,
    prediction_buckets,
    quantile,
    reference_shares,
)
from mlops.observability.serving_samples import PREDICTION_BUCKET
from mlops.serving.answers.metrics import SECONDS

BOUNDS = TaxiTrips.answer_bounds


def grown(
    values: list[float], metric: str = LATENCY, bounds: Sequence[float] = SECONDS
) -> pd.DataFrame:
    """Return the counters of a histogram after these observations; zeros are not told."""
    counts = [(bound, sum(value <= bound for value in values)) for bound in (*bounds, math.inf)]
    rows = [
        {"metric": metric, "le": "+Inf" if math.isinf(bound) else str(bound), "value": count}
        for bound, count in counts
        if count
    ]
    return pd.DataFrame(rows, columns=["metric", "le", "value"])


@given(values=st.lists(st.floats(1e-6, 10), min_size=1, max_size=50), level=st.floats(0.01, 1))
def test_quantiles_are_those_that_a_deployment_measures(values: list[float], level: float) -> None:
    counters = grown(values)
    of = latency_buckets(counters)
    below = np.cumsum(of["count"])
    traffic = Traffic(buckets=dict(zip(of["high"], below, strict=True)))

    assert of["count"].sum() == len(values)
    assert quantile(of, level) == pytest.approx(traffic.quantile_seconds(level))


def test_a_fast_bucket_begins_where_the_server_begins_it() -> None:
    # given answers that all took between 1.5 and 2 milliseconds
    found = percentiles_ms(grown([0.0016, 0.0018, 0.0019]))

    assert all(1.5 <= value <= 2.0 for value in found.values())


def test_nothing_observed_has_no_quantile() -> None:
    of = prediction_buckets(grown([]), BOUNDS)

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

    found = reference_shares(profile_of(minutes), BOUNDS)

    # then each bucket has about the share that counting them gives
    assert found is not None
    counted, _ = np.histogram(minutes, [0.0, *BOUNDS, math.inf])
    assert found["share"].sum() == pytest.approx(1)
    np.testing.assert_allclose(found["share"], counted / len(minutes), atol=0.02)
    assert found["rows"].iloc[0] == len(minutes)


def test_the_first_bucket_of_answers_that_may_be_negative_has_no_beginning() -> None:
    bounds = DeclaredDataset.answer_bounds
    assert list(bounds) == sorted({*bounds})
    assert bounds[0] == -bounds[-1] == -1_000_000 and {-0.2, 0.0, 0.1, 50_000} <= {*bounds}

    found = prediction_buckets(grown([-2e6, -3.0, 7.0, 3e6], PREDICTION_BUCKET, bounds), bounds)

    first, last = found.iloc[0], found.iloc[-1]
    assert (first["low"], first["high"], first["count"]) == (-math.inf, -1e6, 1)
    assert (last["low"], last["high"], last["count"]) == (1e6, math.inf, 1)
    inside = found[found["count"] > 0].iloc[1:-1]
    assert inside[["low", "high"]].to_numpy().tolist() == [[-5, -2], [5, 10]]


def test_a_reference_without_predictions_has_none() -> None:
    assert reference_shares(profile_of(np.empty(0)), BOUNDS) is None
