"""Files as they are in the world: the right trips, or a sentence that names where it is wrong."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.data.files.folders import files_of
from mlops.data.files.tables import open_table
from mlops.datasets.taxi.files.periods import pickup_quantiles
from mlops.datasets.taxi.files.reading import check_trip_file, iter_requests, iter_trips, read_trips
from mlops.errors import MlopsError, SourceError

NAMES = {
    "pickup_at": "lpep_pickup_datetime",
    "dropoff_at": "lpep_dropoff_datetime",
    "pickup_zone": "PULocationID",
    "dropoff_zone": "DOLocationID",
    "trip_distance": "trip_distance",
    "passenger_count": "passenger_count",
    "rate_code": "RatecodeID",
    "trip_type": "trip_type",
    "vendor_id": "VendorID",
    "fare_amount": "fare_amount",
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gzip": gzip.compress,
    "gzip in two members": lambda c: gzip.compress(c[:50]) + gzip.compress(c[50:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


def as_csv(trips: pd.DataFrame, delimiter: str = ",") -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pandas(trips.rename(columns=NAMES), preserve_index=False)
    pa_csv.write_csv(table, sink, pa_csv.WriteOptions(delimiter=delimiter))
    return sink.getvalue()


def with_odd_values(trips: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Put numbers that are hard to write, and missing ones, into trips."""
    random = np.random.default_rng(seed)
    trips = trips.copy()
    for name in ("trip_distance", "fare_amount", "passenger_count"):
        odd = random.choice([np.nan, np.inf, -np.inf, 0.1 + 0.2, 1e-300, -0.0], len(trips))
        trips[name] = np.where(random.random(len(trips)) < 0.5, odd, random.random(len(trips)))
    trips["pickup_at"] += pd.to_timedelta(random.integers(0, 10**6, len(trips)), unit="us")
    return trips


