"""The tables behind the dashboard Data: the training set published last, and how trips change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mlops.counting import counted
from mlops.data.months import month_bounds
from mlops.datasets.taxi.trips import (
    DISTANCE,
    PASSENGERS,
    PICKUP_AT,
    RATE_CODE,
    TARGET,
    TRIP_TYPE,
    VENDOR,
)
from mlops.observability.table import ObservedTable
from mlops.observability.world import ObservedWorld, frame_of

if TYPE_CHECKING:
    from mlops.data.references import TrainingSetManifest
    from mlops.monitoring.reference.profile import ReferenceProfile
    from mlops.monitoring.reference.tables import FeatureCounts

_OPTIONAL: Final = (DISTANCE, PASSENGERS, RATE_CODE, TRIP_TYPE, VENDOR)  # the others must be there
_NEWEST: Final = timedelta(days=7)
_BARS: Final = 26
_CATEGORIES: Final = 12  # the most frequent ones are shown by name

VOLUME: Final = {
    "month": "object",  # YYYY-MM
    "read": "int64",
    "kept": "int64",
    "quarantined": "int64",
    "synthetic": "bool",
}
RULES: Final = {
    "rule": "object",
    "action": "object",  # quarantine or flag
    "rows": "int64",
    "share": "float64",  # of the rows read
    "meaning": "object",
}
MISSING: Final = {"month": "object", "column": "object", "share": "float64"}
TRIPS: Final = {
    "hour": "datetime64[us]",  # of the city, without zone
    "window": "object",  # train, validation or test
    "trips": "int64",
    "minutes": "float64",  # mean duration
}
PROFILES: Final = {
    "feature": "object",
    "meaning": "object",
    "kind": "object",  # category or number
    "unit": "object",
    "place": "int64",  # of the bin
    "low": "float64",  # edges of a bin of numbers; a category's own value
    "high": "float64",
    "label": "object",  # of a category
    "reference": "float64",  # shares
    "now": "float64",
    "now_is": "object",  # which trips
}


def volume(world: ObservedWorld) -> pd.DataFrame:
    """Return the rows read and kept of each month of the training set."""
    manifest = world.training_set
    if manifest is None:
        return frame_of([], VOLUME)
    files = [file.model_dump(include={"month", "rows"}) for file in manifest.extraction.files]
    read = pd.DataFrame(files).groupby("month")["rows"].sum()
    kept = {part.month: part.rows for part in manifest.parts}
    rows = [
        {
            "month": month,
            "read": rows,
            "kept": kept.get(str(month), 0),
            "quarantined": rows - kept.get(str(month), 0),
            "synthetic": manifest.extraction.synthetic,
        }
        for month, rows in read.items()
    ]
    return frame_of(rows, VOLUME)


def rules(world: ObservedWorld) -> pd.DataFrame:
    """Return how often each rule of the data contract was broken, the most frequent first."""
    manifest = world.training_set
    counts = manifest.quality.rules if manifest else ()
    rows = [each.model_dump() for each in sorted(counts, key=lambda each: -each.rows)]
    return frame_of(rows, RULES)


def missing(world: ObservedWorld) -> pd.DataFrame:
    """Return the share of missing values of each column that may lack some, month by month."""
    rows = [
        {"month": month, "column": name, "share": float(trips[name].isna().mean())}
        for month, trips in _parts(world.training_set, _OPTIONAL)
        for name in _OPTIONAL
    ]
    return frame_of(rows, MISSING)


def trips(world: ObservedWorld) -> pd.DataFrame:
    """Return trips by the hour of their pickup, with the window that they belong to."""
    manifest = world.training_set
    if manifest is None:
        return frame_of([], TRIPS)
    hourly = []
    for month, found in _parts(manifest, (PICKUP_AT, TARGET)):
        start, end = month_bounds(month)
        inside = found[(found[PICKUP_AT] >= start) & (found[PICKUP_AT] < end)]
        hour = inside[PICKUP_AT].dt.floor("h").rename("hour")
        grouped = inside.groupby(hour)[TARGET].agg(trips="count", minutes="mean").reset_index()
        hourly.append(grouped)
    table = pd.concat(hourly)
    edges = np.array([manifest.validation.start, manifest.test.start], dtype="datetime64[us]")
    names = np.array(["train", "validation", "test"], dtype=object)
    place = np.searchsorted(edges, table["hour"].to_numpy(), side="right")
    return table.assign(window=names[place])


def profiles(world: ObservedWorld) -> pd.DataFrame:
    """Return the distribution of each feature: the champion's reference, and what is new.

    New are the answers of the window that was monitored last; without any, the last week of the
    training set.
    """
    profile = _reference(world)
    newest = _newest(world) if profile else None
    if profile is None or newest is None:
        return frame_of([], PROFILES)
    from mlops.datasets.opening import dataset_of

    now_is, frame = newest
    watched = dataset_of(world.settings).watching(world.settings).features
    meanings = {feature.name: feature.meaning for feature in watched}
    rows = [
        {**row, "meaning": meanings.get(table.name, table.name), "now_is": now_is}
        for table in profile.features
        if table.name in frame
        for row in _bins(table, frame[table.name].to_numpy(dtype=np.float64, na_value=np.nan))
    ]
    return frame_of(rows, PROFILES)


def _bins(table: FeatureCounts, values: Any) -> Iterator[dict[str, Any]]:
    """Yield the bins of a feature with their shares; rare categories are joined."""
    counts = np.array(table.counts, dtype=np.float64).sum(axis=0)
    reference = counts / max(counts.sum(), 1.0)
    now = np.bincount(table.codes(values), minlength=table.bins) / max(len(values), 1)
    named = {"feature": table.name, "kind": table.kind, "unit": table.unit}
    points = np.array(table.points)
    if table.kind == "number":
        edges = _even_edges(points)
        shares = zip(*(_rebinned(each, points, edges) for each in (reference, now)), strict=True)
        for place, (usual, found) in enumerate(shares):
            yield named | {
                "place": place,
                "low": edges[place],
                "high": edges[place + 1],
                "label": "",
                "reference": usual,
                "now": found,
            }
        return
    chosen = np.argsort(-np.maximum(reference, now)[: len(points)], kind="stable")[:_CATEGORIES]
    rest = np.setdiff1d(np.arange(len(points) + 1), chosen)
    shown: list[tuple[str, Any, Any]] = [(f"{points[i]:g}", points[i], [i]) for i in sorted(chosen)]
    shown += [("other", np.nan, rest), ("missing", np.nan, [len(points) + 1])]
    for place, (label, value, bins) in enumerate(shown):
        yield named | {
            "place": place,
            "low": value,
            "high": value,
            "label": label,
            "reference": reference[bins].sum(),
            "now": now[bins].sum(),
        }


def _even_edges(points: Any) -> Any:
    """Return edges of equally wide bins; the last bin is for all that is beyond the others."""
    if len(points) < 2:
        return points[:0]
    low = 0.0 if points[0] >= 0 else float(points[0])
    edges = np.linspace(low, points[-1], _BARS)
    return np.append(edges, 2 * edges[-1] - edges[-2])


def _rebinned(shares: Any, points: Any, edges: Any) -> Any:
    """Spread the shares of a feature's own bins, "missing" left out, over others.

    Within a bin values are taken to be spread evenly; those below its first edge reach
    down to the first of the others, those above the last are all in its last bin.
    """
    if not len(edges):
        return np.zeros(0)
    below = np.concatenate([[0.0], np.cumsum(shares[:-1])])
    inner = np.interp(edges[1:-1], np.concatenate([[edges[0]], points]), below[:-1])
    return np.diff(np.concatenate([[0.0], inner, below[-1:]]))


def _reference(world: ObservedWorld) -> ReferenceProfile | None:
    """Return the champion's profile if it is here; monitoring brings it."""
    from mlops.registry.profiles import profile_at_hand

    return profile_at_hand(world.settings, world.champion.run_id) if world.champion else None


