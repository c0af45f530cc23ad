"""Validation keeps what can be learned from, sets aside what cannot, and refuses a bad batch."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops import fingerprints
from mlops.data.quality import quality_table
from mlops.data.references import Extraction, SourceFile
from mlops.datasets.taxi.contract import validation
from mlops.datasets.taxi.contract.rules import RULES
from mlops.datasets.taxi.contract.validation import split_requests, validate
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS, TARGET, TRIP_COLUMNS
from mlops.errors import DataQualityError, SourceError
from mlops.settings import Settings, load_settings

LENIENT = {
    "validation.min_rows": 1,
    "validation.min_days_covered": 0,
    "validation.max_bad_share": 1,
}


def configured(home: Path, **changes: Any) -> Settings:
    return load_settings({"home": str(home), **LENIENT, **changes})


def spoiled(trips: pd.DataFrame, seed: int, share: float) -> pd.DataFrame:
    """Break rows in all kinds of ways, reproducibly."""
    random = np.random.default_rng(seed)
    trips = trips.copy()

    def some() -> np.ndarray:
        return np.flatnonzero(random.random(len(trips)) < share)

    for column, value in {
        "trip_distance": 20_000.0,
        "pickup_zone": 0,
        "dropoff_zone": 265,
        "passenger_count": np.nan,
        "fare_amount": -3.0,
        "pickup_at": pd.Timestamp("2002-01-01"),
        "dropoff_at": pd.NaT,
    }.items():
        trips.iloc[some(), trips.columns.get_loc(column)] = value
    return pd.concat([trips, trips.iloc[some()]], ignore_index=True)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.3), rows=st.integers(1, 120))
def test_every_row_is_kept_or_set_aside_with_a_reason_and_cleaning_is_idempotent(
    make_trips: Any, write_source: Any, extraction_of: Any, seed: int, share: float, rows: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        # Given a month with bad rows, and one good row so that the batch is not empty
        folder = Path(name)
        first = make_trips(1, seed=1)
        trips = pd.concat(
            [first, spoiled(make_trips(rows, seed=seed), seed, share)], ignore_index=True
        )
        source = write_source(trips, folder / "a.parquet")
        # When it is validated
        found = validate(extraction_of(source), configured(folder / "home"))
        # Then kept + set aside = read, each row set aside has a known reason
        kept = pd.read_parquet(found.parts[0].uri)
        quality = found.quality
        assert quality.rows_kept == len(kept) == found.parts[0].rows
        assert quality.rows_kept + quality.rows_quarantined == quality.rows_read == len(trips)
        known = {rule.name for rule in RULES if rule.action == "quarantine"}
        if quality.quarantine_uri:
            aside = pd.read_parquet(quality.quarantine_uri)
            assert len(aside) == quality.rows_quarantined
            assert set(aside["source_file"]) == {"a.parquet"}
            assert all(set(text.split("; ")) <= known for text in aside["reasons"])
        # And validating what was kept keeps all of it, unchanged
        again_source = write_source(kept[list(TRIP_COLUMNS)], folder / "b.parquet")
        again = validate(extraction_of(again_source), configured(folder / "home"))
        assert again.quality.rows_quarantined == 0
        pd.testing.assert_frame_equal(pd.read_parquet(again.parts[0].uri), kept)


def test_flagged_rows_are_counted_and_kept(
    make_trips: Any, write_source: Any, extraction_of: Any, tmp_path: Path
) -> None:
    trips = make_trips(100)
    trips.loc[:9, "fare_amount"] = -1.0
    source = write_source(trips, tmp_path / "a.parquet")
    quality = validate(extraction_of(source), configured(tmp_path)).quality
    assert quality.rows_kept == 100
    count = next(count for count in quality.rules if count.rule == "fare_negative")
    assert (count.action, count.rows, count.share) == ("flag", 10, 0.1)


def test_the_target_is_the_duration_in_minutes(
    make_trips: Any, write_source: Any, extraction_of: Any, tmp_path: Path
) -> None:
    trips = make_trips(50)
    source = write_source(trips, tmp_path / "a.parquet")
    part = validate(extraction_of(source), configured(tmp_path)).parts[0]
    kept = pd.read_parquet(part.uri)
    assert kept.dtypes.astype(str).to_dict() == {**TRIP_COLUMNS, TARGET: "float64"}
    expected = (kept["dropoff_at"] - kept["pickup_at"]).dt.total_seconds() / 60
    np.testing.assert_allclose(kept[TARGET], expected)


def test_the_order_of_rows_and_files_is_forgotten(
    make_trips: Any, write_source: Any, extraction_of: Any, tmp_path: Path
) -> None:
    # Given the same trips of a month in one file, and shuffled over two
    trips = make_trips(80)
    shuffled = trips.sample(frac=1, random_state=3)
    whole = extraction_of(write_source(trips, tmp_path / "whole.parquet"))
    halves = extraction_of(
        write_source(shuffled[40:], tmp_path / "y.parquet", row_group_size=7),
        write_source(shuffled[:40], tmp_path / "x.parquet"),
    )
    # When both are validated
    parts = [validate(e, configured(tmp_path)).parts[0] for e in (whole, halves)]
    # Then the same rows come out in the same order
    first, second = (pd.read_parquet(part.uri) for part in parts)
    pd.testing.assert_frame_equal(first, second)
    assert first[PICKUP_AT].is_monotonic_increasing


@pytest.fixture
def extracted(
    make_trips: Any, write_source: Any, extraction_of: Any, tmp_path: Path
) -> Callable[..., Extraction]:
    """Return what writes trips to a file per month, in place of what lay there, and extracts it."""

    def extract(rows: int, *months: str) -> Extraction:
        return extraction_of(
            *(
                write_source(make_trips(rows, month), tmp_path / f"{month}.parquet", month)
                for month in months or ("2024-01",)
            )
        )

    return extract


@pytest.fixture
def before_each_read(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[str], object]], None]:
    """Return what lets something happen, given the file's stem, before a file is read."""
    read_trips = validation.read_trips

    def install(happen: Callable[[str], object]) -> None:
        def read(uri: str, *arguments: Any, **options: Any) -> pd.DataFrame:
            happen(Path(uri).stem)
            return read_trips(uri, *arguments, **options)

        monkeypatch.setattr(validation, "read_trips", read)

    return install


