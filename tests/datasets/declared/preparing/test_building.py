"""Each row gets what was known on its day and its window, however its table lies in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.data.references import FeatureTable
from mlops.data.store.snapshots import publish_training_set, read_window
from mlops.data.store.windows import SPLIT, WINDOWS
from mlops.datasets.declared.histories import DatasetHistory
from mlops.datasets.declared.splitting import split_rows
from mlops.errors import DataQualityError
from mlops.settings import Settings
from tests.datasets.declared.deliveries import deliveries
from tests.datasets.declared.preparing.conftest import prepared, rows_of_days, written

Configured = Callable[..., Settings]
# The data end in the middle of March, and so do its windows.
DEFINITION = deliveries(split="{validation: 2d, test: 18d}")


def rows_in(table: FeatureTable) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(part.uri) for part in table.parts], ignore_index=True)


def test_rows_have_their_histories_and_their_window(configured: Configured) -> None:
    table = prepared(configured(), DEFINITION)

    assert [part.month for part in table.parts] == ["2024-02", "2024-03"]
    assert [part.rows for part in table.parts] == [48, 192]  # by the month of the event
    assert (table.target, table.event) == ("minutes", "ordered_at")
    rows, expected = rows_in(table), rows_of_days()
    assert rows["order"].tolist() == expected["order"].tolist()  # in the order of events
    known = DatasetHistory(DEFINITION).annotate(expected)
    pd.testing.assert_frame_equal(rows[[*known]], known)
    assert {rows[name].dtype.name for name in known} == {"float32"}
    masks = split_rows(DEFINITION, expected, pd.Timestamp("2024-04-01").to_pydatetime())
    for place, mask in enumerate(masks):
        np.testing.assert_array_equal(rows[SPLIT] == place, mask)
    # A row whose outcome was not yet known when the next window began is in none.
    late = rows[rows[SPLIT] == len(WINDOWS)]["ordered_at"].dt.strftime("%d %H").tolist()
    assert late == [f"{day} {hour}" for day in (11, 13) for hour in ("16", "18", "20", "22")]
    assert rows[SPLIT].dtype == np.int8


def test_one_table_of_any_time_is_the_same(configured: Configured, tmp_path: Path) -> None:
    by_month = prepared(configured(), DEFINITION)
    shuffled = rows_of_days().sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "all.csv", index=False)
    definition = deliveries(split="{validation: 2d, test: 2d}")

    table = prepared(configured(location=str(tmp_path / "all.csv")), definition)

    assert [part.rows for part in table.parts] == [part.rows for part in by_month.parts]
    pd.testing.assert_frame_equal(
        rows_in(table).drop(columns=SPLIT), rows_in(by_month).drop(columns=SPLIT)
    )


def test_the_same_files_are_the_same_training_set(configured: Configured, tmp_path: Path) -> None:
    def published(settings: Settings) -> str:
        return publish_training_set(prepared(settings, DEFINITION), settings, "c0ffee").sha256

    first = published(configured())
    assert published(configured(home=str(tmp_path / "another"))) == first
    rows = rows_of_days()
    rows.loc[7, "city"] = "Rome"
    written(tmp_path / "files", rows)
    assert published(configured()) != first

    # And windows are read by what rows say
    manifest = publish_training_set(prepared(configured(), DEFINITION), configured(), "c0ffee")
    read = [read_window(manifest, name) for name in WINDOWS]
    assert [len(frame) for frame in read] == [w.rows for w in manifest.windows.values()]
    assert all((frame[SPLIT] == place).all() for place, frame in enumerate(read))


def test_rows_drawn_at_random_or_in_groups_lie_next_to_each_other(configured: Configured) -> None:
    split = "{by: group, group: depot, validation: 0.3, test: 0.3}"
    definition = deliveries(split=split, histories="{}")
    rows = rows_of_days()
    rows["depot"] = [f"depot {number % 40}" for number in range(len(rows))]
    settings = configured()
    written(Path(settings.source.location).parent, rows)

    manifest = publish_training_set(prepared(settings, definition), settings, "c0ffee")

    read = {name: read_window(manifest, name) for name in WINDOWS}
    depots = [set(frame["depot"]) for frame in read.values()]
    assert sum(map(len, depots)) == 40 == len(set.union(*depots))
    assert sum(map(len, read.values())) == 240
    assert manifest.test.start < manifest.train.end


def test_windows_that_leave_nothing_are_refused(configured: Configured) -> None:
    definition = deliveries(split="{validation: 30d, test: 18d}")
    with pytest.raises(DataQualityError, match=r"split: .* leave no day to learn from"):
        prepared(configured(), definition)