def _newest(world: ObservedWorld) -> tuple[str, pd.DataFrame] | None:
    """Return the newest trips, and in words which they are."""
    served = [record for record in world.windows if record.origin == "served"]
    if served:
        from mlops.serving.log.reading import read_log

        last = served[-1]
        answers = read_log(world.settings, last.start, last.end)
        answers = answers[(answers["version"] == last.version) & (answers["role"] != "shadow")]
        if len(answers):
            answers["interval_width"] = answers["upper_minutes"] - answers["lower_minutes"]
            return f"{counted(len(answers), 'answer')} {_span(last.start, last.end)}", answers
    manifest = world.training_set
    if manifest is None:
        return None
    end = month_bounds(manifest.extraction.months[-1])[1]
    start = max(end - _NEWEST, manifest.test.begins)
    from mlops.data.store.content import STAGED_ANEW
    from mlops.records.parquet import read_table

    part = max(manifest.parts, key=lambda part: part.month)
    inside = [(PICKUP_AT, ">=", start), (PICKUP_AT, "<", end)]
    found = read_table(part.uri, STAGED_ANEW, filters=inside)
    return (
        f"{counted(len(found), 'trip')} {_span(start, end)}, the newest learned from",
        found.to_pandas(),
    )


def _span(start: datetime, end: datetime) -> str:
    return f"of {start:%Y-%m-%d} to {end:%Y-%m-%d}"


def _parts(
    manifest: TrainingSetManifest | None, columns: tuple[str, ...]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the months of a training set one by one: together they may be many trips."""
    from mlops.data.store.content import STAGED_ANEW
    from mlops.records.parquet import read_table

    for part in sorted(manifest.parts if manifest else (), key=lambda part: part.month):
        yield part.month, read_table(part.uri, STAGED_ANEW, columns).to_pandas()


TABLES: Final[Mapping[str, ObservedTable]] = {
    "volume": ObservedTable(VOLUME, volume),
    "rules": ObservedTable(RULES, rules),
    "missing": ObservedTable(MISSING, missing),
    "trips": ObservedTable(TRIPS, trips),
    "profiles": ObservedTable(PROFILES, profiles),
}
