"""The dress of synthetic trips: columns, types and missing values of the TLC's monthly files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from mlops.datasets.taxi.sample.calibration import Floats
from mlops.datasets.taxi.trips import TLC_COLUMNS

SYNTHETIC_MARK: Final[dict[bytes, bytes]] = {b"synthetic": b"true", b"generator": b"mlops sample"}
# The same in the rows, for copies in formats without metadata: nothing else reads that column.
MARKED_COLUMN: Final = "store_and_fwd_flag"
MARK_IN_ROWS: Final = "synthetic"


def tlc_table(trips: Mapping[str, Any], taxi: str) -> pa.Table:
    """Arrange trips in the columns and types of a monthly file, marked as synthetic.

    Args:
        trips: Arrays of one length by the names of the TLC, the times' without their prefix; NaN
            is a missing code.
        taxi: ``green`` or ``yellow``.

    Returns:
        All columns of the TLC's files; amounts that nothing depends on are plausible or zero.
    """
    prefix = next(iter(TLC_COLUMNS[taxi]))[:5]
    fare, payment = trips["fare_amount"], trips["payment_type"]
    sign, nothing = np.sign(fare), np.zeros(len(fare))
    tip = np.where(payment == 1, (0.2 * fare).round(2), 0.0).clip(min=0)
    columns: dict[str, Any] = {
        "VendorID": pa.array(trips["VendorID"].astype(np.int32)),
        f"{prefix}pickup_datetime": pa.array(trips["pickup_datetime"].astype("datetime64[us]")),
        f"{prefix}dropoff_datetime": pa.array(trips["dropoff_datetime"].astype("datetime64[us]")),
        MARKED_COLUMN: pa.array(
            np.full(len(fare), MARK_IN_ROWS), pa.large_string(), mask=np.isnan(payment)
        ),
        "RatecodeID": _code(trips["RatecodeID"]),
        "PULocationID": pa.array(trips["PULocationID"].astype(np.int32)),
        "DOLocationID": pa.array(trips["DOLocationID"].astype(np.int32)),
        "passenger_count": _code(trips["passenger_count"]),
        "trip_distance": pa.array(trips["trip_distance"]),
        "fare_amount": pa.array(fare),
        "extra": pa.array(nothing),
        "mta_tax": pa.array(0.5 * sign),
        "tip_amount": pa.array(tip),
        "tolls_amount": pa.array(nothing),
        **({"ehail_fee": pa.nulls(len(fare), pa.float64())} if taxi == "green" else {}),
        "improvement_surcharge": pa.array(sign),
        "total_amount": pa.array((fare + tip + 1.5 * sign).round(2)),
        "payment_type": _code(payment),
    }
    if taxi == "green":
        columns["trip_type"] = _code(trips["trip_type"])
    columns["congestion_surcharge"] = pa.array(nothing, mask=np.isnan(payment))
    if taxi == "yellow":
        columns["Airport_fee"] = pa.array(nothing, mask=np.isnan(payment))
    return pa.table(columns).replace_schema_metadata(SYNTHETIC_MARK)


def _code(values: Floats) -> Any:
    """Turn a code with NaN into the TLC's nullable integers."""
    missing = np.isnan(values)
    return pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)
