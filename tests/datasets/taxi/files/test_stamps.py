"""Times that are not what they are taken for are noticed, and those that are cause no word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.data.references import Extraction
from mlops.datasets.taxi.clock import to_new_york, to_utc
from mlops.datasets.taxi.contract.validation import validate
from mlops.datasets.taxi.files.stamps import contradiction
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.sources.cache import describe
from mlops.errors import DataQualityError
from mlops.settings import load_settings

PICKUP = "lpep_pickup_datetime"


@given(at=st.datetimes(pd.Timestamp("2009-01-01"), pd.Timestamp("2036-12-31")))
def test_instants_and_wall_clocks_follow_the_time_zone_database(at: Any) -> None:
    expected = pd.Timestamp(at, tz="UTC").tz_convert("America/New_York")
    there = to_new_york(np.array([at], "datetime64[us]"))
    assert there[0] == np.datetime64(expected.tz_localize(None).to_pydatetime(), "us")
    if not expected.fold:
        assert to_utc(there)[0] == np.datetime64(at, "us")


@pytest.mark.parametrize("month", ["2024-01", "2023-03", "2023-11"])
@pytest.mark.parametrize("stamped", ["instants", "as UTC", "none", "instants without a zone"])
def test_only_times_that_are_taken_wrongly_are_refused(
    tmp_path: Path, month: str, stamped: str
) -> None:
    # Given a month of which the times are stamped rightly or wrongly
    table = generate_month(month, 3_000, 7, "green")
    for place, name in enumerate(table.column_names):
        if not name.endswith("datetime"):
            continue
        wall = table.column(name).to_numpy()
        times = to_utc(wall) if stamped.startswith("instants") else wall
        zone = "UTC" if stamped in ("instants", "as UTC") else None
        table = table.set_column(place, name, pa.array(times, pa.timestamp("us", tz=zone)))
    path = tmp_path / "trips.parquet"
    pq.write_table(table, path)
    extraction = Extraction(
        kind="path",
        taxi="green",
        synthetic=False,
        files=(describe(path, "green", month, path.name),),
    )

    def validated(clock: str) -> Any:
        settings = load_settings(
            {"home": str(tmp_path / "home"), "validation.clock": clock, "validation.min_rows": 1}
        )
        return validate(extraction, settings).quality.rows_kept

    # When it is validated
    if stamped in ("instants", "none"):
        assert validated("auto") > 2_500
        return
    # Then the wrong ones are refused with what to set, which helps
    instead = "new_york" if stamped == "as UTC" else "utc"
    with pytest.raises(DataQualityError, match=r"trips\.parquet: the times carry") as caught:
        validated("auto")
    assert f"validation.clock={instead};" in caught.value.hint
    assert validated(instead) > 2_500


def test_few_trips_and_trips_at_all_hours_say_nothing() -> None:
    hours = pd.Series(pd.date_range("2024-01-02", periods=3_000, freq="7min"))
    assert contradiction(hours, True, "2024-01") == contradiction(hours, False, "2024-01") == ""
    assert contradiction(hours.iloc[:0], True) == ""


@pytest.mark.real_data
def test_no_real_month_is_suspected(real_data: Path) -> None:
    for path in sorted((real_data / "green").glob("*.parquet")):
        pickups = pd.read_parquet(path, columns=[PICKUP])[PICKUP]
        assert contradiction(pickups, False, path.stem[-7:]) == ""
