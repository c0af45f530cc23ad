"""Snapshots are whole, named by their content, and survive whatever kills their writer."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.data.references import FeatureTable, TrainingSetManifest
from mlops.data.store import manifests
from mlops.data.store.manifests import current_training_set, load_manifest
from mlops.data.store.snapshots import publish_folder, publish_training_set, read_window, verify
from mlops.data.store.windows import WINDOWS
from mlops.datasets.taxi.contract.validation import validate
from mlops.errors import DataQualityError, MlopsError
from mlops.settings import Settings, load_settings

MONTHS = ("2024-01", "2024-02")

# Publishes a table like the test does, but dies by SIGKILL at the given call to os.fsync.
_KILLED = """
import os, signal, sys
from pathlib import Path
from mlops.data.references import FeatureTable
from mlops.data.store.snapshots import publish_training_set
from mlops.settings import load_settings

table = FeatureTable.model_validate_json(Path(sys.argv[1]).read_text())
calls, real = 0, os.fsync

def fsync(descriptor):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)

os.fsync = fsync
publish_training_set(table, load_settings({"home": sys.argv[2]}), "c0ffee")
"""


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return load_settings(
        {"home": str(tmp_path / "home"), "validation.min_rows": 1, "validation.min_days_covered": 0}
    )


@pytest.fixture
def make_table(
    make_trips: Any, write_source: Any, extraction_of: Any, tmp_path: Path, config: Settings
) -> Callable[..., FeatureTable]:
    """Validate two made months, one bad row in each; ``change`` may alter the first month."""

    def make(
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda trips: trips, **options: Any
    ) -> FeatureTable:
        folder = tmp_path / f"sources-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        files = []
        for month in MONTHS:
            trips = make_trips(300, month)
            trips.loc[0, "pickup_zone"] = 0
            if month == MONTHS[0]:
                trips = change(trips)
            files.append(write_source(trips, folder / f"{month}.parquet", month, **options))
        found = validate(extraction_of(*files), config)
        return FeatureTable(
            extraction=found.extraction,
            quality=found.quality,
            parts=found.parts,
            feature_version="1",
        )

    return make


@pytest.fixture
def published(make_table: Any, config: Settings) -> TrainingSetManifest:
    return publish_training_set(make_table(), config, "c0ffee")


def products(config: Settings) -> list[str]:
    return sorted(path.name for path in (config.store / "training_sets").iterdir())


def test_a_snapshot_holds_the_trips_the_bad_rows_and_its_manifest(
    published: TrainingSetManifest, config: Settings
) -> None:
    folder = config.store / "training_sets" / published.sha256
    assert published.uri == str(folder)
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*"))
    assert files == [
        "manifest.json",
        "part-2024-01.parquet",
        "part-2024-02.parquet",
        "quarantine/2024-01.parquet",
        "quarantine/2024-02.parquet",
    ]
    assert published.rows == 598 == sum(part.rows for part in published.parts)
    assert published.columns["duration_minutes"] == "float64"
    assert len(pd.read_parquet(published.quality.quarantine_uri or "")) == 2
    assert published.code_commit == "c0ffee"


def test_windows_are_read_whole_and_apart(published: TrainingSetManifest) -> None:
    frames = {name: read_window(published, name) for name in WINDOWS}
    for name, frame in frames.items():
        window = getattr(published, name)
        assert len(frame) == window.rows > 0
        assert frame["pickup_at"].between(window.start, window.end, inclusive="left").all()
        assert frame["pickup_at"].is_monotonic_increasing
    together = read_window(published, "train", "validation", "test")
    pd.testing.assert_frame_equal(together, pd.concat(frames.values(), ignore_index=True))
    refit = read_window(
        published, "train", "validation", columns=["duration_minutes", "pickup_zone"]
    )
    assert list(refit.columns) == ["duration_minutes", "pickup_zone"]
    assert len(refit) == published.train.rows + published.validation.rows


def test_no_row_is_outside_of_all_windows(make_table: Any, config: Settings) -> None:
    # Given a trip before the first month that the settings choose to keep
    lenient = config.model_copy(
        update={
            "validation": config.validation.model_copy(
                update={"actions": {"pickup_outside_month": "ignore"}}
            )
        }
    )

    def early(trips: pd.DataFrame) -> pd.DataFrame:
        trips.loc[1, ["pickup_at", "dropoff_at"]] -= pd.Timedelta(days=10)
        return trips

    table = make_table(early)
    kept = validate(table.extraction, lenient)
    table = table.model_copy(update={"parts": kept.parts, "quality": kept.quality})
    # When it is published
    manifest = publish_training_set(table, lenient, "c0ffee")
    # Then the train window reaches back to it
    first = pd.read_parquet(manifest.parts[0].uri)["pickup_at"].min()
    assert manifest.train.start == first < datetime(2024, 1, 1)
    assert manifest.test.end == datetime(2024, 3, 1)
    assert sum(getattr(manifest, n).rows for n in WINDOWS) == manifest.rows == 598


def test_the_test_window_reaches_to_the_very_last_trip(make_table: Any, config: Settings) -> None:
    # Given a trip that begins long after the last month
    def late(trips: pd.DataFrame) -> pd.DataFrame:
        trips.loc[1, ["pickup_at", "dropoff_at"]] += pd.Timedelta(days=90)
        return trips

    rules = config.validation.model_copy(update={"actions": {"pickup_outside_month": "ignore"}})
    lenient = config.model_copy(update={"validation": rules})
    table = make_table(late)
    kept = validate(table.extraction, lenient)
    table = table.model_copy(update={"parts": kept.parts, "quality": kept.quality})
    manifest = publish_training_set(table, lenient, "c0ffee")

    last = max(pd.read_parquet(part.uri)["pickup_at"].max() for part in manifest.parts)
    assert manifest.test.end == last + pd.Timedelta(microseconds=1)
    assert read_window(manifest, "test")["pickup_at"].max() == last


def test_a_trip_at_a_boundary_is_counted_where_it_is_read(
    make_table: Any, config: Settings
) -> None:
    def at_boundaries(trips: pd.DataFrame) -> pd.DataFrame:
        boundary = pd.Timestamp("2024-01-25")
        trips.loc[1:2, "pickup_at"] = [boundary, boundary - pd.Timedelta(microseconds=1)]
        trips.loc[1:2, "dropoff_at"] = trips.loc[1:2, "pickup_at"] + pd.Timedelta(minutes=9)
        return trips

    manifest = publish_training_set(make_table(at_boundaries), config, "c0ffee")

    assert manifest.validation.start == datetime(2024, 1, 25)
    for name in WINDOWS:
        assert getattr(manifest, name).rows == len(read_window(manifest, name))


def test_the_hash_forgets_the_order_of_rows_and_the_layout_of_files(
    make_table: Any, config: Settings
) -> None:
    first = publish_training_set(make_table(), config, "a")
    shuffled = make_table(lambda t: t.sample(frac=1, random_state=1), row_group_size=13)
    reversed_files = shuffled.model_copy(update={"parts": shuffled.parts[::-1]})
    second = publish_training_set(reversed_files, config, "b")
    assert second == first  # including the commit it was first built from
    assert products(config) == [first.sha256, "current"]


def test_the_hash_sees_rows_windows_and_feature_version(make_table: Any, config: Settings) -> None:
    table = make_table()
    split = config.model_copy(
        update={"windows": config.windows.model_copy(update={"validation_days": 5})}
    )
    hashes = [
        publish_training_set(table, config, "a").sha256,
        publish_training_set(make_table(lambda t: t[:-1]), config, "a").sha256,
        publish_training_set(table, split, "a").sha256,
        publish_training_set(table.model_copy(update={"feature_version": "2"}), config, "a").sha256,
    ]
    assert len(set(hashes)) == 4


def test_current_is_what_was_published_last(make_table: Any, config: Settings) -> None:
    assert current_training_set(config) is None
    first = publish_training_set(make_table(), config, "a")
    second = publish_training_set(make_table(lambda t: t[:-1]), config, "a")
    assert current_training_set(config) == second
    assert publish_training_set(make_table(), config, "a") == first
    assert current_training_set(config) == first


def test_a_manifest_is_found_by_folder_and_by_hash(
    published: TrainingSetManifest, config: Settings
) -> None:
    assert load_manifest(published.uri) == published
    assert load_manifest(published.sha256, config) == published
    assert load_manifest(published.sha256[:8], config) == published
    with pytest.raises(MlopsError, match="no training set"):
        load_manifest("0" * 64, config)


def test_a_hash_that_several_begin_with_is_refused(
    published: TrainingSetManifest, config: Settings
) -> None:
    short, folder = published.sha256[:6], Path(published.uri)
    shutil.copytree(folder, folder.with_name(short + "0" * 58))

    with pytest.raises(MlopsError, match=f"{short}: 2 training sets match"):
        load_manifest(short, config)
    assert load_manifest(folder, config) == published, "a folder is no hash"
    with pytest.raises(MlopsError, match="no training set here"):
        load_manifest(published.sha256[:5], config)


def test_what_has_no_rows_set_aside_names_none(
    published: TrainingSetManifest, config: Settings
) -> None:
    clean = published.quality.model_copy(update={"quarantine_uri": None})

    assert manifests.quality_at(clean, Path("/store")).quarantine_uri is None
    assert manifests.quality_at(published.quality, Path("/store")).quarantine_uri == (
        "/store/quarantine"
    )


def test_a_store_may_be_moved(published: TrainingSetManifest, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(published.uri, moved)
    manifest = load_manifest(moved)
    verify(manifest)
    assert len(read_window(manifest, "train")) == published.train.rows
    assert Path(manifest.quality.quarantine_uri or "").is_dir()


def test_damage_is_found_and_mended_by_publishing_again(
    published: TrainingSetManifest, make_table: Any, config: Settings
) -> None:
    verify(published)
    part = Path(published.parts[0].uri)
    pd.read_parquet(part).iloc[1:].to_parquet(part, index=False)
    with pytest.raises(DataQualityError, match="damaged"):
        verify(published)
    part.write_bytes(b"PAR1")
    with pytest.raises(DataQualityError, match="damaged"):
        verify(published)
    verify(publish_training_set(make_table(), config, "c0ffee"))
    (Path(published.quality.quarantine_uri or "") / "2024-01.parquet").unlink()
    with pytest.raises(DataQualityError, match="it holds 1 row set aside, not 2"):
        verify(published)


def test_a_changed_value_is_found_where_pages_have_no_checksums(
    published: TrainingSetManifest,
) -> None:
    # Given a part as it was written before pages had checksums, in which one value has changed
    part = Path(published.parts[0].uri)
    trips = pd.read_parquet(part)
    trips.loc[7, "trip_distance"] += 1
    trips.to_parquet(part, index=False)

    with pytest.raises(DataQualityError, match=rf"{part.parent.name}.*its content hashes to"):
        verify(published)


def test_a_failing_rename_leaves_the_previous_set_published(
    published: TrainingSetManifest,
    make_table: Any,
    config: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a disk that fails at the last moment
    before = products(config)

    def failing(self: Path, target: Path) -> Path:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing)
        # When another set is published
        with pytest.raises(OSError, match="no space"):
            publish_training_set(make_table(lambda t: t[:-1]), config, "a")
    # Then nothing has changed
    assert products(config) == before
    assert current_training_set(config) == published


@pytest.mark.parametrize("call", [1, 4, 7, 8, 9])
def test_a_killed_publisher_leaves_whole_products_only(
    published: TrainingSetManifest,
    make_table: Any,
    config: Settings,
    tmp_path: Path,
    call: int,
) -> None:
    # Given a publisher that is killed at one of its synchronisations with the disk
    table = make_table(lambda t: t[:-1])
    (tmp_path / "table.json").write_text(table.model_dump_json())
    script = [sys.executable, "-c", _KILLED, str(tmp_path / "table.json"), str(config.home)]
    assert subprocess.run([*script, str(call)], check=False).returncode == -signal.SIGKILL
    # Then every product is whole, and the current one is the one before
    for name in products(config):
        if len(name) == 64:
            verify(load_manifest(config.store / "training_sets" / name))
    assert current_training_set(config) == published
    # When it is published again, only products are left
    second = publish_training_set(table, config, "c0ffee")
    assert sorted(products(config)) == sorted([published.sha256, second.sha256, "current"])
    assert current_training_set(config) == second


def test_any_product_is_written_once(config: Settings) -> None:
    calls: list[Path] = []

    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "data.json").write_text(json.dumps([1]))

    first = publish_folder("route_statistics", "ab" * 32, write, config)
    assert publish_folder("route_statistics", "ab" * 32, write, config) == first
    assert len(calls) == 1
    assert (first / "data.json").read_text() == "[1]"
    assert (first.parent / "current").read_text() == "ab" * 32
    assert [path.name for path in first.iterdir()] == ["data.json"]
