"""Rows that say themselves to which window they belong are published and read by what they say."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.references import Extraction, FeatureTable, QualityReport, TripPart
from mlops.data.store.manifests import load_manifest
from mlops.data.store.snapshots import publish_training_set, read_window, verify
from mlops.data.store.windows import NO_WINDOW, SPLIT, WINDOWS
from mlops.errors import DataQualityError
from mlops.settings import Settings, load_settings

START = datetime(2024, 1, 30)
PLACES = [0, 1, 0, NO_WINDOW, 1, 2, 0, NO_WINDOW, 2, 2]  # of a row every ten hours


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return load_settings({"home": str(tmp_path / "home"), "dataset": "bikes"})


def table_of(folder: Path, places: list[int], **changes: Any) -> FeatureTable:
    """Stage rows in two months, in reverse order."""
    rows = pd.DataFrame(
        {
            "station": pd.Series(["north", None, "süd", "", "x"] * 2, dtype=object),
            "left_at": [START + timedelta(hours=10 * n) for n in range(len(places))],
            "minutes": np.arange(len(places)) + 0.5,
            SPLIT: np.array(places, dtype=np.int8),
        }
    ).astype({"left_at": "datetime64[us]"})[::-1]
    parts = []
    folder.mkdir(exist_ok=True)
    for month, of_month in rows.groupby(rows["left_at"].dt.strftime("%Y-%m")):
        uri = folder / f"{month}.parquet"
        of_month.to_parquet(uri, index=False)
        parts.append(TripPart(month=str(month), uri=str(uri), rows=len(of_month)))
    quality = QualityReport(
        rows_read=10,
        rows_kept=10,
        rows_quarantined=0,
        bad_share=0,
        rules=(),
        quarantine_uri=None,
    )
    extraction = Extraction(dataset="bikes", kind="path", synthetic=False, files=())
    about = {"feature_version": "1", "target": "minutes", "event": "left_at", **changes}
    return FeatureTable(extraction=extraction, quality=quality, parts=tuple(parts), **about)


def test_windows_hold_the_rows_assigned_to_them(tmp_path: Path, config: Settings) -> None:
    published = publish_training_set(table_of(tmp_path / "staged", PLACES), config, "c0ffee")

    found = load_manifest(published.uri)
    assert (found.dataset, found.target, found.event) == ("bikes", "minutes", "left_at")
    for place, name in enumerate(WINDOWS):
        hours = [10 * n for n, each in enumerate(PLACES) if each == place]
        rows, window = read_window(found, name), found.windows[name]
        assert rows["left_at"].tolist() == [START + timedelta(hours=hour) for hour in hours]
        assert window.rows == len(hours)
        assert window.start == START + timedelta(hours=hours[0])
        assert window.end == START + timedelta(hours=hours[-1], microseconds=1)
    assert len(read_window(found, "train", "test", columns=["minutes"])) == 6
    verify(found)


def test_the_hash_is_about_rows_windows_and_roles(tmp_path: Path, config: Settings) -> None:
    def published(places: list[int] = PLACES, **changes: Any) -> str:
        table = table_of(tmp_path / "staged", places, **changes)
        return publish_training_set(table, config, "c0ffee").sha256

    first = published()
    moved = [*PLACES[:3], 0, *PLACES[4:]]
    others = [published(moved), published(target="station"), published(feature_version="2")]
    assert len({first, *others}) == 4
    assert published() == first


def test_a_window_without_rows_is_refused(tmp_path: Path, config: Settings) -> None:
    with pytest.raises(DataQualityError, match="no row is left for validation"):
        publish_training_set(table_of(tmp_path / "staged", [0, 2] * 5), config, "c0ffee")
    assert not config.store.exists()
