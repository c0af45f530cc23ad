"""The canonical trip: the column names and types every other module agrees on.

Green and yellow files name their columns differently; sources translate them to these names once,
and nothing downstream knows the difference.
"""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

NEW_YORK: Final = ZoneInfo("America/New_York")  # whose wall clock trips are told by

PICKUP_AT: Final = "pickup_at"
DROPOFF_AT: Final = "dropoff_at"
PICKUP_ZONE: Final = "pickup_zone"
DROPOFF_ZONE: Final = "dropoff_zone"
DISTANCE: Final = "trip_distance"
PASSENGERS: Final = "passenger_count"
RATE_CODE: Final = "rate_code"
TRIP_TYPE: Final = "trip_type"
VENDOR: Final = "vendor_id"
FARE: Final = "fare_amount"
TARGET: Final = "duration_minutes"
TRIP_ID: Final = "trip_id"

# What a caller knows at pickup, hence what a model may see. Distance is the meter's in history and
# the estimated one in a request; every column but the first three may be missing.
REQUEST_COLUMNS: Final[dict[str, str]] = {
    PICKUP_AT: "datetime64[us]",  # local wall-clock time in New York, no time zone
    PICKUP_ZONE: "int32",  # TLC taxi zone, 1 to 265
    DROPOFF_ZONE: "int32",
    DISTANCE: "float64",  # miles
    PASSENGERS: "float64",
    RATE_CODE: "float64",
    TRIP_TYPE: "float64",  # 1 street hail, 2 dispatch; missing in yellow files
    VENDOR: "float64",
}
OPTIONAL: Final = (DISTANCE, PASSENGERS, RATE_CODE, TRIP_TYPE, VENDOR)  # others must be there

# What history adds: the label and what validation needs, never a feature.
TRIP_COLUMNS: Final[dict[str, str]] = {
    **REQUEST_COLUMNS,
    DROPOFF_AT: "datetime64[us]",
    FARE: "float64",
}

# TLC names per taxi type → canonical names.
TLC_COLUMNS: Final[dict[str, dict[str, str]]] = {
    taxi: {
        f"{prefix}_pickup_datetime": PICKUP_AT,
        f"{prefix}_dropoff_datetime": DROPOFF_AT,
        "PULocationID": PICKUP_ZONE,
        "DOLocationID": DROPOFF_ZONE,
        "trip_distance": DISTANCE,
        "passenger_count": PASSENGERS,
        "RatecodeID": RATE_CODE,
        "VendorID": VENDOR,
        "fare_amount": FARE,
        **({"trip_type": TRIP_TYPE} if taxi == "green" else {}),
    }
    for taxi, prefix in {"green": "lpep", "yellow": "tpep"}.items()
}

NUMBER_OF_ZONES: Final = 265
UNKNOWN_ZONES: Final = frozenset({264, 265})
UNKNOWN_BOROUGH: Final = "Unknown"
