"""The data product `route_statistics` of a declared dataset: its histories on certain mornings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from mlops import fingerprints
from mlops.data.references import RouteStatisticsManifest, TrainingSetManifest
from mlops.data.store.content import STAGED_ANEW
from mlops.data.store.statistics import MORNINGS, mornings_of, publish_statistics
from mlops.datasets.declared.calendar import times_of
from mlops.datasets.declared.histories import DatasetHistory
from mlops.datasets.declared.preparing.identity import identity_of
from mlops.datasets.declared.snapshots import HistorySnapshot
from mlops.datasets.declared.stored_snapshots import load_snapshot, save_snapshot
from mlops.datasets.definition import DatasetDefinition
from mlops.records.parquet import read_table
from mlops.settings import Settings

_ANY_DAY: Final = datetime(1970, 1, 1)


def publish_histories(
    definition: DatasetDefinition, training_set: TrainingSetManifest, settings: Settings
) -> RouteStatisticsManifest:
    """Publish histories as of the first day of validation, that of test, and after the last day.

    The same training set and definition give the same hash. Without histories the files say so.

    Args:
        definition: That the training set was built by.
        training_set: The rows to learn from.
        settings: The store.
    """
    sha256 = fingerprints.of_values(
        fingerprints.of_code("data", "datasets"), training_set.sha256, identity_of(definition)
    )
    return publish_statistics(
        training_set,
        sha256,
        lambda: freeze(definition, training_set, mornings(definition, training_set)),
        save_snapshot,
        load_snapshot,
        settings,
    )


def freeze(
    definition: DatasetDefinition,
    training_set: TrainingSetManifest,
    days: Mapping[str, datetime],
) -> dict[str, HistorySnapshot]:
    """Compute what the rows of a training set tell on the mornings of named days.

    Rows of no window count too: on a later day their outcome was known. One pass over the rows is
    enough for all days; each snapshot is that of `snapshot_of`.
    """
    if definition.time is None:
        return {name: HistorySnapshot(as_of, {}) for name, as_of in days.items()}
    paths = [part.uri for part in training_set.parts]
    columns = _columns(definition)
    rows: pd.DataFrame = read_table(paths, STAGED_ANEW, columns).to_pandas()
    history, known = DatasetHistory(definition), np.datetime64("0001-01-01")
    dates = times_of(rows[definition.event]).astype("datetime64[D]")
    frozen = {}
    for name, as_of in sorted(days.items(), key=lambda item: item[1]):
        day = np.datetime64(as_of, "D")
        history.add(rows[(dates >= known) & (dates < day)])
        frozen[name], known = history.snapshot(as_of), day
    return frozen


def mornings(
    definition: DatasetDefinition, training_set: TrainingSetManifest
) -> dict[str, datetime]:
    """Return the days whose mornings are frozen: the last one is that after the last row's day."""
    if definition.time is None:  # nothing is known of the past, on any day
        return dict.fromkeys(MORNINGS, _ANY_DAY)
    last = training_set.test.ends - timedelta(microseconds=1)
    latest = datetime(last.year, last.month, last.day) + timedelta(days=1)
    return mornings_of(training_set, latest)


def _columns(definition: DatasetDefinition) -> list[str]:
    """Return the columns that histories are computed from."""
    time = definition.time
    wanted = {time.event, time.outcome} if time else set()
    for history in definition.histories.values():
        wanted |= {history.of or definition.task.target, history.less}
        for group in history.by:
            wanted |= {group, group.rpartition(".")[0]}  # a column, or a part of a time
    return [name for name in definition.columns if name in wanted]