def test_a_retry_reads_only_the_unfinished_month(
    extracted: Any, before_each_read: Any, tmp_path: Path
) -> None:
    extraction, config = extracted(50, "2024-01", "2024-02"), configured(tmp_path)
    read: list[str] = []

    def interrupt(stem: str) -> None:
        read.append(stem)
        if len(read) == 2:
            raise KeyboardInterrupt

    # Given a validation that was interrupted in its second month
    before_each_read(interrupt)
    with pytest.raises(KeyboardInterrupt):
        validate(extraction, config)
    # When it runs again
    found = validate(extraction, config)
    # Then the first month is not read again, and other limits reuse nothing
    assert read == ["2024-01", "2024-02", "2024-02"]
    assert found.quality.rows_kept == 100
    validate(extraction, configured(tmp_path, **{"validation.max_minutes": 59}))
    assert read[3:] == ["2024-01", "2024-02"]


def test_a_file_that_changed_after_it_was_extracted_poisons_nothing(
    extracted: Any, tmp_path: Path
) -> None:
    # Given an extraction whose file is replaced before it is validated
    config = configured(tmp_path / "home")
    extraction, other = extracted(50), extracted(30)
    # Then the trips that lie there are validated, under their own hash
    found = validate(extraction, config)
    assert found.extraction == other and found.quality.rows_read == 30
    # And the original, once it is back, has its own trips.
    extracted(50)
    again = validate(extraction, config)
    assert again.extraction == extraction and again.quality.rows_read == 50


def test_a_file_that_changes_while_it_is_read_is_refused_and_staged_nowhere(
    extracted: Any, before_each_read: Any, tmp_path: Path
) -> None:
    config, extraction = configured(tmp_path / "home"), extracted(50)
    before_each_read(lambda stem: extracted(30, stem))
    with pytest.raises(SourceError, match="changed while it was read"):
        validate(extraction, config)
    assert not list(config.staging.rglob("*.json"))


def test_another_rule_validates_again(
    extracted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = extracted(50)
    first = validate(extraction, configured(tmp_path))
    # Given the source of the rules with one more entry, as a process imports it that starts then
    rules = {**fingerprints.sources(), "data/contract/rules.py": "as edited"}
    monkeypatch.setattr(fingerprints, "sources", lambda: rules)
    second = validate(extraction, configured(tmp_path))
    assert first.parts[0].uri != second.parts[0].uri


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("validation.min_rows", 1_000, "95 rows kept, fewer than min_rows"),
        ("validation.max_bad_share", 0.04, r"5\.0% of the rows are bad"),
        ("validation.min_days_covered", 1.0, "97% of the days have trips"),
    ],
)
def test_a_bad_batch_is_refused_with_a_table_of_rules(
    make_trips: Any,
    write_source: Any,
    extraction_of: Any,
    tmp_path: Path,
    limit: str,
    value: float,
    said: str,
) -> None:
    # Given a month without its first day (5 rows of 100 are dated to another month)
    trips = make_trips(100)
    trips.loc[:4, "pickup_at"] -= pd.Timedelta(days=60)
    trips.loc[:4, "dropoff_at"] -= pd.Timedelta(days=60)
    assert trips["pickup_at"][5] > pd.Timestamp("2024-01-02")
    extraction = extraction_of(write_source(trips, tmp_path / "a.parquet"))
    # Then it passes under lenient limits, and is refused beyond each limit, in words
    validate(extraction, configured(tmp_path))
    with pytest.raises(DataQualityError, match=said) as caught:
        validate(extraction, configured(tmp_path, **{limit: value}))
    lines = caught.value.message.splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("rule ")) :]
    assert len(table) == 1 + len(RULES)
    assert any(
        "pickup_outside_month" in line and " 5 " in line and "5.00%" in line for line in table
    )
    assert "quarantine" in caught.value.hint


