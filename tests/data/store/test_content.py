"""The hash of a table is about its values only, and about all of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.data.store.content import column_types, read_canonical, values_sha256
from mlops.datasets.taxi.trips import PICKUP_AT, TRIP_COLUMNS


def hash_of(table: pa.Table, **options: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        pq.write_table(table, path, **options)
        return values_sha256(read_canonical(path, PICKUP_AT))


def table_of(trips: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(trips, preserve_index=False)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 60),
    seed=st.integers(0, 1_000),
    row_group_size=st.integers(1, 70),
    compression=st.sampled_from(["none", "snappy", "zstd", "lz4"]),
)
def test_order_row_groups_and_compression_do_not_matter(
    make_trips: Any, rows: int, seed: int, row_group_size: int, compression: str
) -> None:
    trips = make_trips(rows, seed=seed)
    trips.loc[trips.index % 3 == 0, "passenger_count"] = np.nan
    shuffled = trips.sample(frac=1, random_state=seed)
    other = hash_of(table_of(shuffled), row_group_size=row_group_size, compression=compression)
    assert other == hash_of(table_of(trips))


@settings(max_examples=25, deadline=None)
@given(row=st.integers(0, 29), column=st.sampled_from(list(TRIP_COLUMNS)), missing=st.booleans())
def test_any_changed_value_matters(make_trips: Any, row: int, column: str, missing: bool) -> None:
    trips = make_trips(30)
    changed = trips.copy()
    if missing and TRIP_COLUMNS[column] != "int32":
        changed.loc[row, column] = None
    elif column.endswith("_at"):
        changed.loc[row, column] += pd.Timedelta(microseconds=1)
    else:
        changed.loc[row, column] += 1
    assert hash_of(table_of(changed)) != hash_of(table_of(trips))


def test_one_row_less_or_twice_matters(make_trips: Any) -> None:
    trips = make_trips(30)
    twice = pd.concat([trips, trips[:1]])
    assert len({hash_of(table_of(t)) for t in (trips, trips[1:], twice)}) == 3


def test_types_and_names_matter(make_trips: Any) -> None:
    trips = make_trips(10)
    narrow = trips.astype({"trip_type": "float32"})
    renamed = trips.rename(columns={"trip_type": "type"})
    assert len({hash_of(table_of(t)) for t in (trips, narrow, renamed)}) == 3


def test_missing_numbers_and_zeros_have_one_form() -> None:
    times = pa.array([1, 2], pa.timestamp("us"))

    def one(values: list[float | None]) -> str:
        numbers = pa.array(values, pa.float32(), from_pandas=False)
        return hash_of(pa.table({"pickup_at": times, "x": numbers}))

    assert one([float("nan"), 0.0]) == one([None, -0.0])
    assert one([float("nan"), 0.0]) != one([0.0, float("nan")])


def test_rows_of_one_instant_have_one_order_by_their_values() -> None:
    times = pa.array([5, 5, 5], pa.timestamp("us"))

    def of(numbers: list[float], others: list[int]) -> pa.Table:
        return pa.table({"b": others, "pickup_at": times, "a": pa.array(numbers, pa.float64())})

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "year=2024" / "t"  # a name that means nothing
        path.parent.mkdir()
        pq.write_table(of([2, float("nan"), 1], [7, 7, 7]), path)
        found = read_canonical(path, PICKUP_AT)

    assert found.column_names == ["b", "pickup_at", "a"]
    assert found.column("a").to_pylist() == [1, 2, None]
    assert hash_of(of([3, 1, 2], [1, 0, 0])) == hash_of(of([2, 3, 1], [0, 1, 0]))


TEXTS = st.lists(st.one_of(st.none(), st.text("ab\u20ac", max_size=3)), max_size=6)


@given(one=TEXTS, other=TEXTS, cut=st.integers(0, 6))
def test_texts_have_one_form_and_no_other_texts_have_it(
    one: list[str | None], other: list[str | None], cut: int
) -> None:
    # Given texts, some missing and some empty, that lie in any chunks
    def hash_of_texts(*chunks: list[str | None]) -> str:
        return values_sha256(pa.table({"t": pa.chunked_array(chunks, pa.string())}))

    # Then neither the chunks matter, nor can one text's end be taken for the beginning of the next
    assert hash_of_texts(one[:cut], one[cut:]) == hash_of_texts(one)
    assert (hash_of_texts(one) == hash_of_texts(other)) == (one == other)


def test_lists_have_no_canonical_bytes(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"pickup_at": pa.array([1], pa.timestamp("us")), "t": [["a"]]}), tmp_path / "t"
    )
    with pytest.raises(TypeError, match="column t"):
        values_sha256(pq.read_table(tmp_path / "t"))


def test_column_types_are_those_of_pandas(make_trips: Any, tmp_path: Path) -> None:
    make_trips(3).to_parquet(tmp_path / "t.parquet", index=False)
    assert column_types(tmp_path / "t.parquet") == dict(TRIP_COLUMNS)
