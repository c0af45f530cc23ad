"""What the online server counted, moment by moment of the last day: few numbers, never answers.

Its counters are kept as they were read, as Prometheus keeps them: what happened in between is a
difference, whatever was restarted or missed. The file of the table is the only memory.
"""

from __future__ import annotations

import urllib.request
from datetime import datetime, timedelta
from typing import Any, Final

import pandas as pd

from mlops.observability.memory import Stamp, WorldPart
from mlops.observability.world import ObservedWorld, frame_of

TABLE: Final = "serving_samples"
LABELS: Final = ("endpoint", "status", "version", "role", "error", "le")
SAMPLES: Final = {
    "at": "datetime64[us, UTC]",
    "metric": "object",  # without its prefix
    **dict.fromkeys(LABELS, "object"),  # empty where the metric has no such label
    "value": "float64",
}
SERIES: Final = ["metric", *LABELS]
KEPT: Final = timedelta(hours=24)
# The older, the fewer: from this age on one sample per so long is kept.
_STEPS: Final = (
    (timedelta(0), "10s"),
    (timedelta(minutes=10), "1min"),
    (timedelta(hours=2), "10min"),
)
_SECONDS_TO_ANSWER: Final = 2.0
_PREFIX: Final = "mlops_serving_"
PREDICTION_BUCKET: Final = "prediction_bucket"
PREDICTION_SUM: Final = "prediction_sum"
# Present values; all others are counters.
GAUGES: Final = ("model_info", "follower_problem")
_WANTED: Final = (
    *GAUGES,
    "requests_total",
    "errors_total",
    "seconds_bucket",
    PREDICTION_BUCKET,
    PREDICTION_SUM,
    "log_dropped_total",
    "shadow_dropped_total",
)

Counts = tuple[tuple[Any, ...], ...]


def scrape(url: str) -> Counts:
    """Return the server's counts, empty if it does not answer.

    Args:
        url: Of its metrics, without the path.

    Returns:
        Values of `SERIES` and the number, one entry per series that is not zero.
    """
    # No proxy stands between an observer and its server.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/metrics", timeout=_SECONDS_TO_ANSWER) as reply:
            return parse(reply.read().decode())
    except (OSError, ValueError):
        return ()


def parse(text: str) -> Counts:
    """Read Prometheus' text format; see `scrape`.

    Raises:
        ValueError: If it is no such text.
    """
    from prometheus_client.parser import text_string_to_metric_families

    found = (
        (sample.name.removeprefix(_PREFIX), *(sample.labels.get(n, "") for n in LABELS), value)
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
        if (value := float(sample.value))
    )
    return tuple(sorted(entry for entry in found if entry[0] in _WANTED))


def with_counts(samples: pd.DataFrame, counts: Counts, now: datetime) -> pd.DataFrame:
    """Add what was counted just now and drop what is old or too close together.

    Args:
        samples: `SAMPLES` so far.
        counts: From `scrape`.
        now: With time zone.
    """
    added = pd.DataFrame(list(counts), columns=[*SERIES, "value"]).assign(at=pd.Timestamp(now))
    parts = [part for part in (samples, added) if len(part)]
    if not parts:
        return frame_of([], SAMPLES)
    every = pd.concat(parts)[list(SAMPLES)].astype(SAMPLES)
    return thinned(every[every["at"] > pd.Timestamp(now - KEPT)], now)


def thinned(samples: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Keep the last sample of every ten seconds, of every minute, and of every ten by their age."""
    at = samples["at"]
    place = at
    for age, step in _STEPS:
        # From a whole step on, so that samples never move from one to another.
        place = place.where(at >= pd.Timestamp(now - age).floor(step), at.dt.floor(step))
    last = at.groupby(place).transform("max")
    return samples[at == last].reset_index(drop=True)


def increases(samples: pd.DataFrame) -> pd.DataFrame:
    """Return how much each counter grew from sample to sample.

    A counter that is lower than before counts from zero, as in Prometheus' ``increase``. Sums of
    predictions may fall, so these count from zero when there are fewer predictions than before.

    Args:
        samples: `SAMPLES`.

    Returns:
        ``at`` (of the later sample), ``seconds`` since the earlier one, `SERIES` and ``value``;
        only what changed.
    """
    counters = samples[~samples["metric"].isin(GAUGES)]
    times = pd.DatetimeIndex(samples["at"].unique(), name="at").sort_values()
    wide = counters.pivot(index="at", columns=SERIES, values="value")
    wide = wide.reindex(times).fillna(0.0).sort_index(axis=1)
    grown = wide.diff().iloc[1:]
    restarted = grown < 0
    every: Any = wide.columns  # tuples of `SERIES`
    for series in every:
        if series[0] == PREDICTION_SUM:
            count = (PREDICTION_BUCKET, *series[1:-1], "+Inf")
            restarted[series] = restarted[count] if count in wide else False
    grown = grown.mask(restarted, wide.iloc[1:])
    long = grown.melt(ignore_index=False, value_name="value").reset_index()
    seconds = pd.Series((times[1:] - times[:-1]).total_seconds(), times[1:])
    long = long[long["value"] != 0].reset_index(drop=True)
    return long.assign(seconds=long["at"].map(seconds).astype("float64"))


def _counts(world: ObservedWorld) -> Counts:
    return scrape(world.settings.serving_metrics_url)


def _stand(world: ObservedWorld) -> Stamp:
    counts = world.stamp(_counts)
    # Nothing counted for a minute is worth a sample as well, but not while nobody answers.
    return counts, int(world.at.timestamp() // 60) if counts else 0


def _read(world: ObservedWorld) -> pd.DataFrame:
    try:
        before = pd.read_parquet(world.settings.observed / f"{TABLE}.parquet")
        before = before[list(SAMPLES)].astype(SAMPLES)
    except (OSError, KeyError, ValueError, TypeError):  # none yet, or an older version's
        before = frame_of([], SAMPLES)
    return with_counts(before, _counts_of(world), world.at)


def _counts_of(world: ObservedWorld) -> Counts:
    counts: Any = world.stamp(_counts)
    found: Counts = counts
    return found


READ_SAMPLES: Final = WorldPart("serving samples", _read, _stand)
READ_INCREASES: Final = WorldPart(
    "serving increases", lambda world: increases(world.read(READ_SAMPLES)), READ_SAMPLES.stamp
)