def tell_or_read(path: Path) -> None:
    """Check and read a file; the only way to fail is to say which file, and what to do."""
    try:
        check_trip_file(path, "green")
        read_trips(path, "green")
    except SourceError as error:
        assert str(path) in error.message and error.hint


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    rows=st.integers(0, 40),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    chunk_rows=st.integers(1, 50),
)
def test_csv_holds_the_same_trips_as_parquet_bit_for_bit(
    make_trips: Any,
    seed: int,
    rows: int,
    compression: str,
    delimiter: str,
    encoding: str,
    chunk_rows: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Given the same trips as parquet and as CSV of any kind, whatever its name
        trips = with_odd_values(make_trips(rows, seed=seed), seed)
        parquet, text = Path(folder) / "a.parquet", Path(folder) / "b.dat"
        pq.write_table(pa.Table.from_pandas(trips.rename(columns=NAMES)), parquet)
        content = as_csv(trips, delimiter).decode().encode(encoding)
        text.write_bytes(COMPRESSIONS[compression](content))
        # Then they read alike, whole and in chunks
        expected = read_trips(parquet, "green")
        pd.testing.assert_frame_equal(read_trips(text, "green"), expected, check_exact=True)
        assert check_trip_file(text, "green") == rows
        chunks = [*iter_trips(text, "green", chunk_rows)]
        assert [len(chunk) for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
        if rows:
            joined = pd.concat(chunks, ignore_index=True)
            pd.testing.assert_frame_equal(joined, expected, check_exact=True)


@settings(max_examples=150, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode(errors="ignore")),
        st.binary(max_size=60).map(gzip.compress),
        st.lists(st.sampled_from([*NAMES.values(), "x", "", '"', "\n", ",", "1", "\r", "é"])).map(
            lambda parts: ",".join(parts).encode("latin-1")
        ),
    )
)
def test_any_bytes_give_trips_or_a_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "green_tripdata_2024-01.parquet"
        path.write_bytes(content)
        tell_or_read(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_damaged_anywhere_gives_trips_or_a_sentence(make_trips: Any, data: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Given a good file with some bytes changed and its end cut off
        path = Path(folder) / "trips"
        if data.draw(st.booleans()):
            pq.write_table(pa.Table.from_pandas(make_trips(30)), path)
            content = bytearray(path.read_bytes())
        else:
            packed = COMPRESSIONS[data.draw(st.sampled_from(sorted(COMPRESSIONS)))]
            content = bytearray(packed(as_csv(make_trips(30))))
        for _ in range(data.draw(st.integers(0, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        # Then nothing but a sentence can go wrong
        tell_or_read(path)


@pytest.mark.parametrize("changed", ["trip_distance", "pickup_at"])
def test_a_value_that_cannot_be_read_is_named_with_its_row(
    make_trips: Any, tmp_path: Path, changed: str
) -> None:
    # Given a value among many that is no number or time
    trips = make_trips(50).astype({changed: object})
    trips.loc[41, changed] = "far"
    lines = trips.rename(columns=NAMES).to_csv(index=False)
    path = tmp_path / "trips.csv"
    path.write_text(lines)
    # Then its row is named, also when the file is read in chunks
    said = f"trips.csv: row 42: the column {NAMES[changed]} holds 'far', which is not a"
    for chunk_rows in (7, 1_000):
        with pytest.raises(SourceError, match=said):
            [*iter_trips(path, "green", chunk_rows)]


def test_a_row_of_another_length_is_named(make_trips: Any, tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_bytes(as_csv(make_trips(5)) + b"1,2\n")
    with pytest.raises(SourceError, match=r"trips.csv: .*Row #7: Expected \d+ columns, got 2"):
        read_trips(path, "green")


@pytest.mark.parametrize(
    "name", ["a b.csv", "ü#1.csv", "50%20.csv", "q?.csv", "[1]*.csv", "a::b.csv", "new\nline", "-x"]
)
def test_any_file_name_is_read(make_trips: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(as_csv(make_trips(3)))
    assert len(read_trips(path, "green")) == len(read_trips(str(path), "green")) == 3
    pq.write_table(pa.Table.from_pandas(make_trips(3)), path)
    assert len(read_trips(path, "green")) == len(read_trips(str(path), "green")) == 3


def test_what_is_no_file_is_said_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "_SUCCESS").touch()
    for name, said in {
        "pipe": "neither a file nor a folder",
        "gone": "no such file",
        "empty": "contains no files",
        os.fsdecode(b"\xff.csv"): "not UTF-8",
    }.items():
        with pytest.raises(SourceError, match=said):
            files_of(tmp_path / name)


@pytest.mark.parametrize(
    "second", ["Trip_Distance", "trip_distance", "pickup_at", "tpep_pickup_datetime", "TRIP_ID"]
)
def test_of_two_columns_none_is_chosen(make_trips: Any, tmp_path: Path, second: str) -> None:
    # Given a file with two columns that all hold
    trips = make_trips(2).rename(columns=NAMES).assign(trip_id=["a", "b"])
    table = pa.Table.from_pandas(trips, preserve_index=False)
    names = [*table.column_names, second]
    table = pa.table([*table.columns, table.column(names.index("lpep_pickup_datetime"))], names)
    pq.write_table(table, tmp_path / "trips.parquet")
    # Then reading names both
    with pytest.raises(SourceError, match=f"trips.parquet: the columns .*{second}.* all hold "):
        [*iter_requests(tmp_path / "trips.parquet", "green", 10)]


def test_history_may_lack_what_a_trip_may_lack(make_trips: Any, tmp_path: Path) -> None:
    needed = ["pickup_at", "dropoff_at", "pickup_zone", "dropoff_zone", "trip_distance"]
    make_trips(3)[needed].to_parquet(tmp_path / "five.parquet")
    trips = read_trips(tmp_path / "five.parquet", "green")
    assert trips["passenger_count"].isna().all() and trips["fare_amount"].isna().all()
    for name in needed:
        make_trips(3)[needed].drop(columns=name).to_parquet(tmp_path / "four.parquet")
        with pytest.raises(SourceError, match=f"{name} is missing"):
            check_trip_file(tmp_path / "four.parquet", "green")


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["a", "b", "a", None]).dictionary_encode(),
        pa.array([2**62, 2, 3, None]),
        pa.array(["x", "y", "z", ""], pa.large_string()),
        pa.array([b"x", b"y", b"z", None]),
    ],
    ids=lambda ids: str(ids.type),
)
def test_ids_of_any_simple_type_come_back(make_trips: Any, tmp_path: Path, ids: Any) -> None:
    # Given ids over two row groups
    table = pa.Table.from_pandas(make_trips(4), preserve_index=False).append_column("trip_id", ids)
    pq.write_table(table, tmp_path / "trips.parquet", row_group_size=2)
    # Then each chunk has its own
    found = [chunk for chunk, _ in iter_requests(tmp_path / "trips.parquet", "green", 3)]
    expected = [v.decode() if isinstance(v, bytes) else v for v in ids.to_pylist()]
    assert [value for chunk in found for value in chunk.to_pylist()] == expected


def test_files_without_trips_have_no_period(make_trips: Any, tmp_path: Path) -> None:
    make_trips(3).iloc[:0].to_parquet(tmp_path / "none.parquet")
    with pytest.raises(SourceError, match=r"none\.parquet: there are no trips"):
        pickup_quantiles([tmp_path / "none.parquet"], "green", [0.5], "auto")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), share=st.floats(0, 1), rows=st.integers(1, 60))
def test_quantiles_counted_by_the_minute_are_those_of_the_trips(
    make_trips: Any, seed: int, share: float, rows: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trips = make_trips(rows, seed=seed)
        path = Path(folder) / "trips.parquet"
        trips.to_parquet(path)
        [found] = pickup_quantiles([path], "green", [share], "auto")
        ordered = trips["pickup_at"].sort_values().dt.floor("min").tolist()
        assert found == ordered[min(int(share * rows), rows - 1)]


_PEAK = """
import resource, sys
from mlops.datasets.taxi.files.reading import iter_trips
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(len(trips) for trips in iter_trips(sys.argv[1], "green", 50_000))
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", ["csv.gz", "parquet"])
def test_memory_does_not_grow_with_the_file(make_trips: Any, tmp_path: Path, kind: str) -> None:
    # Given a file of 2 million trips, 160 MB in memory, in a single row group
    path, repeats = tmp_path / f"trips.{kind}", 400
    trips = with_odd_values(make_trips(5_000), 1)
    if kind == "csv.gz":
        header, _, lines = as_csv(trips).partition(b"\n")
        with gzip.open(path, "wb", compresslevel=1) as stream:
            stream.write(header + b"\n")
            for _ in range(repeats):
                stream.write(lines)
    else:
        table = pa.Table.from_pandas(trips.rename(columns=NAMES), preserve_index=False)
        whole = pa.concat_tables([table] * repeats).combine_chunks()
        pq.write_table(whole, path, row_group_size=10**8, use_dictionary=False, compression="NONE")
    # When it is read in chunks by a process of its own
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True
    )
    # Then that takes little more than a chunk
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 5_000 * repeats
    assert megabytes < 120


def test_names_in_a_header_may_be_padded(make_trips: Any, tmp_path: Path) -> None:
    header, _, lines = as_csv(make_trips(3)).partition(b"\n")
    (tmp_path / "a.csv").write_bytes(b"\n" + header.replace(b",", b" , ") + b"\n" + lines)
    assert len(read_trips(tmp_path / "a.csv", "green")) == 3
    with open_table(tmp_path / "a.csv") as table:
        assert {name for name, _ in table.fields} == set(NAMES.values())
    assert issubclass(SourceError, MlopsError)