def test_the_table_is_aligned(
    make_trips: Any, write_source: Any, extraction_of: Any, tmp_path: Path
) -> None:
    source = write_source(make_trips(20), tmp_path / "a.parquet")
    quality = validate(extraction_of(source), configured(tmp_path)).quality
    header, *rows = quality_table(quality).splitlines()
    column = header.index("meaning")
    for row, count in zip(rows, quality.rules, strict=True):
        assert row[column:] == count.meaning
        assert row[column - 2 : column] == "  "


def test_requests_are_split_by_the_rules_known_at_pickup(make_trips: Any, tmp_path: Path) -> None:
    # Given requests, two of them impossible, one merely unusual, with a column of their own
    requests = make_trips(6)[list(REQUEST_COLUMNS)].assign(note=list("abcdef"))
    requests.loc[1, "pickup_zone"] = 300
    requests.loc[4, ["trip_distance", "pickup_at"]] = [-1.0, pd.NaT]
    requests.loc[5, "passenger_count"] = np.nan
    # When they are split
    good, bad = split_requests(requests, configured(tmp_path))
    # Then the impossible ones have their reasons and nothing is lost
    assert good["note"].tolist() == ["a", "c", "d", "f"]
    assert bad["note"].tolist() == ["b", "e"]
    assert bad["reasons"].tolist() == ["zone_invalid", "pickup_time_invalid; distance_negative"]
    assert good.index.tolist() + bad.index.tolist() == [0, 2, 3, 5, 1, 4]


def test_without_bad_requests_the_bad_frame_is_empty_with_the_same_columns(
    make_trips: Any, tmp_path: Path
) -> None:
    good, bad = split_requests(make_trips(6)[list(REQUEST_COLUMNS)], configured(tmp_path))
    assert len(good) == 6
    assert bad.empty
    assert list(bad.columns) == [*REQUEST_COLUMNS, "reasons"]


def real_months(folder: Path, *months: str) -> Extraction:
    files = []
    for month in months:
        path = folder / "green" / f"green_tripdata_{month}.parquet"
        files.append(
            SourceFile(
                month=month,
                uri=str(path),
                name=path.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                bytes=path.stat().st_size,
                rows=0,
            )
        )
    return Extraction(kind="path", taxi="green", synthetic=False, files=tuple(files))


@pytest.mark.real_data
def test_the_reference_settings_give_the_reference_counts(real_data: Path, tmp_path: Path) -> None:
    # Given the reference's only rule: trips of 1 to 60 minutes
    ignored = {rule.name: "ignore" for rule in RULES if rule.name != "duration_out_of_range"}
    config = load_settings({"home": str(tmp_path), "validation.actions": ignored})
    # When its two months are validated
    found = validate(real_months(real_data, "2024-01", "2024-02"), config)
    # Then the counts are those the reference asserts
    pickups = pd.concat([pd.read_parquet(p.uri, columns=[PICKUP_AT]) for p in found.parts])
    assert found.quality.rows_read == 110_128
    assert len(pickups) == found.quality.rows_kept == 105_870
    before = int((pickups[PICKUP_AT] < "2024-02-01").sum())
    assert (before, len(pickups) - before) == (54_378, 51_492)


@pytest.mark.real_data
def test_beyond_the_duration_hardly_a_real_trip_is_set_aside(
    real_data: Path, tmp_path: Path
) -> None:
    config = load_settings({"home": str(tmp_path)})
    found = validate(real_months(real_data, "2024-01", "2024-02"), config)
    aside = pd.read_parquet(found.quality.quarantine_uri or "")
    other = ~aside["reasons"].str.contains("duration")
    assert 0 < int(other.sum()) < 0.002 * found.quality.rows_read
