"""The tables behind the dashboard Serving: what the online server does, by its own counters.

Predictions are compared by the server's histograms, which hold every one of them, rather than by
its log: a busy day's log has millions of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mlops.observability.histograms import (
    LATENCY,
    PREDICTION,
    buckets,
    percentiles_ms,
    reference_shares,
)
from mlops.observability.memory import Part, Stamp, stamp_of
from mlops.observability.serving_samples import (
    READ_SAMPLES,
    SAMPLES,
    TABLE,
    increases,
)
from mlops.observability.table import Table
from mlops.observability.world import World, frame_of

if TYPE_CHECKING:
    from mlops.monitoring.profile import ReferenceProfile
    from mlops.serving.state import ServingState

_TIME: Final = "datetime64[us, UTC]"
_WHO: Final = {"version": "int64", "role": "object"}  # champion, canary or shadow
_PRESENT: Final = timedelta(minutes=5)
# Samples further apart say nothing about the minutes between them.
_GAP_SECONDS: Final = 900
CHAMPION: Final = "champion"
REFERENCE: Final = "reference"

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
    **_WHO,
    "requests": "float64",
    "p50_ms": "float64",
    "p95_ms": "float64",
    "p99_ms": "float64",
}
ERRORS: Final = {"at": _TIME, "kind": "object", "count": "float64"}
PREDICTIONS: Final = {
    **_WHO,  # and `REFERENCE`, of the champion
    "low": "float64",  # minutes
    "high": "float64",  # infinite in the last
    "share": "float64",
    "trips": "float64",
}
COMPARISON: Final = {
    **_WHO,
    "family": "object",
    "since": _TIME,  # both answered from here on
    "until": _TIME,
    "requests": "float64",
    "share": "float64",
    "errors": "float64",
    "error_share": "float64",
    "p50_ms": "float64",
    "p95_ms": "float64",
    "p99_ms": "float64",
    "mean_minutes": "float64",
}


def samples(world: World) -> pd.DataFrame:
    """Return the counters as they were read: the memory of all tables below."""
    return world.read(READ_SAMPLES)


def serving_now(world: World) -> pd.DataFrame:
    """Return what is served now and how it does: one row, or none if no server was ever seen."""
    known, grown = world.read(READ_SAMPLES), _grown(world)
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
        "champion_family": _family(world, champion),
        "champion_since": state.champion.since if state and state.champion else None,
        "beside": beside,
        "beside_family": _family(world, beside),
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


def requests(world: World) -> pd.DataFrame:
    """Return requests per second by endpoint and status, zeros between them included."""
    every = _grown(world)
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


def latency(world: World) -> pd.DataFrame:
    """Return percentiles of the time in the server, by sample, version and role."""
    grown = _grown(world)
    rows = []
    for (at, version, role), own in _by(grown, ["at", "version", "role"]):
        requests = buckets(own, LATENCY)["count"].sum()
        if requests:
            key = {"at": at, **_key(version, role)}
            rows.append({**key, "requests": requests, **percentiles_ms(own)})
    return frame_of(rows, LATENCY_COLUMNS)


def errors(world: World) -> pd.DataFrame:
    """Return what failed, by kind: answers other than 2xx, and failures of a model."""
    grown = _grown(world)
    refused = grown[(grown["metric"] == "requests_total") & ~grown["status"].str.startswith("2")]
    failed = grown[grown["metric"] == "errors_total"]
    models = failed["error"] + " in version " + failed["version"] + ", " + failed["role"]
    kinds = (
        refused.assign(kind=refused["status"] + " " + refused["endpoint"]),
        failed.assign(kind=models),
    )
    return pd.concat(kinds).rename(columns={"value": "count"}).sort_values("at")


def predictions(world: World) -> pd.DataFrame:
    """Return how predictions are distributed: of each version in each role, and of the reference.

    While a canary or shadow answers, only of the minutes in which it did.
    """
    parts = []
    for (version, role), own in _by(_compared(_grown(world)), ["version", "role"]):
        found = buckets(own, PREDICTION)
        trips = found["count"].sum()
        if trips:
            shares = found.assign(share=found["count"] / trips, trips=trips)
            parts.append(shares.assign(**_key(version, role)))
            reference = _reference(world, int(version)) if role == CHAMPION else None
            if reference is not None:
                parts.append(reference.assign(**_key(version, REFERENCE)))
    return pd.concat(parts) if parts else frame_of([], PREDICTIONS)


def comparison(world: World) -> pd.DataFrame:
    """Return each version that answered in the last day, the champion first.

    While a canary or shadow answers, only of the minutes in which it did.
    """
    grown = _compared(_grown(world))
    rows = []
    for (version, role), own in _by(grown, ["version", "role"]):
        answered = buckets(own, LATENCY)["count"].sum()
        failed = own[own["metric"] == "errors_total"]["value"].sum()
        predicted = buckets(own, PREDICTION)["count"].sum()
        minutes = own[own["metric"] == "prediction_minutes_sum"]["value"].sum()
        rows.append(
            {
                **_key(version, role),
                "family": _family(world, int(version)),
                "since": grown["at"].min(),
                "until": grown["at"].max(),
                "requests": answered + failed,
                "errors": failed,
                "error_share": failed / max(answered + failed, 1),
                "mean_minutes": minutes / predicted if predicted else None,
                **percentiles_ms(own),
            }
        )
    total = sum(row["requests"] for row in rows if row["role"] != "shadow")
    shares = [{**row, "share": row["requests"] / max(total, 1)} for row in rows]
    return frame_of(sorted(shares, key=lambda row: row["role"] != CHAMPION), COMPARISON)


def _grown(world: World) -> pd.DataFrame:
    return world.read(_GROWN)


def _compared(grown: pd.DataFrame) -> pd.DataFrame:
    """Keep the minutes in which the newest version beside the champion answered, if any did."""
    by_version = grown[grown["version"] != ""]
    beside = by_version[by_version["role"] != CHAMPION]
    if beside.empty:
        return by_version
    newest = beside[beside["version"] == beside.loc[beside["at"].idxmax(), "version"]]
    return by_version[by_version["at"].isin(newest["at"].unique())]


def _by(grown: pd.DataFrame, columns: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    of_versions = grown[grown["version"].str.isdigit()]
    for key, own in of_versions.groupby(columns):
        yield key if isinstance(key, tuple) else (key,), own


def _key(version: str, role: str) -> dict[str, Any]:
    return {"version": int(version), "role": role}


def _held(last: pd.DataFrame) -> list[tuple[int, str]]:
    held = last[last["metric"] == "model_info"]
    return [(int(v), str(r)) for v, r in zip(held["version"], held["role"], strict=True)]


def _family(world: World, version: int | None) -> str:
    info = world.version(version) if version is not None else None
    return info.receipt.family if info and info.receipt else ""


def _reference(world: World, champion: int) -> pd.DataFrame | None:
    info = world.version(champion)
    run_id = info.run_id if info else ""

    def read(world: World) -> ReferenceProfile | None:
        from mlops.registry.profiles import profile_at_hand

        return profile_at_hand(world.settings, run_id)

    def stand(world: World) -> Stamp:
        from mlops.registry.profiles import profile_copy

        return stamp_of(profile_copy(world.settings, run_id))

    profile = world.read(Part(f"profile of {run_id}", read, stand))
    return reference_shares(profile) if profile else None


def _read_state(world: World) -> ServingState | None:
    from mlops.serving.state import read_state

    try:
        return read_state(world.settings.served)
    except ValueError:
        return None


_STATE: Final = Part("serving state", _read_state, lambda world: stamp_of(world.settings.served))
_GROWN: Final = Part(
    "serving increases",
    lambda world: increases(world.read(READ_SAMPLES)),
    READ_SAMPLES.stamp,
)

TABLES: Final[Mapping[str, Table]] = {
    TABLE: Table(SAMPLES, samples),
    "serving_now": Table(NOW, serving_now),
    "serving_requests": Table(REQUESTS, requests),
    "serving_latency": Table(LATENCY_COLUMNS, latency),
    "serving_errors": Table(ERRORS, errors),
    "serving_predictions": Table(PREDICTIONS, predictions),
    "serving_comparison": Table(COMPARISON, comparison),
}
