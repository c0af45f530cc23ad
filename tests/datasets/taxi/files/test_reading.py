"""Files of every vintage read as the same canonical trips; anything else says what is wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.data.files.conversion import NO_ZONE
from mlops.datasets.taxi.files.reading import check_trip_file, iter_trips, read_trips
from mlops.datasets.taxi.trips import FARE, REQUEST_COLUMNS, TRIP_COLUMNS
from mlops.errors import SourceError

AT = np.array(["2024-01-05T08:00:00", "2024-01-05T09:30:00"], dtype="datetime64[us]")


def green(**changes: Any) -> pa.Table:
    """Two trips in the TLC's green schema; a change of None drops the column."""
    columns: dict[str, Any] = {
        "VendorID": pa.array([1, 2], pa.int32()),
        "lpep_pickup_datetime": pa.array(AT),
        "lpep_dropoff_datetime": pa.array(AT + np.timedelta64(600, "s")),
        "store_and_fwd_flag": pa.array(["N", None]),
        "RatecodeID": pa.array([1, None], pa.int64()),
        "PULocationID": pa.array([74, 75], pa.int32()),
        "DOLocationID": pa.array([132, 265], pa.int32()),
        "passenger_count": pa.array([1, None], pa.int64()),
        "trip_distance": pa.array([1.5, 0.0]),
        "fare_amount": pa.array([10.0, -3.0]),
        "trip_type": pa.array([1, None], pa.int64()),
        **changes,
    }
    return pa.table({name: values for name, values in columns.items() if values is not None})


def yellow() -> pa.Table:
    names = {
        "lpep_pickup_datetime": "tpep_pickup_datetime",
        "lpep_dropoff_datetime": "tpep_dropoff_datetime",
    }
    table = green(trip_type=None)
    return table.rename_columns([names.get(name, name) for name in table.column_names])


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def _write(table: pa.Table, name: str = "trips.parquet") -> Path:
        pq.write_table(table, tmp_path / name)
        return tmp_path / name

    return _write


def test_green_becomes_canonical(write: Any) -> None:
    trips = read_trips(write(green()), "green")

    assert {name: str(dtype) for name, dtype in trips.dtypes.items()} == TRIP_COLUMNS
    assert trips["pickup_at"].to_numpy().tolist() == AT.tolist()
    assert trips["dropoff_zone"].tolist() == [132, 265]
    assert trips["rate_code"].isna().tolist() == [False, True]
    assert trips[FARE].tolist() == [10.0, -3.0]


def test_yellow_becomes_canonical_without_a_trip_type(write: Any) -> None:
    trips = read_trips(write(yellow()), "yellow")

    assert {name: str(dtype) for name, dtype in trips.dtypes.items()} == TRIP_COLUMNS
    assert trips["trip_type"].isna().all()
    assert trips["pickup_zone"].tolist() == [74, 75]


@pytest.mark.parametrize(
    "changes",
    [
        {"PULocationID": pa.array([74, 75], pa.int64())},
        {"PULocationID": pa.array([74.0, 75.0])},
        {"RatecodeID": pa.array([1.0, float("nan")])},
        {"lpep_pickup_datetime": pa.array(AT).cast(pa.timestamp("ns"))},
        {"lpep_pickup_datetime": pa.array(AT).cast(pa.timestamp("ms"))},
        {"passenger_count": None, "Passenger_Count": pa.array([1, None], pa.int8())},
        {"VendorID": None, "vendorid": pa.array([1, 2], pa.int64())},
        {"trip_distance": pa.array([1.5, 0.0], pa.float32())},
        {"trip_distance": pa.array(["1.5", " 0 "])},
        {"trip_distance": pa.array([Decimal("1.5"), Decimal("0.0")])},
        {"trip_distance": pa.array([b"1.5", b"0.0"])},
        {"PULocationID": pa.array(["74", "75"])},
        {"PULocationID": pa.array(["74", "75"]).dictionary_encode()},
        {"passenger_count": pa.array([1, None], pa.uint64())},
        {"lpep_pickup_datetime": pa.array(["2024-01-05 08:00:00", "2024-01-05T09:30"])},
        {"lpep_pickup_datetime": pa.array(["2024-01-05T13:00:00Z", "2024-01-05 09:30"])},
        {"lpep_pickup_datetime": pa.array(AT).cast(pa.timestamp("s")).dictionary_encode()},
    ],
    ids=lambda changes: "+".join(f"{k}:{v and v.type}" for k, v in changes.items()),
)
def test_types_and_cases_of_other_months_make_no_difference(
    write: Any, changes: dict[str, Any]
) -> None:
    expected = read_trips(write(green(), "expected.parquet"), "green")
    actual = read_trips(write(green(**changes)), "green")
    pd.testing.assert_frame_equal(actual, expected)


def test_a_column_of_nothing_but_nulls_is_missing_values(write: Any) -> None:
    trips = read_trips(write(green(passenger_count=pa.nulls(2))), "green")
    assert trips["passenger_count"].isna().all()


def test_zones_that_are_no_whole_numbers_are_left_to_the_data_contract(write: Any) -> None:
    table = green(PULocationID=pa.array([None, 74.5]), DOLocationID=pa.array([1 << 40, 132]))
    trips = read_trips(write(table), "green")
    assert trips["pickup_zone"].tolist() == [NO_ZONE, NO_ZONE]
    assert trips["dropoff_zone"].tolist() == [NO_ZONE, 132]


