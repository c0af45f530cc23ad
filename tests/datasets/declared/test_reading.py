"""Files of every format become the same rows; what is wrong in them is named with its place."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.declared.reading import iter_frames, read_table, source_files
from mlops.errors import ConfigurationError, SourceError
from tests.datasets.declared.deliveries import deliveries

HEAD = (
    "order,ordered_at,delivered_at,minutes,weight,quoted,fragile,city,courier,promised_at,ready_at,"
    "depot,ignored"
)
LINES = (
    "a,2024-03-01 08:30:00,2024-03-01 09:10:00,40,1.5,30,true,Rome,7,,,north,x",
    # An instant: half past eight in Rome. A date is its midnight.
    "b,2024-03-01T07:30:00Z,,,,20,0, Milan ,,2024-03-02,2024-03-01 09:00,,y",
)


def written(folder: Path, *lines: str, head: str = HEAD, name: str = "rows.csv") -> str:
    path = folder / name
    path.write_text("\n".join([head, *lines]) + "\n")
    return str(path)


def read(path: str, **changes: str) -> pd.DataFrame:
    definition = deliveries(**changes)
    return pd.concat([*iter_frames(definition, path)], ignore_index=True)


def test_a_csv_becomes_declared_types(tmp_path: Path) -> None:
    frame = read(written(tmp_path, *LINES))

    assert "ignored" not in frame
    assert frame["ordered_at"].tolist() == [pd.Timestamp("2024-03-01 08:30")] * 2
    assert frame["promised_at"].tolist()[1] == pd.Timestamp("2024-03-02")
    assert frame["city"].tolist() == ["Rome", "Milan"]
    assert frame["courier"].tolist() == ["7", None]
    np.testing.assert_array_equal(frame["fragile"], [1.0, 0.0])
    np.testing.assert_array_equal(frame["weight"], [1.5, np.nan])
    assert {str(frame[n].dtype) for n in ("ordered_at", "ready_at")} == {"datetime64[us]"}


def test_every_format_holds_the_same_rows(tmp_path: Path) -> None:
    # Given the same rows as CSV, compressed, as a folder of parts, and as parquet of other types
    plain = written(tmp_path, *LINES)
    expected = read(plain)
    squeezed = tmp_path / "rows.csv.gz"
    squeezed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    typed = expected.assign(
        courier=[7.0, np.nan],
        fragile=[True, False],
        city=expected["city"].astype("category"),
        ordered_at=expected["ordered_at"].dt.tz_localize("Europe/Rome").dt.tz_convert("UTC"),
    )
    typed.to_parquet(tmp_path / "rows.parquet")
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, line in enumerate(LINES):
        written(folder, line, name=f"part-{number}.csv")
    (folder / "_SUCCESS").touch()

    for location in (squeezed, tmp_path / "rows.parquet", folder):
        definition = deliveries().with_source(str(location))
        pd.testing.assert_frame_equal(read_table(definition), expected)


def test_months_are_files(tmp_path: Path) -> None:
    for month, line in zip(("2024-03", "2024-04"), LINES, strict=True):
        written(tmp_path, line, name=f"rows_{month}.csv")
    definition = deliveries().with_source(str(tmp_path / "rows_{month}.csv"))

    assert read_table(definition, ["2024-04", "2024-03"])["order"].tolist() == ["b", "a"]
    with pytest.raises(SourceError, match=r"rows_2024-05.csv: there is no such file"):
        source_files(definition, "2024-05")
    with pytest.raises(ConfigurationError, match="no month is given"):
        source_files(definition)
    with pytest.raises(ConfigurationError, match=r"has no \{month\}"):
        source_files(deliveries().with_source("rows.csv"), "2024-05")


def test_frames_are_bounded(tmp_path: Path) -> None:
    path = written(tmp_path, *LINES * 5)

    frames = [*iter_frames(deliveries(), path, rows=4)]

    assert [len(frame) for frame in frames] == [4, 4, 2]


def test_requests_need_neither_labels_nor_what_is_optional(tmp_path: Path) -> None:
    path = written(tmp_path, "2024-03-01 08:30:00,30,Rome", head="ordered_at,quoted,city")

    [frame] = iter_frames(deliveries(), path, labels=False)

    assert "minutes" not in frame and "depot" not in frame
    assert frame[["order", "weight", "courier", "ready_at"]].isna().all(axis=None)
    with pytest.raises(SourceError, match=r"columns minutes, .* order \(.* are missing"):
        [*iter_frames(deliveries(), path)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("40,1.5", "40,heavy", r"row 1: the column weight holds 'heavy', which is not a number"),
        ("true", "perhaps", r"row 1: the column fragile holds 'perhaps', .* not true or false"),
        ("2024-03-01 08:30:00", "1/3/2024", r"row 1: the column ordered_at holds '1/3/2024'"),
        ("courier", "curier", r"the column courier \(the nearest one is curier\) is missing"),
        ("ignored", "weight", r"2 columns are called weight"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = Path(written(tmp_path, *LINES))
    path.write_text(path.read_text().replace(old, new, 1))

    with pytest.raises(SourceError, match=message) as caught:
        read(str(path))
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_type_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    read(written(tmp_path, *LINES)).assign(city=[["Rome"], ["Milan"]]).to_parquet(path)

    with pytest.raises(SourceError, match=r"the column city holds list.*not a simple value"):
        read(str(path))


def heavier(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(weight=frame["quoted"].astype(int) * 2, courier=["7", None])


def broken(frame: pd.DataFrame) -> Any:
    return frame["nothing"]


def test_columns_can_be_derived(tmp_path: Path) -> None:
    # Given files without a weight
    path = written(tmp_path, *LINES, head=HEAD.replace("weight", "w").replace("courier", "c"))
    here = __name__

    frame = read(path, derive=f"{here}:heavier")

    assert frame["weight"].tolist() == [60.0, 40.0]
    assert frame["weight"].dtype == np.float64
    with pytest.raises(SourceError, match=r"rows.csv: .*:broken failed: KeyError: 'nothing'"):
        read(path, derive=f"{here}:broken")
    with pytest.raises(ConfigurationError, match=r"derive: .*:absent cannot be loaded"):
        read(path, derive=f"{here}:absent")


def test_a_derived_column_of_a_wrong_type_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, *LINES, head=HEAD.replace("weight", "w"))

    with pytest.raises(SourceError, match=r"derived by .*row 1: the column weight holds 'heavy'"):
        read(path, derive=f"{__name__}:wrongly_typed")


def wrongly_typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(weight="heavy")
