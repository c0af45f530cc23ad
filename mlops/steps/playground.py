"""Step of `predict`: one trip, asked in a form, answered by the champion in words.

For people who want to try the model. Requests of programs go to the online server, which answers
in milliseconds; a pipeline run takes a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

import pandas as pd

from mlops import progress
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    NEW_YORK,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
)
from mlops.datasets.taxi.zone_names import zone_label
from mlops.errors import ConfigurationError, MlopsError
from mlops.inference.requests import parse_requests
from mlops.registry.versions import Registry
from mlops.serving.model.compilation import compile_model
from mlops.settings import load_settings
from mlops.training.artifact import TabularModel

Variables = Mapping[str, Any]

# What each field of the form asks for.
FIELDS: Final = {
    PICKUP_ZONE: "choose a taxi zone, 1 to 263",
    DROPOFF_ZONE: "choose a taxi zone, 1 to 263",
    DISTANCE: "write miles as a number, e.g. 2.5, or leave it empty",
    PASSENGERS: "write a number, e.g. 1, or leave it empty",
    PICKUP_AT: "write New York time, e.g. 2024-03-01 08:30, or leave it empty for now",
}
# Predicted when nothing is asked: the first click on the block answers. The pipeline's Variables
# page shows it.
EXAMPLE: Final[Mapping[str, Any]] = {PICKUP_ZONE: 74, DROPOFF_ZONE: 138}
# Features as people speak of them; each feature is in one group.
GROUPS: Final = {
    "the distance": (
        *("miles", "likely_miles", "straight_miles", "route_miles", "bearing"),
        *("miles_over_route", "miles_over_straight"),
    ),
    "the route's history": ("route_trips", "route_minutes", "route_pace", "minutes_at_route_pace"),
    "the pickup's surroundings": (
        *("pickup_zone", "pickup_x", "pickup_y", "pickup_z", "pickup_trips"),
        *("pickup_pace", "pickup_hour_pace", "minutes_at_pickup_pace"),
    ),
    "the dropoff's surroundings": (
        *("dropoff_zone", "dropoff_x", "dropoff_y", "dropoff_z", "dropoff_trips"),
        *("dropoff_pace", "dropoff_hour_pace", "minutes_at_dropoff_pace"),
    ),
    "the time": ("minute_of_day", "weekday", "holiday"),
    "passengers and tariff": ("passengers", "rate_code", "trip_type", "codes_missing"),
}
# An option of a zone starts with its number: "74 East Harlem North, Manhattan".
_ZONE: Final = re.compile(r"(\d+)(?: .*)?")


def predict(variables: Variables) -> dict[str, Any]:
    """Predict the trip that a form describes; fields left empty are not known.

    Args:
        variables: ``pickup_zone`` and ``dropoff_zone`` (a number, or a text that starts with it);
            optional ``trip_distance`` (miles), ``passenger_count`` and ``pickup_at`` (ISO 8601, in
            New York unless it has an offset; by default now). Without any, `EXAMPLE` is predicted.

    Returns:
        ``answer`` and ``why`` in words, the minutes with their interval, the model's version, and
        the trip as it was understood.

    Raises:
        ConfigurationError: If a field is missing or cannot be read, naming it; or if there is no
            champion.
        DataQualityError: If a value breaks a rule of requests, naming the field.
    """
    settings = load_settings(variables, strict=False)
    if not _given(variables):
        progress.report("no trip was given, so this is an example; set its zones as variables")
    trip = trip_or_example(variables)
    model, champion = Registry(settings).load("champion")
    _, request = parse_requests([trip], settings)
    minutes = {str(k): float(v) for k, v in model.predict(request).iloc[0].items()}
    answer = in_words(trip, minutes, champion.version)
    because = why(model, champion.version, request)
    progress.report(answer)
    if because:
        progress.report(because)
    return {
        "answer": answer,
        "why": because,
        **{name: round(value, 2) for name, value in minutes.items()},
        "model_version": champion.version,
        "trip": trip,
    }


def trip_or_example(variables: Variables) -> dict[str, Any]:
    """Return the trip that a form describes, or `EXAMPLE` if it was left empty; see `trip_from`."""
    return trip_from(variables if _given(variables) else {**variables, **EXAMPLE})


def trip_from(variables: Variables, now: datetime | None = None) -> dict[str, Any]:
    """Read a form whose values may all be text; an empty one is as good as none.

    Args:
        variables: As for `predict`; names that are no fields are ignored.
        now: With time zone; by default the clock's.

    Returns:
        A record for `parse_requests`.

    Raises:
        ConfigurationError: Naming the field.
    """
    given = _given(variables)
    trip: dict[str, Any] = {PICKUP_AT: given.get(PICKUP_AT) or _this_minute(now)}
    for name in (PICKUP_ZONE, DROPOFF_ZONE):
        found = _ZONE.fullmatch(given.get(name, ""))
        if found is None:
            raise _unreadable(name, given)
        trip[name] = int(found[1])
    for name in (DISTANCE, PASSENGERS):
        if name in given:
            try:
                trip[name] = float(given[name])
            except ValueError:
                raise _unreadable(name, given) from None
    return trip


def _given(variables: Variables) -> dict[str, str]:
    """Return the fields that were filled in."""
    return {
        name: str(variables[name]).strip()
        for name in FIELDS
        if variables.get(name) is not None and str(variables[name]).strip()
    }


def in_words(trip: Mapping[str, Any], minutes: Mapping[str, float], version: int) -> str:
    """Say a prediction to a person."""
    distance = f"{trip[DISTANCE]:g} miles" if DISTANCE in trip else "the route's usual distance"
    return (
        f"{minutes['prediction_minutes']:.0f} minutes"
        f" (8 of 10 such trips take {minutes['lower_minutes']:.0f}"
        f" to {minutes['upper_minutes']:.0f})"
        f" from {zone_label(trip[PICKUP_ZONE])} to {zone_label(trip[DROPOFF_ZONE])},"
        f" {distance}, at {trip[PICKUP_AT]}, says version {version}"
    )


def why(model: TabularModel, version: int, request: pd.DataFrame) -> str:
    """Say what makes a prediction what it is, the largest part first.

    Args:
        model: Made it.
        version: Its number.
        request: One trip as `REQUEST_COLUMNS`.

    Returns:
        A sentence; empty if models of this family cannot be explained.
    """
    try:
        found = compile_model(model, version).explain(request)
    except MlopsError:
        return ""
    minutes = dict(zip(found.features, found.contributions[0], strict=True))
    parts = {group: sum(minutes[name] for name in names) for group, names in GROUPS.items()}
    ranked = sorted(parts.items(), key=lambda part: -abs(part[1]))
    contributions = ", ".join(f"{group} {value:+.1f}" for group, value in ranked)
    return f"average {found.base:.1f} minutes, changed by {contributions}"


def _this_minute(now: datetime | None) -> str:
    there = (now or datetime.now(timezone.utc)).astimezone(NEW_YORK)
    return there.replace(tzinfo=None).isoformat(" ", "minutes")


def _unreadable(name: str, given: Mapping[str, str]) -> ConfigurationError:
    problem = f"{given[name]!r} cannot be read" if name in given else "is missing"
    return ConfigurationError(f"{name}: {problem}", FIELDS[name])
