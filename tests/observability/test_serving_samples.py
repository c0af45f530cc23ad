"""The memory of the server's counters: bounded, and true about what happened in between."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.observability.serving_samples import (
    KEPT,
    LABELS,
    SAMPLES,
    Counts,
    increases,
    parse,
    scrape,
    thinned,
    with_counts,
)
from mlops.observability.world import frame_of

NOW = datetime(2024, 3, 10, 12, tzinfo=timezone.utc)
METRICS = """
# TYPE mlops_serving_requests counter
mlops_serving_requests_total{endpoint="/predict",status="200"} 7.0
mlops_serving_requests_total{endpoint="/predict",status="422"} 0.0
# TYPE mlops_serving_seconds histogram
mlops_serving_seconds_bucket{le="0.001",role="champion",version="3"} 5.0
mlops_serving_seconds_bucket{le="+Inf",role="champion",version="3"} 7.0
mlops_serving_seconds_count{role="champion",version="3"} 7.0
# TYPE python_info gauge
python_info{version="3"} 1.0
"""


def count(value: float, metric: str = "requests_total", **labels: str) -> Counts:
    """Return one series as `scrape` tells it."""
    return ((metric, *(labels.get(name, "") for name in LABELS), value),)


def sampled(*values: tuple[float, float]) -> pd.DataFrame:
    """Return the samples of one counter: seconds before now and value, the oldest first."""
    samples = frame_of([], SAMPLES)
    for seconds, value in values:
        samples = with_counts(samples, count(value), NOW - timedelta(seconds=seconds))
    return samples


def test_only_what_dashboards_need_and_what_is_not_zero_is_kept() -> None:
    found = parse(METRICS)

    assert found == (
        ("requests_total", "/predict", "200", "", "", "", "", 7.0),
        ("seconds_bucket", "", "", "3", "champion", "", "+Inf", 7.0),
        ("seconds_bucket", "", "", "3", "champion", "", "0.001", 5.0),
    )


def test_a_server_that_does_not_answer_counts_nothing() -> None:
    assert scrape("http://127.0.0.1:9") == ()  # the port for discarding


def test_what_happened_between_samples_is_their_difference() -> None:
    found = increases(sampled((120, 10), (60, 25), (0, 25)))

    assert found[["seconds", "value"]].to_numpy().tolist() == [[60, 15]]


def test_a_restarted_server_counts_from_zero() -> None:
    found = increases(sampled((120, 10), (60, 4), (0, 5)))

    assert found["value"].tolist() == [4, 1]


def test_a_sum_of_predictions_may_fall_and_restarts_with_their_number() -> None:
    # given negative predictions, and a restart after which a positive one is counted
    samples = frame_of([], SAMPLES)
    for age, number, summed in ((180, 2, -10.0), (120, 3, -30.0), (60, 1, 4.0), (0, 2, 1.0)):
        counts = (
            *count(number, "prediction_bucket", version="2", role="canary", le="+Inf"),
            *count(summed, "prediction_sum", version="2", role="canary"),
        )
        samples = with_counts(samples, counts, NOW - timedelta(seconds=age))

    found = increases(samples).set_index("metric")["value"]

    assert found["prediction_bucket"].tolist() == [1, 1, 1]
    assert found["prediction_sum"].tolist() == [-20, 4, -3]


def test_a_counter_that_appears_counts_from_zero_but_the_first_sample_says_nothing() -> None:
    samples = with_counts(frame_of([], SAMPLES), count(9), NOW - timedelta(minutes=2))
    both = (*count(9), *count(2, "errors_total", version="2", role="canary", error="load"))
    samples = with_counts(samples, both, NOW)

    assert increases(samples[samples["at"] < NOW]).empty
    found: Any = increases(samples).iloc[0]
    assert (found["metric"], found["version"], found["value"]) == ("errors_total", "2", 2)


@given(steps=st.lists(st.tuples(st.floats(5, 3_000), st.integers(0, 50)), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_thinning_loses_no_request_and_keeps_the_newest_sample(
    steps: list[tuple[float, int]],
) -> None:
    # given a counter that grew at any times of the last day
    ages = [0.0]
    for seconds, _ in steps[1:]:
        ages.append(ages[-1] + seconds)
    grown = [growth for _, growth in steps]
    values = pd.Series(grown).cumsum() + 1.0
    rows: list[dict[str, Any]] = [
        {"at": NOW - timedelta(seconds=age), "metric": "requests_total", "value": value}
        for age, value in zip(reversed(ages), values, strict=True)
        if age < KEPT.total_seconds()
    ]
    samples = frame_of(rows, SAMPLES).fillna(dict.fromkeys(LABELS, ""))

    # when samples are thinned
    kept = thinned(samples, NOW)

    # then what was counted from the first that is kept on is still there, up to the last
    assert kept["at"].max() == samples["at"].max()
    first = kept["value"].iloc[0]
    assert increases(kept)["value"].sum() == samples["value"].iloc[-1] - first
    assert thinned(kept, NOW).equals(kept)


def test_a_day_of_samples_stays_small() -> None:
    # given a server asked every fifteen seconds for more than a day
    start = NOW - KEPT - timedelta(hours=2)
    times = pd.date_range(start, NOW, freq="15s")
    rows = [{"at": at, "metric": "requests_total", "value": i} for i, at in enumerate(times)]
    samples = frame_of(rows, SAMPLES).fillna(dict.fromkeys(LABELS, ""))

    kept = with_counts(samples, count(1e6), NOW + timedelta(seconds=15))

    assert len(kept) < 320
    assert kept["at"].min() > NOW - KEPT - timedelta(minutes=10)
    # the present in detail, the past in outline
    gaps = kept["at"].astype("int64").diff() / 1e6
    assert gaps.tail(10).max() <= 15
    assert 590 < gaps.iloc[2:20].median() < 610
