"""Bytes to trips: exact types, one contract, and for lists a way that costs little per trip.

One trip goes through `TripRequest`. So does each trip of a list, unless the whole list is of the
plainest kind, which is recognised column by column at a tenth of the cost. What the recogniser
cannot vouch for it leaves to `TripRequest`: it never decides what is refused. A test holds the two
to the same answer on arbitrary lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.types import FailFast
from pydantic_core import from_json

from mlops.data.trips import PICKUP_AT, REQUEST_COLUMNS, TRIP_ID
from mlops.inference.trip import MAX_ID_LENGTH, TripRequest
from mlops.serving.errors import RequestError
from mlops.serving.limits import Columns

_LIST_FIRST: Final = re.compile(rb'\s*\{\s*"trips"')
_ONE: Final = TypeAdapter(TripRequest)
_MANY: Final[TypeAdapter[list[TripRequest]]] = TypeAdapter(Annotated[list[TripRequest], FailFast()])
_SECOND: Final = len("2024-03-01T08:30:00")
_DIGITS: Final = [i for i in range(_SECOND) if i not in (4, 7, 10, 13, 16)]
_SHOWN: Final = 100  # characters of a caller's own text in a message
_ABSENT: Final = object()
_LARGEST: Final = 1e9
_INTEGERS: Final = {"int32": (-(2**31), 2**31 - 1)}


class TripList(BaseModel):
    """Many trips in one request, answered in the same order."""

    model_config = ConfigDict(extra="forbid")

    trips: list[TripRequest] = Field(min_length=1)


@dataclass(frozen=True)
class Trips:
    """The trips of a list.

    Attributes:
        columns: `REQUEST_COLUMNS`; NaN where a request says nothing.
        ids: The trips' own ids, None where a trip has none; None if no trip has one.
    """

    columns: Columns
    ids: Sequence[int | str | None] | None

    def __len__(self) -> int:
        return len(self.columns[PICKUP_AT])


def parse_body(body: bytes, max_trips: int) -> TripRequest | Trips:
    """Read one trip, or ``{"trips": [...]}``.

    Args:
        body: JSON.
        max_trips: A longer list is refused.

    Raises:
        RequestError: 422 naming the first field that is wrong; 413 if the list is too long.
    """
    if not _LIST_FIRST.match(body):
        try:
            return _ONE.validate_json(body)
        except ValidationError as error:
            if not any(problem["loc"][:1] == ("trips",) for problem in _problems(error)):
                raise _refused(error) from error
    return _parse_list(body, max_trips)


def _parse_list(body: bytes, max_trips: int) -> Trips:
    try:
        content = from_json(body, cache_strings="none")  # measured: a cache costs more
    except ValueError as error:
        raise RequestError(422, "body", f"is not JSON: {error}") from error
    trips = content.pop("trips", None)
    if not isinstance(trips, list) or not trips:
        raise RequestError(422, "trips", "must be a list of at least one trip")
    if content:
        raise RequestError(422, _shown(next(iter(content))), "there is no such field beside trips")
    if len(trips) > max_trips:
        raise RequestError(
            413, "trips", f"{len(trips)} trips are too many: send at most {max_trips} at once"
        )
    return recognised(trips) or validated(trips)


def validated(trips: list[Any]) -> Trips:
    """Hold each trip to `TripRequest`.

    Raises:
        RequestError: Naming the first trip and field that is wrong.
    """
    try:
        requests = _MANY.validate_python(trips)
    except ValidationError as error:
        raise _refused(error, "trips") from error
    columns: Columns = {
        name: np.array([getattr(request, name) for request in requests], dtype=kind)
        for name, kind in REQUEST_COLUMNS.items()
    }
    ids = [request.trip_id for request in requests]
    return Trips(columns, ids if any(i is not None for i in ids) else None)


def recognised(trips: list[Any]) -> Trips | None:
    """Turn a list into columns if all its trips are of the plainest kind, else return None."""
    if set(map(type, trips)) != {dict}:
        return None
    values = {
        name: [trip.get(name, _ABSENT) for trip in trips] for name in (TRIP_ID, *REQUEST_COLUMNS)
    }
    given = sum(len(column) - column.count(_ABSENT) for column in values.values())
    if given != sum(map(len, trips)):  # there are other fields
        return None
    ids = values.pop(TRIP_ID)
    if not _are_ids(ids):
        return None
    columns: Columns = {}
    for name, kind in REQUEST_COLUMNS.items():
        column = _column(values[name], kind)
        if column is None:
            return None
        columns[name] = column
    some = any(i is not None and i is not _ABSENT for i in ids)
    return Trips(columns, [None if i is _ABSENT else i for i in ids] if some else None)


def _column(values: list[Any], kind: str) -> npt.NDArray[Any] | None:
    types = set(map(type, values))
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        if types != {int} or min(values) < low or max(values) > high:
            return None
        return np.array(values, dtype=kind)
    if kind == "float64":
        return _numbers(values, types)
    return _times(values) if types == {str} else None


def _numbers(values: list[Any], types: set[type]) -> npt.NDArray[Any] | None:
    empty = types - {float, int}
    if empty:
        if not empty <= {type(None), object}:
            return None
        if not types & {float, int}:
            return np.full(len(values), np.nan)
        missing = np.array([v is None or v is _ABSENT for v in values])
        values = [np.nan if v is None or v is _ABSENT else v for v in values]
    else:
        missing = np.zeros(len(values), dtype=bool)
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    return numbers if ((np.abs(numbers) <= _LARGEST) | missing).all() else None


def _times(texts: list[str]) -> npt.NDArray[Any] | None:
    """Read times that are all written like ``2024-03-01T08:30:00``."""
    if set(map(len, texts)) != {_SECOND}:
        return None
    joined = "".join(texts)
    if not joined.isascii():
        return None
    characters = np.frombuffer(joined.encode(), dtype=np.uint8).reshape(-1, _SECOND)
    digits = characters[:, _DIGITS] - ord("0")  # what is no digit wraps around to above 9
    separators = characters[:, (4, 7, 10, 13, 16)]
    no_year = (digits[:, :4] == 0).all(axis=1)  # numpy has a year 0, Python does not
    if (
        (digits > 9).any()
        or no_year.any()
        or (separators != np.frombuffer(b"--T::", dtype=np.uint8)).any()
    ):
        return None
    try:
        return np.array(texts, dtype="datetime64[us]")  # refuses what the calendar does not have
    except ValueError:
        return None


def _are_ids(ids: list[Any]) -> bool:
    types = set(map(type, ids)) - {object, type(None)}
    if not types:
        return True
    if types == {int}:
        present = [i for i in ids if type(i) is int]
        return min(present) >= -(2**63) and max(present) < 2**63
    return types == {str} and all(len(i) <= MAX_ID_LENGTH for i in ids if type(i) is str)


def _problems(error: ValidationError) -> list[Any]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _refused(error: ValidationError, place: str = "") -> RequestError:
    """Name the first field that is wrong, the way a caller knows it."""
    first = _problems(error)[0]
    location = [str(part) for part in first["loc"]]
    kind = first["type"]
    if kind == "json_invalid":
        return RequestError(422, "body", first["msg"])
    if kind in ("model_type", "model_attributes_type"):
        said = "must be an object" if place else 'must be one trip, or {"trips": [...]}'
        return RequestError(422, ".".join([place, *location]) if place else "body", said)
    # Behind the field's name come the alternatives of a union.
    depth = 2 if place else 1
    field = ".".join([place, *location[:depth]] if place else location[:depth])
    message = "there is no such field" if kind == "extra_forbidden" else first["msg"]
    return RequestError(422, _shown(field) or "body", message.removeprefix("Value error, "))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
