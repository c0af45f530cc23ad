"""The tables behind the dashboard Data: the training set published last, and how rows change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from mlops.counting import counted
from mlops.data.months import month_bounds
from mlops.data.store.windows import SPLIT, WINDOWS, is_assigned
from mlops.datasets.answers import LOWER, UPPER
from mlops.datasets.opening import dataset_of
from mlops.observability.table import ObservedTable
from mlops.observability.world import ObservedWorld, frame_of
from mlops.settings import ALL_MONTHS

if TYPE_CHECKING:
    from mlops.data.references import TrainingSetManifest
    from mlops.monitoring.reference.profile import ReferenceProfile
    from mlops.monitoring.reference.tables import FeatureCounts

_NEWEST: Final = timedelta(days=7)
_BARS: Final = 26
_CATEGORIES: Final = 12  # the most frequent ones are shown by name
_LACKING: Final = 12  # columns with the most missing values

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
HOURS: Final = {
    "hour": "datetime64[us]",  # of the dataset's clock, without zone
    "window": "object",  # train, validation or test
    "rows": "int64",
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
    "now_is": "object",  # which rows
}


def volume(world: ObservedWorld) -> pd.DataFrame:
    """Return the rows read and kept of each month of the training set."""
    manifest = world.training_set
    if manifest is None:
        return frame_of([], VOLUME)
    files = [file.model_dump(include={"month", "rows"}) for file in manifest.extraction.files]
    read = pd.DataFrame(files).groupby("month")["rows"].sum()
    kept = {part.month: part.rows for part in manifest.parts}
    if not set(kept) <= set(read.index):  # files of rows of any time
        read, kept = pd.Series({ALL_MONTHS: read.sum()}), {ALL_MONTHS: manifest.rows}
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
    """Return the share of missing values of the columns that lack most, month by month."""
    columns = dataset_of(world.settings).optional
    rows = [
        {"month": month, "column": str(name), "share": float(share)}
        for month, rows in _parts(world.training_set, columns)
        for name, share in rows.isna().mean().items()
    ]
    table = frame_of(rows, MISSING)
    kept = table.groupby("column")["share"].max().nlargest(_LACKING).index
    return table[table["column"].isin(kept)]


def hours(world: ObservedWorld) -> pd.DataFrame:
    """Return rows by the hour of their event, with the window that they belong to."""
    manifest = world.training_set
    if manifest is None or not manifest.event:
        return frame_of([], HOURS)
    split = (SPLIT,) if is_assigned(manifest.columns) else ()
    hourly = []
    for month, found in _parts(manifest, (manifest.event, *split)):
        inside = found
        if month != ALL_MONTHS:
            start, end = month_bounds(month)
            inside = found[(found[manifest.event] >= start) & (found[manifest.event] < end)]
        hour = inside[manifest.event].dt.floor("h").rename("hour")
        by = [hour, inside[SPLIT].rename("window")] if split else [hour]
        hourly.append(inside.groupby(by).size().rename("rows").reset_index())
    table = pd.concat(hourly)
    if split:
        table = table[table["window"].between(0, len(WINDOWS) - 1)]
        return table.assign(window=table["window"].map(dict(enumerate(WINDOWS))))
    edges = np.array([manifest.validation.start, manifest.test.start], dtype="datetime64[us]")
    place = np.searchsorted(edges, table["hour"].to_numpy(), side="right")
    return table.assign(window=np.array(WINDOWS, dtype=object)[place])


def profiles(world: ObservedWorld) -> pd.DataFrame:
    """Return the distribution of each feature: the champion's reference, and what is new.

    New are the answers of the window that was monitored last; without any, the last week of the
    training set.
    """
    profile = _reference(world)
    newest = _newest(world) if profile else None
    if profile is None or newest is None:
        return frame_of([], PROFILES)
    now_is, frame = newest
    watched = dataset_of(world.settings).watching(world.settings).features
    meanings = {feature.name: feature.meaning for feature in watched}
    rows = [
        {**row, "meaning": meanings.get(table.name, table.name), "now_is": now_is}
        for table in profile.features
        if table.name in frame and is_numeric_dtype(frame[table.name])
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
    """Return the newest rows, and in words which they are."""
    served = [record for record in world.windows if record.origin == "served"]
    if served:
        from mlops.serving.log.reading import log_layout, read_log

        last = served[-1]
        answers = read_log(world.settings, last.start, last.end)
        answers = answers[(answers["version"] == last.version) & (answers["role"] != "shadow")]
        if len(answers):
            layout = log_layout(world.settings)
            names = layout.asked | layout.predicted
            frame = answers[[*names]].rename(columns=names)
            frame["interval_width"] = frame[UPPER] - frame[LOWER]
            return f"{counted(len(frame), 'answer')} {_span(last.start, last.end)}", frame
    manifest = world.training_set
    if manifest is None or not manifest.event:
        return None
    end = manifest.test.ends
    start = max(end - _NEWEST, manifest.test.begins)
    from mlops.data.store.content import STAGED_ANEW
    from mlops.records.parquet import read_table

    words = dataset_of(world.settings).words
    part = max(manifest.parts, key=lambda part: part.month)
    inside = [(manifest.event, ">=", start), (manifest.event, "<", end)]
    found = read_table(part.uri, STAGED_ANEW, filters=inside)
    return (
        f"{words.count(len(found))} {_span(start, end)}, the newest learned from",
        found.to_pandas(),
    )


def _span(start: datetime, end: datetime) -> str:
    return f"of {start:%Y-%m-%d} to {end:%Y-%m-%d}"


def _parts(
    manifest: TrainingSetManifest | None, columns: tuple[str, ...]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the months of a training set one by one: together they may be many rows."""
    from mlops.data.store.content import STAGED_ANEW
    from mlops.records.parquet import read_table

    for part in sorted(manifest.parts if manifest else (), key=lambda part: part.month):
        yield part.month, read_table(part.uri, STAGED_ANEW, columns).to_pandas()


TABLES: Final[Mapping[str, ObservedTable]] = {
    "volume": ObservedTable(VOLUME, volume),
    "rules": ObservedTable(RULES, rules),
    "missing": ObservedTable(MISSING, missing),
    "hours": ObservedTable(HOURS, hours),
    "profiles": ObservedTable(PROFILES, profiles),
}
