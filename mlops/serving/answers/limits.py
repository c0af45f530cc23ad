"""The data contract's rules on requests, without a frame: on one trip, and on columns.

A frame costs more than the prediction. They are declared in
`mlops.datasets.taxi.contract.rules`; here is how a single trip is held to those that a request can
break, by the same names, limits and actions. A test compares the two on arbitrary trips.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from mlops.datasets.taxi.clock import is_skipped, skipped
from mlops.datasets.taxi.contract.rules import (
    FIRST_PICKUP,
    LAST_PICKUP,
    RATE_CODES,
    meaning_of,
    rules_in_force,
)
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    NEW_YORK,
    NUMBER_OF_ZONES,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    UNKNOWN_ZONES,
)
from mlops.serving.answers.errors import MAX_PROBLEMS, FieldsError, Problem
from mlops.settings import Settings

Columns = dict[str, npt.NDArray[Any]]  # `REQUEST_COLUMNS` by name, of their types, equally long

_FIRST_UNKNOWN: Final = min(UNKNOWN_ZONES)
_CLOCK_SECONDS: Final = 60  # how long "now" is good for


class Trip(Protocol):
    """What the rules look at."""

    @property
    def pickup_at(self) -> datetime:
        """Local time in New York, no time zone."""

    @property
    def pickup_zone(self) -> int:
        """TLC taxi zone."""

    @property
    def dropoff_zone(self) -> int:
        """TLC taxi zone."""

    @property
    def trip_distance(self) -> float | None:
        """Miles."""

    @property
    def passenger_count(self) -> float | None:
        """Passengers."""

    @property
    def rate_code(self) -> float | None:
        """The TLC's code of the tariff."""


class _Row(NamedTuple):
    pickup_at: datetime
    pickup_zone: int
    dropoff_zone: int
    trip_distance: float | None
    passenger_count: float | None
    rate_code: float | None


