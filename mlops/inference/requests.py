"""Trips as JSON records to a frame: strict types first, the data contract's rules after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from pydantic import ValidationError

from mlops.data.quality import REASONS
from mlops.datasets.taxi.contract.rules import RULES, meaning_of
from mlops.datasets.taxi.contract.validation import split_requests
from mlops.datasets.taxi.trips import REQUEST_COLUMNS
from mlops.errors import DataQualityError
from mlops.inference.trip import TripRequest
from mlops.settings import Settings


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
            f"record {bad.index[0]} breaks {'; '.join(broken)}",
            f"make sure that {'; '.join(meanings)}",
        )
    return requests, frame


def _parse(index: int, record: Any) -> TripRequest:
    try:
        return TripRequest.model_validate(record)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'][:1]) or 'the record'}: "
            + e["msg"].removeprefix("Value error, ")
            for e in error.errors()
        )
        raise DataQualityError(
            f"record {index}: {problems}",
            f"a record has pickup_at, pickup_zone and dropoff_zone, and may have"
            f" {', '.join(n for n, f in TripRequest.model_fields.items() if not f.is_required())}",
        ) from error
