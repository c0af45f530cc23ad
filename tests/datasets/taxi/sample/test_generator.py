"""The sample is deterministic, whole, drifts only when asked, and looks like real months."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.data.months import month_bounds
from mlops.datasets.taxi.sample import generator as sample
from mlops.datasets.taxi.sample.calibration import load_calibration
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.sample.schema import SYNTHETIC_MARK

MONTHS = st.builds("{}-{:02d}".format, st.integers(2019, 2030), st.integers(1, 12))


def canonical(table: pa.Table) -> pd.DataFrame:
    """Short names and derived columns, for the comparisons below."""
    trips = table.to_pandas()
    pickup, dropoff = trips["lpep_pickup_datetime"], trips["lpep_dropoff_datetime"]
    trips["minutes"] = (dropoff - pickup).dt.total_seconds() / 60
    trips["hour"] = pickup.dt.hour
    trips["weekday"] = pickup.dt.weekday
    trips["mph"] = trips["trip_distance"] / trips["minutes"] * 60
    return trips


@settings(max_examples=25, deadline=None)
@given(MONTHS, st.integers(1, 3_000), st.integers(0, 1_000), st.floats(0, 1))
def test_any_month_of_any_size_is_reproducible_and_within_its_month(
    month: str, rows: int, seed: int, drift: float
) -> None:
    table = generate_month(month, rows, seed, drift=drift)

    assert table.num_rows == rows
    assert table.equals(generate_month(month, rows, seed, drift=drift))
    start, end = month_bounds(month)
    pickup = table["lpep_pickup_datetime"].to_numpy()
    # Only the rare rows dated before their month lie outside it, as in real files.
    assert (pickup < np.datetime64(end)).all()
    assert (pickup < np.datetime64(start)).sum() <= 1 + rows * 0.005
    zones = np.r_[table["PULocationID"], table["DOLocationID"]]
    assert zones.min() >= 1
    assert zones.max() <= 265


def test_seed_month_and_taxi_each_give_other_trips() -> None:
    def distances(**changes: Any) -> list[float]:
        arguments = {"month": "2024-01", "rows": 500, "seed": 7, **changes}
        return generate_month(**arguments)["trip_distance"].to_pylist()

    base = distances()
    assert distances(seed=8) != base
    assert distances(month="2024-02") != base
    assert distances(taxi="yellow") != base


def test_every_table_says_that_it_is_synthetic() -> None:
    table = generate_month("2024-01", 100, 7)
    assert table.schema.metadata == SYNTHETIC_MARK


def test_yellow_has_yellow_names() -> None:
    names = generate_month("2024-01", 100, 7, taxi="yellow").column_names
    assert {"tpep_pickup_datetime", "tpep_dropoff_datetime", "Airport_fee"} <= set(names)
    assert not {"trip_type", "ehail_fee", "lpep_pickup_datetime"} & set(names)


def test_a_month_larger_than_a_chunk_is_the_chunks_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample, "CHUNK_ROWS", 1_000)
    tables = list(sample.iter_month("2024-01", 2_500, 7))
    assert [table.num_rows for table in tables] == [1_000, 1_000, 500]
    assert not tables[0].equals(tables[1])
    assert pa.concat_tables(tables).equals(generate_month("2024-01", 2_500, 7))


def test_codes_are_missing_together() -> None:
    trips = canonical(generate_month("2024-01", 20_000, 7))
    missing = trips[["RatecodeID", "passenger_count", "trip_type", "payment_type"]].isna()
    assert (missing.sum(axis=1).isin([0, 4])).all()
    assert 0.05 < missing["RatecodeID"].mean() < 0.09


def test_every_kind_of_error_occurs() -> None:
    trips = canonical(generate_month("2024-01", 200_000, 7))
    found = {
        "before its month": (trips["lpep_pickup_datetime"] < "2024-01-01").mean(),
        "reversed": (trips["fare_amount"] < 0).mean(),
        "aborted": (trips["minutes"] < 1).mean(),
        "over an hour": (trips["minutes"] > 60).mean(),
        "next day": (trips["minutes"] > 1_200).mean(),
        "no distance": (trips["trip_distance"] == 0).mean(),
        "huge distance": (trips["trip_distance"] > 1_000).mean(),
        "unknown pickup": trips["PULocationID"].isin([264, 265]).mean(),
        "unknown dropoff": trips["DOLocationID"].isin([264, 265]).mean(),
        "duplicate": trips.duplicated().mean(),
    }
    assert {name: share for name, share in found.items() if not 2e-5 < share < 0.06} == {}


def test_drift_grows_over_the_month() -> None:
    # Given the same month without and with drift
    steady = canonical(generate_month("2024-02", 60_000, 7))
    drifting = canonical(generate_month("2024-02", 60_000, 7, drift=1.0))

    def ratio(column: str, days: slice) -> float:
        medians = [
            trips.set_index("lpep_pickup_datetime").sort_index().loc[days, column].median()
            for trips in (drifting, steady)
        ]
        return float(medians[0] / medians[1])

    first, last = slice("2024-02-01", "2024-02-03"), slice("2024-02-26", "2024-02-29")
    # Then its first days are as they were, and its last are slower and longer
    assert ratio("minutes", first) == pytest.approx(1, abs=0.1)
    assert ratio("trip_distance", first) == pytest.approx(1, abs=0.1)
    assert ratio("minutes", last) > 1.4
    assert ratio("trip_distance", last) > 1.25
    assert ratio("mph", last) < 0.97
    # And routes are rarer
    known = load_calibration()
    frequent = set(zip(known.pair_pickup, known.pair_dropoff, strict=True))

    def rare_share(trips: pd.DataFrame) -> float:
        late = trips[trips["lpep_pickup_datetime"] > "2024-02-26"]
        pairs = zip(late["PULocationID"], late["DOLocationID"], strict=True)
        return float(np.mean([pair not in frequent for pair in pairs]))

    assert rare_share(drifting) > rare_share(steady) + 0.2


def real_months(real_data: Path) -> dict[str, pa.Table]:
    files = sorted((real_data / "green").glob("green_tripdata_*.parquet"))
    return {path.stem[-7:]: pq.read_table(path) for path in files}


@pytest.mark.real_data
def test_the_schema_is_the_tlc_s(real_data: Path) -> None:
    schema = pq.read_schema(next((real_data / "green").glob("*2024-02.parquet")))
    ours = generate_month("2024-02", 100, 7).schema
    assert {f.name: str(f.type) for f in ours} == {f.name: str(f.type) for f in schema}


@pytest.mark.real_data
def test_marginals_are_those_of_real_months(real_data: Path) -> None:
    # Given the real months and as many synthetic trips in each
    real = real_months(real_data)
    ours, theirs = (
        pd.concat([canonical(table) for table in tables], ignore_index=True)
        for tables in (
            [generate_month(month, table.num_rows, 7) for month, table in real.items()],
            real.values(),
        )
    )

    # Then shares of kinds of rows agree
    def shares(trips: pd.DataFrame) -> pd.Series:
        minutes, miles = trips["minutes"], trips["trip_distance"]
        return pd.Series(
            {
                "kept (1 to 60 minutes)": minutes.between(1, 60).mean(),
                "aborted": (minutes < 1).mean(),
                "over an hour": (minutes > 60).mean(),
                "next day": (minutes > 1_200).mean(),
                "no distance": (miles == 0).mean(),
                "huge distance": (miles > 100).mean(),
                "reversed": (trips["fare_amount"] < 0).mean(),
                "unknown dropoff": (trips["DOLocationID"] > 263).mean(),
                "no codes": trips["RatecodeID"].isna().mean(),
                "within a zone": (trips["PULocationID"] == trips["DOLocationID"]).mean(),
                "vendor 2": (trips["VendorID"] == 2).mean(),
                "dispatched": (trips["trip_type"] == 2).mean(),
                "one passenger": (trips["passenger_count"] == 1).mean(),
                "100 busiest pairs": trips.groupby(["PULocationID", "DOLocationID"])
                .size()
                .nlargest(100)
                .sum()
                / len(trips),
            }
        )

    difference = (shares(ours) - shares(theirs)).abs()
    allowed = 0.2 * shares(theirs).clip(upper=0.05) + 0.005 * (shares(theirs) > 0.05)
    assert difference[difference > allowed].to_dict() == {}

    # And quantiles of plausible trips
    def quantiles(trips: pd.DataFrame) -> pd.Series:
        plausible = trips[
            trips["minutes"].between(1, 60) & trips["trip_distance"].between(0.01, 100)
        ]
        columns = plausible[["minutes", "trip_distance", "mph", "fare_amount"]]
        return columns.quantile([0.05, 0.25, 0.5, 0.75, 0.95]).stack()

    ratio = quantiles(ours) / quantiles(theirs)
    assert ratio[(ratio - 1).abs() > 0.12].to_dict() == {}

    # And when and where trips begin (half the sum of absolute differences of shares)
    for column in ("hour", "weekday", "PULocationID", "DOLocationID"):
        a, b = (trips[column].value_counts(normalize=True) for trips in (ours, theirs))
        assert a.sub(b, fill_value=0).abs().sum() / 2 < 0.03, column

    # And rush hour is slower than night by about as much
    def rush(trips: pd.DataFrame) -> float:
        medians = trips[trips["minutes"].between(1, 60)].groupby("hour")["mph"].median()
        return float(medians[17] / medians[4])

    assert rush(ours) == pytest.approx(rush(theirs), rel=0.15)
