"""What metrics say of versions: sums over workers and kinds, differences, quantiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.deployment.traffic import Traffic, parse_metrics

TEXT = """\
# TYPE mlops_serving_answers_total counter
mlops_serving_answers_total{role="champion",version="1"} 90.0
mlops_serving_answers_total{role="canary",version="2"} 10.0
# TYPE mlops_serving_errors_total counter
mlops_serving_errors_total{error="exception",role="canary",version="2"} 1.0
mlops_serving_errors_total{error="not_finite",role="canary",version="2"} 2.0
# TYPE mlops_serving_seconds histogram
mlops_serving_seconds_bucket{le="0.001",role="canary",version="2"} 5.0
mlops_serving_seconds_bucket{le="0.01",role="canary",version="2"} 10.0
mlops_serving_seconds_bucket{le="+Inf",role="canary",version="2"} 10.0
# TYPE mlops_serving_prediction histogram
mlops_serving_prediction_count{role="canary",version="2"} 70.0
# TYPE mlops_serving_cpu_seconds_total counter
mlops_serving_cpu_seconds_total 1.25
# TYPE mlops_serving_resident_bytes gauge
mlops_serving_resident_bytes 3.5e+07
# TYPE mlops_serving_model_info gauge
mlops_serving_model_info{role="champion",version="1"} 1.0
mlops_serving_model_info{role="canary",version="2"} 1.0
mlops_serving_model_info{role="canary",version="7"} 0.0
# TYPE mlops_serving_requests_total counter
mlops_serving_requests_total{endpoint="predict",status="200"} 100.0
"""


def test_metrics_are_read_per_version_and_role() -> None:
    scrape = parse_metrics(TEXT)

    canary = scrape.of(2, "canary")
    assert (canary.answers, canary.errors, canary.requests) == (10, 3, 13)
    assert canary.error_share == pytest.approx(3 / 13)
    assert canary.buckets == {0.001: 5, 0.01: 10, math.inf: 10}
    assert scrape.of(1, "champion").requests == 90
    assert scrape.of(1, "canary") == Traffic()
    assert scrape.of(1, "champion") == Traffic(answers=90)
    assert canary.rows == 70
    assert scrape.serving == {(1, "champion"), (2, "canary")}
    assert (scrape.cpu_seconds, scrape.resident_bytes) == (1.25, 3.5e7)


def test_what_workers_and_kinds_count_is_added_up() -> None:
    twice = parse_metrics(TEXT.replace("# TYPE", "# HELP") + TEXT)

    canary = twice.of(2, "canary")
    assert (canary.answers, canary.errors, canary.rows) == (20, 6, 140)
    assert canary.buckets == {0.001: 10, 0.01: 20, math.inf: 20}
    assert (twice.cpu_seconds, twice.resident_bytes) == (2.5, 7e7)


def test_a_quantile_is_linear_within_its_bucket() -> None:
    traffic = Traffic(buckets={1.0: 10.0, 3.0: 30.0, math.inf: 40.0})

    assert traffic.quantile_seconds(0.25) == 1.0
    assert traffic.quantile_seconds(0.5) == 2.0
    assert traffic.quantile_seconds(0.125) == 0.5
    assert traffic.quantile_seconds(0.9) == 3.0


def test_what_is_no_metrics_text_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        parse_metrics("<html>{</html>")


def test_only_what_happened_since_counts_even_after_a_restart() -> None:
    before = Traffic(answers=100, errors=5, buckets={1.0: 100, math.inf: 105})
    after = Traffic(answers=130, errors=6, buckets={1.0: 125, math.inf: 136})
    restarted = Traffic(answers=8, errors=0, buckets={1.0: 7, math.inf: 8})

    gained = after.since(before)

    assert (gained.answers, gained.errors, gained.buckets) == (30, 1, {1.0: 25, math.inf: 31})
    assert restarted.since(before) == restarted
    assert Traffic(rows=9).since(Traffic(rows=4)).rows == 5
    assert after.since(Traffic()) == after
    assert after.since(after) == Traffic(buckets={1.0: 0, math.inf: 0})


@given(
    st.lists(st.floats(0.0001, 0.9), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_a_quantile_lies_in_the_bucket_of_the_exact_one(seconds: list[float], q: float) -> None:
    bounds = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0]
    counts = {bound: float(sum(s <= bound for s in seconds)) for bound in bounds}
    traffic = Traffic(buckets={**counts, math.inf: float(len(seconds))})

    found = traffic.quantile_seconds(q)

    exact = float(np.quantile(seconds, q, method="inverted_cdf"))
    upper = next(bound for bound in bounds if exact <= bound)
    lower = max([0.0, *(bound for bound in bounds if bound < exact)])
    assert found is not None
    assert lower - 1e-12 <= found <= upper + 1e-12


def test_a_quantile_of_nothing_is_none_and_beyond_the_buckets_the_last_bound() -> None:
    assert Traffic().quantile_seconds(0.95) is None
    assert Traffic(buckets={0.1: 0.0, math.inf: 3.0}).quantile_seconds(0.95) == 0.1


def test_a_version_that_only_fails_has_answered_nothing() -> None:
    line = 'mlops_serving_errors_total{error="load",role="canary",version="2"} 3.0\n'

    assert parse_metrics(line).of(2, "canary") == Traffic(errors=3)
