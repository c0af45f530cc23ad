"""The versions that the online server holds, side by side: champion, canary, shadow, reference.

Predictions are compared by the server's histograms, which hold every one of them, rather than by
its log: a busy day's log has millions of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mlops.datasets.opening import dataset_of
from mlops.observability.histograms import (
    latency_buckets,
    percentiles_ms,
    prediction_buckets,
    reference_shares,
)
from mlops.observability.memory import Stamp, WorldPart, stamp_of
from mlops.observability.serving_samples import PREDICTION_SUM, READ_INCREASES
from mlops.observability.world import ObservedWorld, frame_of

if TYPE_CHECKING:
    from mlops.monitoring.reference.profile import ReferenceProfile

_TIME: Final = "datetime64[us, UTC]"
WHO: Final = {"version": "int64", "role": "object"}  # champion, canary or shadow
CHAMPION: Final = "champion"
REFERENCE: Final = "reference"
_LATELY: Final = timedelta(hours=1)

PREDICTIONS: Final = {
    **WHO,  # and `REFERENCE`, of the champion
    "low": "float64",  # in the unit of the target; may be infinite in the first
    "high": "float64",  # infinite in the last
    "share": "float64",
    "rows": "float64",
}
COMPARISON: Final = {
    **WHO,
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
    "mean_prediction": "float64",
}


def predictions(world: ObservedWorld) -> pd.DataFrame:
    """Return how predictions are distributed: of each version in each role, and of the reference.

    While a canary or shadow answers, and for an hour after it, only of the minutes in which it did.
    """
    bounds = dataset_of(world.settings).answer_bounds
    parts = []
    for (version, role), own in by_version(
        _compared(world.read(READ_INCREASES)), ["version", "role"]
    ):
        found = prediction_buckets(own, bounds)
        rows = found["count"].sum()
        if rows:
            shares = found.assign(share=found["count"] / rows, rows=rows)
            parts.append(shares.assign(**key_of(version, role)))
            reference = _reference(world, int(version), bounds) if role == CHAMPION else None
            if reference is not None:
                parts.append(reference.assign(**key_of(version, REFERENCE)))
    return pd.concat(parts) if parts else frame_of([], PREDICTIONS)


def comparison(world: ObservedWorld) -> pd.DataFrame:
    """Return each version that answered in the last day, the champion first.

    While a canary or shadow answers, and for an hour after it, only of the minutes in which it did.
    """
    bounds = dataset_of(world.settings).answer_bounds
    grown = _compared(world.read(READ_INCREASES))
    rows = []
    for (version, role), own in by_version(grown, ["version", "role"]):
        answered = latency_buckets(own)["count"].sum()
        failed = own[own["metric"] == "errors_total"]["value"].sum()
        predicted = prediction_buckets(own, bounds)["count"].sum()
        summed = own[own["metric"] == PREDICTION_SUM]["value"].sum()
        rows.append(
            {
                **key_of(version, role),
                "family": family_of(world, int(version)),
                "since": grown["at"].min(),
                "until": grown["at"].max(),
                "requests": answered + failed,
                "errors": failed,
                "error_share": failed / max(answered + failed, 1),
                "mean_prediction": summed / predicted if predicted else None,
                **percentiles_ms(own),
            }
        )
    total = sum(row["requests"] for row in rows if row["role"] != "shadow")
    shares = [{**row, "share": row["requests"] / max(total, 1)} for row in rows]
    return frame_of(sorted(shares, key=lambda row: row["role"] != CHAMPION), COMPARISON)


def _compared(grown: pd.DataFrame) -> pd.DataFrame:
    """Keep the minutes in which a version beside the champion answered, if one lately did."""
    versions = grown[grown["version"] != ""]
    beside = versions[versions["role"] != CHAMPION]
    if beside.empty or beside["at"].max() < grown["at"].max() - _LATELY:
        return versions
    newest = beside[beside["version"] == beside.loc[beside["at"].idxmax(), "version"]]
    return versions[versions["at"].isin(newest["at"].unique())]


def _reference(world: ObservedWorld, champion: int, bounds: Sequence[float]) -> pd.DataFrame | None:
    info = world.version(champion)
    run_id = info.run_id if info else ""

    def read(world: ObservedWorld) -> ReferenceProfile | None:
        from mlops.registry.profiles import profile_at_hand

        return profile_at_hand(world.settings, run_id)

    def stand(world: ObservedWorld) -> Stamp:
        from mlops.registry.profiles import profile_copy

        return stamp_of(profile_copy(world.settings, run_id))

    profile = world.read(WorldPart(f"profile of {run_id}", read, stand))
    return reference_shares(profile, bounds) if profile else None


def by_version(
    grown: pd.DataFrame, columns: list[str]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Yield what the versions of the server counted, by some of the columns."""
    of_versions = grown[grown["version"].str.isdigit()]
    for key, own in of_versions.groupby(columns):
        yield key if isinstance(key, tuple) else (key,), own


def key_of(version: str, role: str) -> dict[str, Any]:
    """Return the columns `WHO` of a row."""
    return {"version": int(version), "role": role}


def family_of(world: ObservedWorld, version: int | None) -> str:
    """Return the family of a registered version; empty if it is not known."""
    info = world.version(version) if version is not None else None
    return info.receipt.family if info and info.receipt else ""
