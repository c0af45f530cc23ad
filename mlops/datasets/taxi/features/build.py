"""From validated trips to the feature table: each trip with what was known on its day."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from mlops import fingerprints, progress
from mlops.data.references import FeatureTable, TripPart, ValidatedTrips
from mlops.data.store.content import STAGED_ANEW
from mlops.datasets.taxi.features.routes import AS_OF_COLUMNS, RouteHistory
from mlops.records.atomic import atomic_file
from mlops.records.parquet import read_table, write_table
from mlops.settings import Settings

# Raise with every change of what a column means: it is part of a training set's name. (What is
# staged or published is made anew after any change of the code.)
_DEFINITIONS: Final = 1


def feature_version() -> str:
    """Name the definitions of the features; it changes when their meaning or their names do."""
    content = json.dumps([_DEFINITIONS, AS_OF_COLUMNS])
    return f"{_DEFINITIONS}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def build_features(validated: ValidatedTrips, settings: Settings) -> FeatureTable:
    """Add to each trip the history of its route as of its day, month by month.

    One month is in memory at a time, and the history from month to month.

    Args:
        validated: Clean trips, one part per month, each sorted by pickup.
        settings: `settings.features` and the staging folder.

    Returns:
        One staged part per month: the clean columns and `AS_OF_COLUMNS` (float32).
    """
    history = RouteHistory(settings.features)
    folder = settings.staging / _key(validated, settings) / "features"
    parts = []
    for part in sorted(validated.parts, key=lambda part: part.month):
        trips = read_table(part.uri, STAGED_ANEW).to_pandas()
        known = history.annotate(trips)
        target = folder / f"{part.month}.parquet"
        _write(pd.concat([trips, known], axis=1), target)
        parts.append(TripPart(month=part.month, uri=str(target), rows=len(trips)))
        progress.report("features", month=part.month, rows=len(trips))
    return FeatureTable(
        extraction=validated.extraction,
        quality=validated.quality,
        parts=tuple(parts),
        feature_version=feature_version(),
    )


def _key(validated: ValidatedTrips, settings: Settings) -> str:
    key = fingerprints.of_values(
        fingerprints.of_code("data", "datasets/taxi"),
        [part.uri for part in validated.parts],
        settings.features.model_dump(mode="json"),
    )
    return f"features-{key[:16]}"


def _write(trips: pd.DataFrame, target: Path) -> None:
    with atomic_file(target) as path:
        write_table(pa.Table.from_pandas(trips, preserve_index=False), path, compression="lz4")
