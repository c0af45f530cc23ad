"""A request for one prediction, as JSON: strict types here, the data contract's rules after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)

from mlops.data.rules import RULES, meaning_of
from mlops.data.trips import REQUEST_COLUMNS
from mlops.data.validation import REASONS, split_requests
from mlops.errors import DataQualityError
from mlops.settings import Settings

NEW_YORK = ZoneInfo("America/New_York")


def _wall_clock(value: Any) -> datetime:
    """Read ISO 8601; a time with an offset becomes local time in New York, as in the TLC's files.

    Numbers are refused: whether they count seconds or milliseconds is a guess.
    """
    if isinstance(value, str):
        try:
            # Python 3.10 does not know the Z of ISO 8601.
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        raise ValueError("must be a time in ISO 8601, e.g. 2024-03-01T08:30:00")
    return value.astimezone(NEW_YORK).replace(tzinfo=None) if value.tzinfo else value


# Within the type of the column, or a huge number would wrap around to a real zone.
Zone = Annotated[StrictInt, Field(ge=-(2**31), lt=2**31)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None


class TripRequest(BaseModel):
    """What is known of a trip at pickup; everything but time and zones may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trip_id: StrictInt | StrictStr | None = None
    pickup_at: Annotated[datetime, BeforeValidator(_wall_clock)]
    pickup_zone: Zone
    dropoff_zone: Zone
    trip_distance: Number = None  # miles, estimated
    passenger_count: Number = None
    rate_code: Number = None
    trip_type: Number = None
    vendor_id: Number = None


def parse_requests(
    records: Sequence[Any], settings: Settings
) -> tuple[list[TripRequest], pd.DataFrame]:
    """Turn JSON records into requests that a model can answer.

    Args:
        records: One JSON object per trip.
        settings: `settings.validation` holds the limits.

    Returns:
        The requests, and the same as a frame of `REQUEST_COLUMNS` in the same order.

    Raises:
        DataQualityError: Naming the index of the first bad record, the field and the rule.
    """
    requests = [_parse(index, record) for index, record in enumerate(records)]
    frame = pd.DataFrame(
        [[getattr(request, name) for name in REQUEST_COLUMNS] for request in requests],
        columns=list(REQUEST_COLUMNS),
    ).astype(REQUEST_COLUMNS)
    _, bad = split_requests(frame, settings)
    if len(bad):
        broken = str(bad[REASONS].iloc[0]).split("; ")
        meanings = [meaning_of(r, settings.validation) for r in RULES if r.name in broken]
        raise DataQualityError(
            f"record {bad.index[0]} breaks {'; '.join(broken)}", f"see that {'; '.join(meanings)}"
        )
    return requests, frame


def _parse(index: int, record: Any) -> TripRequest:
    try:
        return TripRequest.model_validate(record)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'][:1]) or 'the record'}: {e['msg']}"
            for e in error.errors()
        )
        raise DataQualityError(
            f"record {index}: {problems}",
            f"a record has pickup_at, pickup_zone and dropoff_zone, and may have"
            f" {', '.join(n for n, f in TripRequest.model_fields.items() if not f.is_required())}",
        ) from error