def test_times_with_a_zone_become_new_york_wall_clock_times(write: Any) -> None:
    utc = pa.array(AT + np.timedelta64(5, "h")).cast(pa.timestamp("us", tz="UTC"))
    trips = read_trips(write(green(lpep_pickup_datetime=utc)), "green")
    assert trips["pickup_at"].to_numpy().tolist() == AT.tolist()


def test_canonical_files_read_as_themselves(write: Any) -> None:
    # Given trips already read once
    trips = read_trips(write(green()), "green")
    # When they are written in canonical names and read as either taxi
    path = write(pa.Table.from_pandas(trips), "canonical.parquet")
    # Then nothing changes
    for taxi in ("green", "yellow"):
        pd.testing.assert_frame_equal(read_trips(path, taxi), trips)


def test_requests_need_only_when_and_where(write: Any) -> None:
    # Given a file of requests with three columns
    path = write(
        pa.table({"pickup_at": pa.array(AT), "pickup_zone": [74, 75], "dropoff_zone": [1, 2]})
    )
    # When read without labels
    requests = read_trips(path, "green", labels=False)
    # Then the rest is missing
    assert {name: str(dtype) for name, dtype in requests.dtypes.items()} == REQUEST_COLUMNS
    assert requests["trip_distance"].isna().all()
    assert check_trip_file(path, "green", labels=False) == 2
    # And as history the file is refused
    with pytest.raises(SourceError, match="trip_distance is missing"):
        check_trip_file(path, "green")


def test_only_the_columns_asked_for_are_read(write: Any) -> None:
    path = write(green(fare_amount=None))
    trips = read_trips(path, "green", ["trip_distance", "pickup_zone"])
    assert list(trips.columns) == ["trip_distance", "pickup_zone"]
    with pytest.raises(ValueError, match="not columns of a trip"):
        read_trips(path, "green", ["colour"])


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 7, 100])
def test_chunks_concatenate_to_the_whole(write: Any, chunk_rows: int) -> None:
    path = write(pa.concat_tables([green()] * 5))
    chunks = list(iter_trips(path, "green", chunk_rows))
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert 0 < len(chunks[-1]) <= chunk_rows
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), read_trips(path, "green"))


def test_urls_are_read_like_paths(write: Any) -> None:
    path = write(green())
    pd.testing.assert_frame_equal(read_trips(path.as_uri(), "green"), read_trips(path, "green"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.parquet: there is no such file"):
        check_trip_file(tmp_path / "nowhere.parquet", "green")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"\n  <?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b"VendorID,lpep_pickup_datetime\n", "the column .* is missing"),
        (b"\x00\x01\x02\x03" * 9, "neither parquet nor CSV"),
        (b"PK\x03\x04", "zip archive"),
        (b"PAR1" + b"\0" * 100, "truncated"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "cannot be read"),
    ],
    ids=["empty", "html", "xml", "csv", "binary", "zip", "truncated", "garbled"],
)
def test_what_is_not_parquet_says_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "green_tripdata_2024-01.parquet"
    path.write_bytes(content)
    for read in (check_trip_file, read_trips):
        with pytest.raises(SourceError, match=message) as caught:
            read(path, "green")
        assert path.name in caught.value.message
        assert caught.value.hint


def test_a_file_cut_short_anywhere_is_refused(write: Any) -> None:
    path = write(green())
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.raises(SourceError, match=r"empty|truncated|cannot be read|neither"):
            check_trip_file(path, "green")


def test_a_page_damaged_inside_is_refused(write: Any) -> None:
    # Given a file whose footer is whole but whose first data page is not
    path = write(green())
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    # Then reading names the file
    with pytest.raises(SourceError, match=path.name):
        read_trips(path, "green")


def test_a_file_of_the_other_taxi_says_so(write: Any) -> None:
    with pytest.raises(SourceError, match="this is a green file, but yellow") as caught:
        check_trip_file(write(green()), "yellow")
    assert "green" in caught.value.hint
    with pytest.raises(SourceError, match="this is a yellow file, but green"):
        check_trip_file(write(yellow()), "green")


@pytest.mark.parametrize("column", ["PULocationID", "trip_distance", "lpep_dropoff_datetime"])
def test_a_missing_column_is_named(write: Any, column: str) -> None:
    with pytest.raises(SourceError, match=column):
        check_trip_file(write(green(**{column: None})), "green")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("trip_distance", pa.array([[1.5], [2.5]])),
        ("PULocationID", pa.array([{"zone": 74}, {"zone": 75}])),
        ("lpep_pickup_datetime", pa.array(AT).cast(pa.date32())),
        ("lpep_pickup_datetime", pa.array([1704441600, 1704447000])),
        ("fare_amount", pa.array([True, False])),
    ],
)
def test_a_column_of_the_wrong_type_is_named(write: Any, column: str, values: Any) -> None:
    with pytest.raises(SourceError, match=f"{column} holds .*, not a"):
        check_trip_file(write(green(**{column: values})), "green")


@pytest.mark.real_data
def test_real_months_have_their_published_rows(real_data: Path) -> None:
    january = real_data / "green" / "green_tripdata_2024-01.parquet"
    assert check_trip_file(january, "green") == 56_551
    chunks = list(iter_trips(january, "green", 20_000))
    assert [len(chunk) for chunk in chunks] == [20_000, 20_000, 16_551]
    assert {name: str(dtype) for name, dtype in chunks[0].dtypes.items()} == TRIP_COLUMNS
