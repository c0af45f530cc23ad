"""Requests about taxi trips; see `mlops.serving.forms.form.RequestForm`."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from mlops.errors import MlopsError
from mlops.inference.trip import TripRequest
from mlops.serving.answers.answering import (
    Answer,
    answer_many,
    answer_one,
    many_as_json,
    one_as_json,
)
from mlops.serving.answers.errors import FieldsError, RequestError
from mlops.serving.answers.explaining import explained
from mlops.serving.answers.limits import RequestRules
from mlops.serving.answers.plain_lists import Trips
from mlops.serving.answers.requests import TripList, parse_body
from mlops.serving.answers.routing import Version
from mlops.serving.forms import zones
from mlops.serving.forms.form import THREAD_BYTES, ApiDescription, Lookup
from mlops.serving.forms.trip_replies import (
    ManyExplanations,
    ManyPredictions,
    SingleExplanation,
    SinglePrediction,
    Validation,
    ZoneReply,
)
from mlops.serving.log.rows import DEFAULT_LOG
from mlops.serving.model.compiled import CompiledModel
from mlops.serving.model.served_trips import ServedTrips
from mlops.settings import Settings

_TRIP: dict[str, Any] = {
    "pickup_at": "2024-03-01T17:45:00",
    "pickup_zone": 74,
    "dropoff_zone": 161,
    "trip_distance": 3.2,
    "passenger_count": 1,
    "rate_code": 1,
    "trip_type": 1,
    "vendor_id": 2,
}
_SHORT_TRIP: dict[str, Any] = {
    "trip_id": "a-17",
    "pickup_at": "2024-03-01T08:30:00-05:00",
    "pickup_zone": 74,
    "dropoff_zone": 166,
}


class TripForm:
    """Reads requests about trips and writes minutes.

    Args:
        settings: `settings.serving` and the data contract's limits.
    """

    log = DEFAULT_LOG

    def __init__(self, settings: Settings) -> None:
        self._max_trips = settings.serving.max_trips
        self._rules = RequestRules.of(settings)

    @cached_property
    def api(self) -> ApiDescription:
        """What it looks like from outside."""
        return ApiDescription(
            title="Taxi trip durations",
            description="Predicts minutes from pickup to dropoff, with an 80 % prediction"
            " interval.",
            requests=(TripRequest, TripList),
            posts={
                "/predict": ("Predict durations", (SinglePrediction, ManyPredictions)),
                "/explain": (
                    "Explain predictions of the champion",
                    (SingleExplanation, ManyExplanations),
                ),
                "/validate": ("Check a request without predicting", (Validation,)),
            },
            examples={
                "one trip": _TRIP,
                "without a distance": _SHORT_TRIP,
                "a list": {"trips": [_TRIP, _SHORT_TRIP]},
            },
            too_many="too many trips or bytes",
            lookups=(
                Lookup(
                    "/zones", "The taxi zones of requests", ZoneReply, zones.rows, zones.section
                ),
            ),
        )

    def require(self, model: CompiledModel) -> None:
        """Make sure that a model is one of trips.

        Raises:
            MlopsError: If it is not.
        """
        if not isinstance(model.encoder, ServedTrips):
            raise MlopsError(
                f"version {model.version} does not predict taxi trips",
                "serve it under the name of its dataset: mlops serve --dataset NAME",
            )

    def read(self, body: bytes, as_of: datetime | None) -> tuple[TripRequest | Trips, Any]:
        """Read one trip or a list, and hold it to the rules."""
        known = as_of or datetime.min  # a model of trips always has a past
        try:
            trips = parse_body(body, self._max_trips)
        except FieldsError as error:
            raise self._rules.with_broken_rules(error, known) from error
        if isinstance(trips, Trips):
            return trips, self._rules.check_columns(trips.columns, known)
        if len(body) >= THREAD_BYTES:  # one trip is answered by one thread only
            raise RequestError(413, "body", "is too large for one trip")
        return trips, self._rules.check(trips, known)

    def ask(self, version: Version, asked: TripRequest | Trips) -> Answer:
        """Ask a version."""
        if isinstance(asked, Trips):
            return answer_many(version, asked)
        return answer_one(version, asked)

    def write(
        self,
        answer: Answer,
        asked: TripRequest | Trips,
        flags: Any,
        version: Version,
        role: str,
        request_id: str,
    ) -> bytes:
        """Write an answer."""
        if isinstance(asked, Trips):
            return many_as_json(answer, asked, flags, version, role, request_id)
        return one_as_json(answer, asked, flags, version, role, request_id)

    def explain(self, version: Version, asked: TripRequest | Trips, request_id: str) -> bytes:
        """Explain predictions."""
        return explained(version, asked, request_id)

    def validated(self, asked: TripRequest | Trips, flags: Any) -> bytes:
        """Say that a request would be answered."""
        number, flagged = 1, int(bool(flags))
        if isinstance(asked, Trips):
            number, flagged = len(asked), len(flags)
        return b'{"trips":%d,"flagged":%d}' % (number, flagged)
