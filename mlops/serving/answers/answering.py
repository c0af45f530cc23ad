"""From trips to a model's answer and to its JSON. Every answer comes from exactly one version."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mlops.datasets.taxi.features.sums import MAX_MILES, MIN_MILES
from mlops.datasets.taxi.trips import DISTANCE, DROPOFF_ZONE, PICKUP_ZONE, REQUEST_COLUMNS
from mlops.inference.trip import TripRequest
from mlops.serving.answers.plain_lists import Trips
from mlops.serving.answers.routing import Version
from mlops.serving.model.served_trips import ServedTrips

FROM_ROUTE: Final = "route_history"

Flags: TypeAlias = Mapping[int, tuple[str, ...]]  # names of rules by the trip's position


class ModelFailureError(Exception):
    """A model raised, or answered something that is no finite number.

    Args:
        kind: ``exception`` or ``not_finite``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """What one version says to one request.

    Attributes:
        columns: What the caller gave: `REQUEST_COLUMNS` by name, each of length n.
        miles: The distance used for each trip: the caller's or the route's.
        imputed: Whether it is the route's, per trip.
        minutes: Shape ``(n, 3)``: prediction, lower and upper bound; bounds may be NaN.
    """

    columns: Mapping[str, Any]
    miles: Any
    imputed: Any
    minutes: Any


def answer_one(version: Version, trip: TripRequest) -> Answer:
    """Ask a version about one trip.

    Raises:
        ModelFailureError: If it cannot answer.
    """
    miles = trip.trip_distance
    imputed = miles is None or not MIN_MILES < miles <= MAX_MILES
    values = trip.__dict__
    columns = {name: (values[name],) for name in REQUEST_COLUMNS}
    try:
        if imputed:
            miles = _trips_of(version).route_miles(trip.pickup_zone, trip.dropoff_zone)
        minutes = version.model.predict_one(
            trip.pickup_at,
            trip.pickup_zone,
            trip.dropoff_zone,
            trip.trip_distance,
            trip.passenger_count,
            trip.rate_code,
            trip.trip_type,
        )
    except Exception as error:
        raise ModelFailureError("exception") from error
    if not math.isfinite(minutes[0]):
        raise ModelFailureError("not_finite")
    return Answer(columns, (miles,), (imputed,), (minutes,))


def answer_many(version: Version, trips: Trips) -> Answer:
    """Ask a version about a list of trips.

    Raises:
        ModelFailureError: If it cannot answer for all of them.
    """
    columns = trips.columns
    given = columns[DISTANCE]
    imputed = ~((given > MIN_MILES) & (given <= MAX_MILES))
    miles = given
    try:
        if imputed.any():
            route = _trips_of(version).routes_miles(columns[PICKUP_ZONE], columns[DROPOFF_ZONE])
            miles = np.where(imputed, route, given)
        minutes = version.model.predict(columns)
    except Exception as error:
        raise ModelFailureError("exception") from error
    if not np.isfinite(minutes[:, 0]).all():
        raise ModelFailureError("not_finite")
    return Answer(columns, miles, imputed, minutes)


def _trips_of(version: Version) -> ServedTrips:
    return cast(ServedTrips, version.model.encoder)


def one_as_json(
    answer: Answer,
    trip: TripRequest,
    flags: tuple[str, ...],
    version: Version,
    role: str,
    request: str,
) -> bytes:
    """Write the answer for one trip.

    Args:
        answer: For one trip.
        trip: The request.
        flags: Rules it breaks that only flag it.
        version: That answered.
        role: Of the version.
        request: The request's id; plain characters.
    """
    trip_id = "" if trip.trip_id is None else f'"trip_id":{json.dumps(trip.trip_id)},'
    return (
        f"{{{trip_id}{_minutes(answer.minutes[0])}{_remarks(answer, 0, flags)},"
        f'{_signed(version)},"role":"{role}","request_id":"{request}"}}'
    ).encode()


def many_as_json(
    answer: Answer, trips: Trips, flags: Flags, version: Version, role: str, request: str
) -> bytes:
    """Write the answers for a list, in its order; arguments as for `one_as_json`."""
    minutes: npt.NDArray[Any] = answer.minutes
    if trips.ids is None and not flags and not answer.imputed.any() and np.isfinite(minutes).all():
        # One format operation for all of them: several times faster than one per trip.
        row = '{"prediction_minutes":%.6f,"lower_minutes":%.6f,"upper_minutes":%.6f}'
        body = ",".join([row] * len(minutes)) % tuple(minutes.ravel().tolist())
    else:
        ids = trips.ids or [None] * len(minutes)
        body = ",".join(
            f"{{{'' if i is None else f'{_ID}{json.dumps(i)},'}{_minutes(row)}"
            f"{_remarks(answer, place, flags.get(place, ()))}}}"
            for place, (i, row) in enumerate(zip(ids, minutes.tolist(), strict=True))
        )
    return (
        f'{{"predictions":[{body}],{_signed(version)},"role":"{role}","request_id":"{request}"}}'
    ).encode()


def _signed(version: Version) -> str:
    synthetic = ',"synthetic":true' if version.synthetic else ""
    return f'"model_version":{version.number}{synthetic}'


_ID: Final = '"trip_id":'


def _minutes(row: Any) -> str:
    center, lower, upper = row
    if lower != lower or upper != upper:  # NaN: not calibrated
        return f'"prediction_minutes":{center:.6f},"lower_minutes":null,"upper_minutes":null'
    return (
        f'"prediction_minutes":{center:.6f},"lower_minutes":{lower:.6f},"upper_minutes":{upper:.6f}'
    )


def _remarks(answer: Answer, place: int, flags: tuple[str, ...]) -> str:
    extra = ""
    if answer.imputed[place]:
        miles = float(answer.miles[place])
        shown = f"{miles:.3f}" if math.isfinite(miles) else "null"
        extra = f',"distance_source":"{FROM_ROUTE}","miles":{shown}'
    if flags:
        extra += f',"flags":{json.dumps(flags)}'
    return extra
