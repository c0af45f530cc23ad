"""The files of a dataset are found by month or all together, and each problem is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from mlops.datasets.declared.preparing.extracting import as_extracted, extract
from mlops.errors import ConfigurationError, SourceError
from mlops.settings import Settings
from tests.datasets.declared.deliveries import deliveries
from tests.datasets.declared.preparing.conftest import rows_of_days

Configured = Callable[..., Settings]


def test_all_months_that_there_are_or_those_asked_for(
    configured: Configured, location: str
) -> None:
    found = extract(deliveries(), configured())

    assert (found.dataset, found.kind, found.taxi) == ("deliveries", "path", "")
    assert found.months == ("2024-02", "2024-03")
    for file in found.files:
        content = Path(file.uri).read_bytes()
        assert file.uri == location.replace("{month}", file.month)
        assert file.name == f"deliveries_{file.month}.csv"
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert sum(file.rows for file in found.files) == len(rows_of_days())
    assert extract(deliveries(), configured(months="2024-03")).months == ("2024-03",)


def test_months_that_were_found_are_asked_for_the_next_time(configured: Configured) -> None:
    settings = configured()
    extraction = extract(deliveries(), settings)
    assert as_extracted(settings, extraction).source.months == "2024-02..2024-03"
    assert "months" not in settings.source.model_fields_set  # what is remembered may replace it
    assert extract(deliveries(), configured(months="all")) == extraction
    asked = configured(months="2024-03")
    assert as_extracted(asked, extraction) == asked


def test_missing_months_are_named_and_so_are_those_that_there_are(configured: Configured) -> None:
    with pytest.raises(SourceError, match=r"no file for 2024-04, 2024-05 .*2024-02, 2024-03\)"):
        extract(deliveries(), configured(months="2024-03..2024-05"))
    with pytest.raises(SourceError, match="no file of any month"):
        extract(deliveries(), configured(location="/nowhere/{month}/a.csv"))
    with pytest.raises(SourceError, match="there is no such file"):
        extract(deliveries(), configured(location="/nowhere/a.csv"))


def test_a_column_that_is_gone_or_of_another_type_is_named(
    configured: Configured, location: str
) -> None:
    file = Path(location.replace("{month}", "2024-03"))
    rows = rows_of_days()
    rows.rename(columns={"quoted": "quote"}).to_csv(file, index=False)
    with pytest.raises(SourceError, match=rf"{file}: the column quoted .*nearest one is quote\)"):
        extract(deliveries(), configured())
    rows.assign(quoted="soon").to_csv(file, index=False)
    with pytest.raises(SourceError, match=rf"{file}.*quoted"):
        extract(deliveries(), configured())


def test_a_folder_of_parts_and_several_files_hold_rows_of_any_time(
    configured: Configured, tmp_path: Path
) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in range(2):
        rows_of_days(1 + number).to_parquet(parts / f"{number}.parquet")
    single = tmp_path / "one, more.csv"
    rows_of_days(1).to_csv(single, index=False)

    found = extract(deliveries(), configured(location=f'["{parts}", "{single}"]'))

    names = ["parts/0.parquet", "parts/1.parquet", "one, more.csv"]
    assert [file.name for file in found.files] == names
    assert {file.month for file in found.files} == {""}


def test_a_remote_file_is_copied_and_again_when_it_changes(configured: Configured) -> None:
    files = fsspec.filesystem("memory")
    settings = configured(location="memory://bucket/[x]/deliveries_{month}.csv")

    def extracted(days: int) -> tuple[str, int]:
        with files.open("/bucket/[x]/deliveries_2024-02.csv", "w") as stream:
            rows_of_days(days).to_csv(stream, index=False)
        (file,) = extract(deliveries(), settings).files
        assert Path(file.uri).is_relative_to(settings.cache)
        return file.sha256, file.rows

    first, second = extracted(1), extracted(2)
    assert first[1] == 12 and second[1] == 24 and first[0] != second[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "{by: random, validation: 0.2, test: 0.3}"}, "declares histories and splits"),
        ({"context": "{split: category, depot: category}"}, "a column is called split"),
    ],
)
def test_what_cannot_be_prepared_is_refused_before_anything_is_read(
    configured: Configured, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        extract(deliveries(**changes), configured(location="/nowhere/a.csv"))
