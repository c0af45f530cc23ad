"""New rows arrive as files of months, or in files that grow."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.data.origins import TripOrigin
from mlops.datasets.declared.watched.arriving import RowsArriving
from mlops.errors import SourceError
from mlops.settings import Settings
from tests.datasets.declared.deliveries import deliveries, frame_of
from tests.datasets.declared.test_histories import ROW

TODAY = date(2024, 5, 20)


def write(path: Path, *events: datetime, **more: Any) -> pd.DataFrame:
    rows = frame_of(
        [
            {**ROW, "order": f"{path.stem} {n}", "ordered_at": at, "minutes": 5.0 + n, **more}
            for n, at in enumerate(events)
        ]
    )
    rows.to_csv(path, index=False)
    return rows


def arriving(folder: Path, location: str) -> RowsArriving:
    definition = deliveries(histories="{}").with_source(str(folder / location))
    return RowsArriving(definition, Settings(home=folder / "home"))


def test_a_file_of_a_month_arrives_when_it_lies_there(tmp_path: Path) -> None:
    for month in (3, 4, 5):
        write(tmp_path / f"d_2024-{month:02}.csv", datetime(2024, month, 2), datetime(2024, 4, 9))
    source = arriving(tmp_path, "d_{month}.csv")

    there = source.there(["2024-04", "2024-06"], TODAY)

    assert {month: [file.name for file in files] for month, files in there.items()} == {
        "2024-04": ["d_2024-04.csv"]
    }
    assert [*source.after("2024-03", TODAY)] == ["2024-04", "2024-05"]
    rows = source.rows(there["2024-04"])
    assert rows["minutes"].tolist() == [5, 6] and rows["ordered_at"].dtype == "datetime64[us]"
    asked = rows.drop(columns=["minutes"])
    assert source.actual(there["2024-04"]).label(asked)["minutes"].tolist() == [5, 6]
    assert source.origin == TripOrigin("", synthetic=False, dataset="deliveries")


def test_a_file_that_grows_holds_every_month_it_has_rows_of(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    write(file, datetime(2024, 3, 2), datetime(2024, 4, 9))
    source = arriving(tmp_path, "d.csv")
    before = source.there(["2024-04"], TODAY)["2024-04"]

    write(file, datetime(2024, 3, 2), datetime(2024, 4, 9), datetime(2024, 5, 1))
    write(file, *(datetime(2024, month, 3) for month in (3, 4, 5, 6)))

    after = source.after("2024-03", TODAY)
    assert [*after] == ["2024-04", "2024-05"]  # June is in the future
    assert after["2024-04"] == after["2024-05"]
    assert after["2024-04"][0].sha256 != before[0].sha256
    assert source.there([], TODAY) == {} and source.after("2024-06", TODAY) == {}


def test_a_column_that_is_gone_is_named(tmp_path: Path) -> None:
    write(tmp_path / "d_2024-04.csv", datetime(2024, 4, 2))
    frame = pd.read_csv(tmp_path / "d_2024-04.csv").drop(columns="city")
    frame.to_csv(tmp_path / "d_2024-04.csv", index=False)

    with pytest.raises(SourceError, match=r"d_2024-04\.csv: the column city is missing"):
        arriving(tmp_path, "d_{month}.csv").there(["2024-04"], TODAY)