@dataclass(frozen=True)
class RequestRules:
    """Which trips are answered, and which answers carry a flag.

    Attributes:
        refusing: Rule name to its meaning in words; breaking one refuses the request.
        flagging: Names of the rules whose breach only flags a trip.
        max_miles: Largest distance.
        max_passengers: Largest count that is believed.
        days_ahead: How far in the future a pickup may lie, from now.
        days_before: How long before the end of the model's history.
    """

    refusing: dict[str, str]
    flagging: frozenset[str]
    max_miles: float
    max_passengers: int
    days_ahead: int
    days_before: int

    @classmethod
    def of(cls, settings: Settings) -> RequestRules:
        """Take limits and actions from the settings.

        Raises:
            ConfigurationError: If an action names a rule that does not exist.
        """
        limits = settings.validation
        rules = rules_in_force(limits, at_pickup=True)
        return cls(
            refusing={
                name: meaning_of(rule, limits)
                for name, rule in rules.items()
                if rule.action == "quarantine"
            },
            flagging=frozenset(name for name, rule in rules.items() if rule.action == "flag"),
            max_miles=limits.max_distance_miles,
            max_passengers=limits.max_passengers,
            days_ahead=settings.serving.max_days_ahead,
            days_before=settings.serving.max_days_before,
        )

    def check(self, trip: Trip, as_of: datetime, place: str = "") -> tuple[str, ...]:
        """Hold one trip to the rules.

        Args:
            trip: The request.
            as_of: Where the model's history ends, local time in New York.
            place: Put before the field's name in a refusal, e.g. ``trips.3.``.

        Returns:
            The names of the flagging rules it breaks.

        Raises:
            FieldsError: Naming every wrong field, and the rule that it breaks in words.
        """
        problems, flags = self._judged(trip, as_of, place)
        if problems:
            raise FieldsError(problems)
        return flags

    def check_columns(self, columns: Columns, as_of: datetime) -> dict[int, tuple[str, ...]]:
        """Hold many trips to the rules.

        Returns:
            The flags of the trips that have any, by position.

        Raises:
            FieldsError: Naming the fields that break a rule, e.g. ``trips.3.pickup_zone``.
        """
        flags = {}
        problems: list[Problem] = []
        for position in np.flatnonzero(self._remarkable(columns, as_of)).tolist():
            wrong, names = self._judged(_row(columns, position), as_of, f"trips.{position}.")
            problems += wrong
            if names:
                flags[position] = names
            if len(problems) >= MAX_PROBLEMS:
                break
        if problems:
            raise FieldsError(problems)
        return flags

    def with_broken_rules(self, error: FieldsError, as_of: datetime) -> FieldsError:
        """Add to fields that cannot be read those that can, but break a rule."""
        problems = list(error.problems)
        ordinary = {PICKUP_AT: as_of, PICKUP_ZONE: 1, DROPOFF_ZONE: 1}
        for place, fields in error.readable:
            # A field that cannot be read is already named: an ordinary one stands for it.
            row = _Row(*(fields.get(name, ordinary.get(name)) for name in _Row._fields))
            problems += self._judged(row, as_of, place)[0]
        return FieldsError(problems)

    def window(self, as_of: datetime) -> tuple[datetime, datetime]:
        """Return the first and the last pickup that can be predicted."""
        # The minute is a part of the key: precise enough, and a look-up is cheaper.
        return _window(as_of, self.days_before, self.days_ahead, time.time() // _CLOCK_SECONDS)

    def _judged(
        self, trip: Trip, as_of: datetime, place: str
    ) -> tuple[list[Problem], tuple[str, ...]]:
        """Return why a trip is refused, and the flags of one that is not."""
        at = trip.pickup_at
        problems: list[Problem] = []
        flags: tuple[str, ...] = ()
        earliest, latest = self.window(as_of)
        if not earliest <= at <= latest:
            message = (
                f"a pickup from {earliest:%Y-%m-%d %H:%M} to {latest:%Y-%m-%d %H:%M} can be"
                f" predicted, not {at:%Y-%m-%d %H:%M}"
            )
            problems.append(Problem(f"{place}{PICKUP_AT}", message))
        for name, field in self._broken(trip):
            if name in self.refusing:
                message = f"breaks the rule {name}: {self.refusing[name]}"
                problems.append(Problem(f"{place}{field}", message))
            elif name in self.flagging and name not in flags:
                flags += (name,)
        return problems, flags

    def _broken(self, trip: Trip) -> Iterator[tuple[str, str]]:
        """Yield the rules a trip breaks, each with the field that breaks it."""
        at, miles = trip.pickup_at, trip.trip_distance
        passengers, rate_code = trip.passenger_count, trip.rate_code
        if not FIRST_PICKUP <= at < LAST_PICKUP:
            yield "pickup_time_invalid", PICKUP_AT
        if is_skipped(at):
            yield "pickup_time_skipped", PICKUP_AT
        for zone, field in ((trip.pickup_zone, PICKUP_ZONE), (trip.dropoff_zone, DROPOFF_ZONE)):
            if not 1 <= zone <= NUMBER_OF_ZONES:
                yield "zone_invalid", field
            elif zone in UNKNOWN_ZONES:
                yield "zone_unknown", field
        if miles is not None:
            if miles < 0:
                yield "distance_negative", DISTANCE
            elif miles == 0:
                yield "distance_zero", DISTANCE
            elif miles > self.max_miles:
                yield "distance_too_long", DISTANCE
        if passengers is None or rate_code is None:
            yield "codes_incomplete", PASSENGERS if passengers is None else RATE_CODE
        most = self.max_passengers
        if passengers is not None and (not 1 <= passengers <= most or passengers % 1):
            yield "passengers_impossible" if passengers else "passengers_zero", PASSENGERS
        if rate_code is not None and rate_code not in RATE_CODES:
            yield "rate_code_unknown", RATE_CODE

    def _remarkable(self, columns: Columns, as_of: datetime) -> npt.NDArray[np.bool_]:
        """Return which trips may break a rule: all that do, and few others."""
        earliest, latest = (np.datetime64(end, "us") for end in self.window(as_of))
        at, miles = columns[PICKUP_AT], columns[DISTANCE]
        passengers, rate_code = columns[PASSENGERS], columns[RATE_CODE]
        ordinary = (at >= max(earliest, np.datetime64(FIRST_PICKUP, "us"))) & (
            at <= min(latest, np.datetime64(LAST_PICKUP, "us") - 1)
        )
        for name in (PICKUP_ZONE, DROPOFF_ZONE):
            ordinary &= (columns[name] >= 1) & (columns[name] < _FIRST_UNKNOWN)
        ordinary &= np.isnan(miles) | ((miles > 0) & (miles <= self.max_miles))
        ordinary &= (passengers >= 1) & (passengers <= self.max_passengers)
        ordinary &= (passengers == np.floor(passengers)) & ~skipped(at)
        # The codes from 1 to 6 are common; whatever else is looked at one by one.
        ordinary &= (rate_code >= 1) & (rate_code <= 6) & (rate_code == np.floor(rate_code))
        return ~ordinary


@lru_cache(maxsize=32)
def _window(as_of: datetime, before: int, ahead: int, _now: float) -> tuple[datetime, datetime]:
    now = datetime.now(NEW_YORK).replace(tzinfo=None)
    return as_of - timedelta(days=before), now + timedelta(days=ahead)


def _row(columns: Columns, position: int) -> _Row:
    def optional(name: str) -> float | None:
        value = float(columns[name][position])
        return None if value != value else value  # NaN

    return _Row(
        columns[PICKUP_AT][position].item(),
        int(columns[PICKUP_ZONE][position]),
        int(columns[DROPOFF_ZONE][position]),
        optional(DISTANCE),
        optional(PASSENGERS),
        optional(RATE_CODE),
    )
