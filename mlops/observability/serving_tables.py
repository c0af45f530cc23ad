"""The tables behind the dashboard Serving: what the online server does, by its own counters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd

from mlops.observability.histograms import latency_buckets, percentiles_ms
from mlops.observability.memory import WorldPart, stamp_of
from mlops.observability.serving_samples import READ_INCREASES, READ_SAMPLES, SAMPLES, TABLE
from mlops.observability.serving_versions import (
    CHAMPION,
    COMPARISON,
    PREDICTIONS,
    WHO,
    by_version,
    comparison,
    family_of,
    key_of,
    predictions,
)
from mlops.observability.table import ObservedTable
from mlops.observability.world import ObservedWorld, frame_of

if TYPE_CHECKING:
    from mlops.serving.answers.state import ServingState

_TIME: Final = "datetime64[us, UTC]"
_PRESENT: Final = timedelta(minutes=5)
# Samples further apart say nothing about the minutes between them.
_GAP_SECONDS: Final = 900

NOW: Final = {
    "at": _TIME,  # of the last answer of its metrics
    "up": "bool",
    "champion": "float64",  # version; NaN if none is served
    "champion_family": "object",
    "champion_since": _TIME,
    "beside": "float64",  # version of the canary or shadow; NaN without
    "beside_family": "object",
    "mode": "object",
    "percent": "float64",
    "until": _TIME,
    "problem": "object",  # why the registry is not followed
    "per_second": "float64",  # requests, in the last minutes
    "failed_share": "float64",  # answers 5xx of these
    "p50_ms": "float64",
    "p99_ms": "float64",
    "log_dropped": "float64",  # in the last day
    "shadow_dropped": "float64",
}
REQUESTS: Final = {
    "at": _TIME,
    "endpoint": "object",
    "status": "object",
    "per_second": "float64",
}
LATENCY_COLUMNS: Final = {
    "at": _TIME,
    **WHO,
    "requests": "float64",
    "p50_ms": "float64",
    "p95_ms": "float64",
    "p99_ms": "float64",
}
ERRORS: Final = {"at": _TIME, "kind": "object", "count": "float64"}


def samples(world: ObservedWorld) -> pd.DataFrame:
    """Return the counters as they were read: the memory of all tables below."""
    return world.read(READ_SAMPLES)


def serving_now(world: ObservedWorld) -> pd.DataFrame:
    """Return what is served now and how it does: one row, or none if no server was ever seen."""
    known, grown = world.read(READ_SAMPLES), world.read(READ_INCREASES)
    if known.empty:
        return frame_of([], NOW)
    last = known["at"].max()
    state = world.read(_STATE)
    rollout = state.rollout if state and state.rollout and not state.rollout.is_over() else None
    held = _held(known[known["at"] == last])
    recent = grown[grown["at"] > last - _PRESENT]
    requests = recent[recent["metric"] == "requests_total"]
    failed = requests[requests["status"].str.startswith("5")]["value"].sum()
    seconds = recent.drop_duplicates("at")["seconds"].sum()
    champion = next((version for version, role in held if role == CHAMPION), None)
    beside, mode = next((each for each in held if each[1] != CHAMPION), (None, ""))
    row = {
        "at": last,
        "up": world.stamp(READ_SAMPLES.stamp) != ((), 0),
        "champion": champion,
        "champion_family": family_of(world, champion),
        "champion_since": state.champion.since if state and state.champion else None,
        "beside": beside,
        "beside_family": family_of(world, beside),
        "mode": mode,
        "percent": rollout.percent if rollout and mode else None,
        "until": rollout.expires_at if rollout and mode else None,
        "problem": state.problem if state else "",
        "per_second": requests["value"].sum() / seconds if seconds else None,
        "failed_share": failed / requests["value"].sum() if len(requests) else None,
        **percentiles_ms(recent[recent["role"] == CHAMPION]),
        "log_dropped": grown[grown["metric"] == "log_dropped_total"]["value"].sum(),
        "shadow_dropped": grown[grown["metric"] == "shadow_dropped_total"]["value"].sum(),
    }
    return frame_of([row], NOW)


def requests(world: ObservedWorld) -> pd.DataFrame:
    """Return requests per second by endpoint and status, zeros between them included."""
    every = world.read(READ_INCREASES)
    grown = every[(every["metric"] == "requests_total") & (every["seconds"] <= _GAP_SECONDS)]
    if grown.empty:
        return frame_of([], REQUESTS)
    rate = grown.assign(per_second=grown["value"] / grown["seconds"])
    wide = rate.pivot(index="at", columns=["endpoint", "status"], values="per_second")
    times = sorted(world.read(READ_SAMPLES)["at"].unique())
    return (
        wide.reindex(times[1:])
        .fillna(0.0)
        .melt(ignore_index=False, value_name="per_second")
        .reset_index()
    )


def latency(world: ObservedWorld) -> pd.DataFrame:
    """Return percentiles of the time in the server, by sample, version and role."""
    grown = world.read(READ_INCREASES)
    rows = []
    for (at, version, role), own in by_version(grown, ["at", "version", "role"]):
        requests = latency_buckets(own)["count"].sum()
        if requests:
            key = {"at": at, **key_of(version, role)}
            rows.append({**key, "requests": requests, **percentiles_ms(own)})
    return frame_of(rows, LATENCY_COLUMNS)


def errors(world: ObservedWorld) -> pd.DataFrame:
    """Return what failed, by kind: answers other than 2xx, and failures of a model."""
    grown = world.read(READ_INCREASES)
    refused = grown[(grown["metric"] == "requests_total") & ~grown["status"].str.startswith("2")]
    failed = grown[grown["metric"] == "errors_total"]
    models = failed["error"] + " in version " + failed["version"] + ", " + failed["role"]
    kinds = (
        refused.assign(kind=refused["status"] + " " + refused["endpoint"]),
        failed.assign(kind=models),
    )
    return pd.concat(kinds).rename(columns={"value": "count"}).sort_values("at")


def _held(last: pd.DataFrame) -> list[tuple[int, str]]:
    held = last[last["metric"] == "model_info"]
    return [(int(v), str(r)) for v, r in zip(held["version"], held["role"], strict=True)]


def _read_state(world: ObservedWorld) -> ServingState | None:
    from mlops.errors import DamagedFileError
    from mlops.serving.answers.state import read_state

    try:
        return read_state(world.settings.served)
    except DamagedFileError:  # a running server writes it anew
        return None


_STATE: Final = WorldPart(
    "serving state", _read_state, lambda world: stamp_of(world.settings.served)
)
TABLES: Final[Mapping[str, ObservedTable]] = {
    TABLE: ObservedTable(SAMPLES, samples),
    "serving_now": ObservedTable(NOW, serving_now),
    "serving_requests": ObservedTable(REQUESTS, requests),
    "serving_latency": ObservedTable(LATENCY_COLUMNS, latency),
    "serving_errors": ObservedTable(ERRORS, errors),
    "serving_predictions": ObservedTable(PREDICTIONS, predictions),
    "serving_comparison": ObservedTable(COMPARISON, comparison),
}
