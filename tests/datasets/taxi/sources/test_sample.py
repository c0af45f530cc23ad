"""The sample is a source like the others: files in the cache, written once, the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sample import generator as sample
from mlops.datasets.taxi.sources import extract


def test_the_sample_is_the_default_and_says_that_it_is_synthetic(configure: Any) -> None:
    extraction = extract(configure(sample_rows=500))
    assert extraction.kind == "sample"
    assert extraction.synthetic
    assert extraction.months == ("2023-12", "2024-01", "2024-02")
    for file in extraction.files:
        assert "synthetic" in file.name
        assert file.rows == 500
        assert pq.read_schema(file.uri).metadata[b"synthetic"] == b"true"


def test_the_same_settings_give_the_same_bytes_in_any_home(configure: Any) -> None:
    first = extract(configure(sample_rows=500))
    other = configure(sample_rows=500).model_copy(update={"home": Path(first.files[0].uri + ".d")})
    second = extract(other)
    assert [file.sha256 for file in first.files] == [file.sha256 for file in second.files]
    assert first != second


def test_a_sample_is_generated_once(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configure(sample_rows=500)
    first = extract(settings)
    monkeypatch.setattr("mlops.datasets.taxi.sources.sample.iter_month", pytest.fail)
    assert extract(settings) == first


@pytest.mark.parametrize("change", [{"sample_seed": 8}, {"sample_rows": 501}, {"taxi": "yellow"}])
def test_other_settings_are_other_files(configure: Any, change: dict[str, Any]) -> None:
    base = {"sample_rows": 500, "months": "2024-01"}
    first, second = extract(configure(**base)), extract(configure(**base | change))
    assert first.files[0].sha256 != second.files[0].sha256
    assert Path(first.files[0].uri).exists()


def test_drift_changes_the_last_month_only(configure: Any) -> None:
    steady = extract(configure(sample_rows=500)).files
    drifting = extract(configure(sample_rows=500, sample_drift=0.5)).files
    same = [a.sha256 == b.sha256 for a, b in zip(steady, drifting, strict=True)]
    assert same == [True, True, False]


def test_a_damaged_sample_is_generated_again(configure: Any) -> None:
    settings = configure(sample_rows=500, months="2024-01")
    first = extract(settings)
    Path(first.files[0].uri).write_bytes(b"PAR1")
    assert extract(settings) == first


def test_a_month_larger_than_a_chunk_is_written_chunk_by_chunk(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "CHUNK_ROWS", 1_000)
    (file,) = extract(configure(sample_rows=2_500, months="2024-01")).files
    assert pq.ParquetFile(file.uri).num_row_groups == 3
    assert len(read_trips(file.uri, "green")) == 2_500


def test_a_crash_while_writing_leaves_nothing(
    configure: Any, files_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a generator that breaks off after the first chunk
    def broken(*_: Any) -> Any:
        yield sample.generate_month("2024-01", 100, 7)
        raise KeyboardInterrupt

    settings = configure(sample_rows=200, months="2024-01")
    with monkeypatch.context() as patch:
        patch.setattr("mlops.datasets.taxi.sources.sample.iter_month", broken)
        # When it is asked for a month
        with pytest.raises(KeyboardInterrupt):
            extract(settings)
    # Then the cache holds nothing, and the next run is whole
    assert files_in(settings.cache) == {}
    assert extract(settings).files[0].rows == 200
