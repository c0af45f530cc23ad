"""From validated rows to the feature table: each with what was known on its day, and its window.

Parts hold the months of the files, in which a row may lie that belongs to the next one: a flight
that left after midnight. The feature table goes by the month of the event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mlops import fingerprints, progress
from mlops.data.months import month_bounds
from mlops.data.references import FeatureTable, TripPart, ValidatedTrips
from mlops.data.store.content import STAGED_ANEW
from mlops.data.store.windows import NO_WINDOW, SPLIT, WINDOWS
from mlops.datasets.declared.calendar import times_of
from mlops.datasets.declared.histories import DatasetHistory
from mlops.datasets.declared.preparing.identity import identity_of
from mlops.datasets.declared.splitting import split_rows
from mlops.datasets.definition import DatasetDefinition
from mlops.records.atomic import atomic_file
from mlops.records.parquet import read_table, write_table
from mlops.settings import Settings

# Raise with every change of what a column means: it is part of a training set's name.
_DEFINITIONS: Final = 1
UNDATED: Final = "all"  # the part of rows without a time, in place of a month

Places = npt.NDArray[np.int8]


def feature_version(definition: DatasetDefinition) -> str:
    """Name what the columns of a feature table mean; it changes when the definition does."""
    return f"{_DEFINITIONS}-{identity_of(definition)[:8]}"


def build(
    definition: DatasetDefinition, validated: ValidatedTrips, settings: Settings
) -> FeatureTable:
    """Add to each row its histories as of its day, and the window it belongs to.

    Args:
        definition: Of the dataset.
        validated: Rows that obey the rules.
        settings: The staging folder.

    Returns:
        One staged part per month of the event, its rows in the order of events, or one in all
        where rows have no time: the declared columns, the statistics of the histories (float32) and
        `SPLIT` (int8).

    Raises:
        DataQualityError: If a window would be empty, naming the field of the definition.
    """
    event = definition.event
    folder = settings.staging / f"features-{_key(definition, validated)[:16]}"
    parts = sorted(validated.parts, key=lambda part: part.month)
    places = _places(definition, validated, parts)
    history = DatasetHistory(definition) if event else None
    built = []
    months = _by_month(event, parts, places) if event else _undated(parts, places)
    for month, rows in months:
        table = pd.concat([rows, history.annotate(rows)], axis=1) if history else rows
        target = folder / f"{month}.parquet"
        with atomic_file(target) as path:
            write_table(_as_arrow(table), path, compression="lz4")
        built.append(TripPart(month=month, uri=str(target), rows=len(rows)))
        progress.report("features", month=month, rows=len(rows))
    return FeatureTable(
        extraction=validated.extraction,
        quality=validated.quality,
        parts=tuple(built),
        feature_version=feature_version(definition),
        target=definition.task.target,
        event=event,
    )


def _key(definition: DatasetDefinition, validated: ValidatedTrips) -> str:
    return fingerprints.of_values(
        fingerprints.of_code("data", "datasets"),
        identity_of(definition),
        [part.uri for part in validated.parts],  # named by a key of all their inputs
    )


def _places(
    definition: DatasetDefinition, validated: ValidatedTrips, parts: Sequence[TripPart]
) -> list[Places]:
    """Return the window of each row of each part."""
    frames = [_read(part, _split_columns(definition)) for part in parts]
    masks = split_rows(
        definition, pd.concat(frames, ignore_index=True), _end(definition, validated)
    )
    places: Places = np.full(len(masks.train), NO_WINDOW, dtype=np.int8)
    for place, name in enumerate(WINDOWS):
        places[getattr(masks, name)] = place
    return np.split(places, np.cumsum([len(frame) for frame in frames])[:-1])


def _split_columns(definition: DatasetDefinition) -> list[str]:
    time, split = definition.time, definition.split
    if split.by == "time" and time:
        return [name for name in (time.event, time.outcome) if name]
    return [*(split.group or definition.key or definition.columns)]


def _end(definition: DatasetDefinition, validated: ValidatedTrips) -> datetime | None:
    """Return the end of the last month of the files; rows of any time end with their last day."""
    months = {file.month for file in validated.extraction.files}
    return None if "" in months else month_bounds(max(months))[1]


def _by_month(
    event: str, parts: Sequence[TripPart], places: Sequence[Places]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each month in order of events; parts are read in their order, as needed."""
    last_part: dict[np.datetime64, int] = {}
    for number, part in enumerate(parts):
        months = _months_of(read_table(part.uri, STAGED_ANEW, [event]).column(0).to_numpy())
        last_part |= dict.fromkeys(np.unique(months), number)
    waiting: Mapping[np.datetime64, list[pd.DataFrame]] = defaultdict(list)
    loaded = 0
    for month in sorted(last_part):
        for number in range(loaded, last_part[month] + 1):
            rows = _read(parts[number]).assign(**{SPLIT: places[number]})
            for own, of_month in rows.groupby(_months_of(rows[event].to_numpy())):
                waiting[np.datetime64(own, "M")].append(of_month)
            loaded = number + 1
        joined = pd.concat(waiting[month], ignore_index=True)
        waiting[month].clear()
        yield str(month), joined.sort_values(event, kind="stable", ignore_index=True)


def _undated(
    parts: Sequence[TripPart], places: Sequence[Places]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield all rows as one part: without a time, nothing else divides them."""
    rows = [_read(part).assign(**{SPLIT: own}) for part, own in zip(parts, places, strict=True)]
    yield UNDATED, pd.concat(rows, ignore_index=True)


def _months_of(events: Any) -> Any:
    return times_of(events).astype("datetime64[M]")


def _read(part: TripPart, columns: Sequence[str] | None = None) -> pd.DataFrame:
    frame: pd.DataFrame = read_table(part.uri, STAGED_ANEW, columns).to_pandas()
    return frame


def _as_arrow(rows: pd.DataFrame) -> Any:
    """Return rows as an Arrow table in which texts stay texts where all of them are missing."""
    texts = {name: pa.string() for name in rows if rows[name].dtype == object}
    table = pa.Table.from_pandas(rows, preserve_index=False)
    types = [pa.field(f.name, texts.get(f.name, f.type)) for f in table.schema]
    return table.cast(pa.schema(types))
