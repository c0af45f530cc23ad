"""One trip to predict, as JSON: strict types, the same for the command line and the server.

Light on purpose: the online server's processes import it, and need neither pandas nor pandera.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr

from mlops.datasets.taxi.trips import NEW_YORK
from mlops.datasets.wall_clock import wall_clock_in

MAX_ID_LENGTH: Final = 128
# No code or count comes near it, and single precision holds it.
_LARGEST: Final = 1e9


WallClock = Annotated[
    datetime,
    BeforeValidator(wall_clock_in(NEW_YORK)),  # as in the TLC's files
    Field(description="ISO 8601. Without an offset it is local time in New York."),
]
# Within the type of the column, or a huge number would wrap around to a real zone.
Zone = Annotated[
    StrictInt,
    Field(
        ge=-(2**31),
        lt=2**31,
        description="Taxi zone of the TLC, 1 to 265. 264 is unknown, 265 outside New York City.",
    ),
]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-_LARGEST, le=_LARGEST)]
TripId = (
    Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
    | Annotated[StrictStr, Field(max_length=MAX_ID_LENGTH)]
)


class TripRequest(BaseModel):
    """What is known of a trip at pickup; everything but time and zones may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trip_id: TripId | None = Field(None, description="Returned with the answer.")
    pickup_at: WallClock
    pickup_zone: Zone
    dropoff_zone: Zone
    trip_distance: Number | None = Field(
        None, description="Estimated miles. If it is missing, the route's usual distance is used."
    )
    passenger_count: Number | None = Field(None, description="Passengers, a whole number.")
    rate_code: Number | None = Field(
        None,
        description="Tariff: 1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated,"
        " 6 group ride, 99 unknown.",
    )
    trip_type: Number | None = Field(None, description="1 is a street hail, 2 is a dispatch.")
    vendor_id: Number | None = Field(None, description="Provider of the taxi's meter.")
