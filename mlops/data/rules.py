"""The data contract of a trip, declared once: types and rules as a pandera schema.

History and requests are held to the same rules; a request only to those about what is known at
pickup. Which action is honest: `quarantine` for what cannot be true or cannot be learned from,
`flag` for what is merely unusual or incomplete, because production sees it too and a model that
never saw it would be judged on an easier world than the one it serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrorReason, SchemaErrors

from mlops.data.months import month_bounds
from mlops.data.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    FARE,
    NUMBER_OF_ZONES,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    REQUEST_COLUMNS,
    TARGET,
    TRIP_COLUMNS,
    UNKNOWN_ZONES,
)
from mlops.errors import ConfigurationError, DataQualityError
from mlops.settings import Action, ValidationSettings

# Part of the key of staged results: raise it when a rule changes its meaning.
RULES_VERSION: Final = "1"

# The TLC publishes trip records from January 2009 on; its own data dictionary lists the rate codes.
# https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_green.pdf
FIRST_PICKUP: Final = datetime(2009, 1, 1)
LAST_PICKUP: Final = datetime(2100, 1, 1)
RATE_CODES: Final = (1, 2, 3, 4, 5, 6, 99)

Mask = npt.NDArray[np.bool_]
Holds = Callable[[pd.DataFrame, ValidationSettings, str], "pd.Series[bool]"]


@dataclass(frozen=True)
class Rule:
    """One rule of the contract; a row obeys it where ``holds`` is true.

    Attributes:
        name: How settings, reports and the `reasons` column call it.
        action: What happens to a row that breaks it, unless the settings say otherwise.
        meaning: The rule in words; ``{field}`` stands for a limit in the settings.
        at_pickup: Whether it concerns only what is known at pickup, hence requests too.
        holds: Trips, limits and the month (``YYYY-MM``) of the trips to a truth value per row. A
            missing value obeys every rule but those about missing values.
    """

    name: str
    action: Action
    meaning: str
    at_pickup: bool
    holds: Holds


RULES: Final = (
    Rule(
        "pickup_date",
        "quarantine",
        f"the pickup time is given, from {FIRST_PICKUP.year} on",
        True,
        lambda trips, _limits, _month: _within(trips[PICKUP_AT], FIRST_PICKUP, LAST_PICKUP),
    ),
    Rule(
        "pickup_in_month",
        "quarantine",
        "the pickup lies in the month of the file",
        False,
        lambda trips, _limits, month: (
            trips[PICKUP_AT].isna() | _within(trips[PICKUP_AT], *month_bounds(month))
        ),
    ),
    Rule(
        "duration",
        "quarantine",
        "the dropoff is {min_minutes:g} to {max_minutes:g} minutes after the pickup",
        False,
        lambda trips, limits, _month: trips[TARGET].between(limits.min_minutes, limits.max_minutes),
    ),
    Rule(
        "zone_range",
        "quarantine",
        f"both zones are 1 to {NUMBER_OF_ZONES}",
        True,
        lambda trips, _limits, _month: (
            trips[PICKUP_ZONE].between(1, NUMBER_OF_ZONES)
            & trips[DROPOFF_ZONE].between(1, NUMBER_OF_ZONES)
        ),
    ),
    Rule(
        "zone_known",
        "flag",
        "no zone is " + " or ".join(map(str, sorted(UNKNOWN_ZONES))) + " (unknown, outside)",
        True,
        lambda trips, _limits, _month: (
            ~(trips[PICKUP_ZONE].isin(UNKNOWN_ZONES) | trips[DROPOFF_ZONE].isin(UNKNOWN_ZONES))
        ),
    ),
    Rule(
        "distance_sign",
        "quarantine",
        "the distance is not negative",
        True,
        lambda trips, _limits, _month: ~(trips[DISTANCE] < 0),
    ),
    Rule(
        "distance_limit",
        "quarantine",
        "the distance is at most {max_distance_miles:g} miles",
        True,
        lambda trips, limits, _month: ~(trips[DISTANCE] > limits.max_distance_miles),
    ),
    Rule(
        "distance_zero",
        "flag",
        "the distance is not zero",
        True,
        lambda trips, _limits, _month: trips[DISTANCE] != 0,
    ),
    Rule(
        "speed",
        "quarantine",
        "the average speed is at most {max_speed_mph:g} miles per hour",
        False,
        # Only a positive duration has a speed; the others break the rule on the duration.
        lambda trips, limits, _month: (
            ~((trips[TARGET] > 0) & (trips[DISTANCE] * 60 > limits.max_speed_mph * trips[TARGET]))
        ),
    ),
    Rule(
        "codes_given",
        "flag",
        "the rate code and the passenger count are given",
        True,
        lambda trips, _limits, _month: trips[RATE_CODE].notna() & trips[PASSENGERS].notna(),
    ),
    Rule(
        "passenger_range",
        "flag",
        "there are 1 to {max_passengers} passengers",
        True,
        lambda trips, limits, _month: (
            trips[PASSENGERS].isna() | trips[PASSENGERS].between(1, limits.max_passengers)
        ),
    ),
    Rule(
        "rate_code",
        "flag",
        "the rate code is one of " + ", ".join(map(str, RATE_CODES)),
        True,
        lambda trips, _limits, _month: trips[RATE_CODE].isna() | trips[RATE_CODE].isin(RATE_CODES),
    ),
    Rule(
        "fare_sign",
        "flag",
        "the fare is not negative (a refund repeats its trip)",
        False,
        lambda trips, _limits, _month: ~(trips[FARE] < 0),
    ),
    Rule(
        "duplicate",
        "quarantine",
        "no earlier row is the same in every column",
        False,
        lambda trips, _limits, _month: ~trips.duplicated(list(TRIP_COLUMNS)),
    ),
)


def _within(times: pd.Series[Any], start: datetime, end: datetime) -> pd.Series[bool]:
    return (times >= start) & (times < end)


def rules_in_force(limits: ValidationSettings, *, at_pickup: bool = False) -> dict[str, Rule]:
    """Return the rules that are not ignored, by name, with the action the settings give them.

    Args:
        limits: Limits and changed actions.
        at_pickup: Only the rules that a request can be held to.

    Raises:
        ConfigurationError: If an action names a rule that does not exist.
    """
    unknown = sorted(set(limits.actions) - {rule.name for rule in RULES})
    if unknown:
        raise ConfigurationError(
            f"validation.actions: there is no rule {unknown[0]!r}",
            f"the rules are: {', '.join(rule.name for rule in RULES)}",
        )
    return {
        rule.name: replace(rule, action=action)
        for rule in RULES
        if (action := limits.actions.get(rule.name, rule.action)) != "ignore"
        and (rule.at_pickup or not at_pickup)
    }


def meaning_of(rule: Rule, limits: ValidationSettings) -> str:
    """Return the rule in words, with the limits in force."""
    return rule.meaning.format(**limits.model_dump())


def trip_schema(
    rules: Mapping[str, Rule], limits: ValidationSettings, month: str = ""
) -> pa.DataFrameSchema:
    """Build the pandera schema: the types of the columns and one named check per rule.

    Args:
        rules: As from `rules_in_force`.
        limits: The limits in force.
        month: ``YYYY-MM`` of the trips; empty for requests, which have no label either.
    """
    columns = {**TRIP_COLUMNS, TARGET: "float64"} if month else REQUEST_COLUMNS
    checks = [
        pa.Check(
            partial(_obeys, rule=rule, limits=limits, month=month),
            name=rule.name,
            description=meaning_of(rule, limits),
            ignore_na=False,  # each rule decides what a missing value means
            n_failure_cases=1,  # rows are told apart by the mask; listing them is slow
        )
        for rule in rules.values()
    ]
    return pa.DataFrameSchema(
        {name: pa.Column(dtype, nullable=True) for name, dtype in columns.items()}, checks=checks
    )


def _obeys(
    trips: pd.DataFrame, rule: Rule, limits: ValidationSettings, month: str
) -> pd.Series[bool]:
    return rule.holds(trips, limits, month)


def broken_rules(trips: pd.DataFrame, schema: pa.DataFrameSchema) -> dict[str, Mask]:
    """Hold trips to a schema and return, per broken rule, the rows that break it.

    Args:
        trips: At least the schema's columns.
        schema: As from `trip_schema`.

    Returns:
        Name of each rule broken at least once → mask over the rows, in the schema's order.

    Raises:
        DataQualityError: If a column is missing or has the wrong type, naming it.
    """
    try:
        schema.validate(trips, lazy=True)
    except SchemaErrors as errors:
        for error in errors.schema_errors:
            if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK:
                raise DataQualityError(
                    f"the trips do not have the canonical schema: {error}",
                    "give the columns and types of mlops.data.trips, or read the file with"
                    " mlops.data.reading",
                ) from error
        return {e.check.name: ~e.check_output.to_numpy(dtype=bool) for e in errors.schema_errors}
    return {}


def reasons_of(broken: Mapping[str, Mask], rows: Mask) -> list[str]:
    """Return, for each selected row, the names of the rules it breaks, joined by ``; ``."""
    names = list(broken)
    if not names:
        return [""] * int(rows.sum())
    bits = np.left_shift(1, np.arange(len(names)))
    codes = sum(bit * broken[name][rows] for bit, name in zip(bits, names, strict=True))
    kinds, which = np.unique(np.asarray(codes), return_inverse=True)
    texts = ["; ".join(n for b, n in zip(bits, names, strict=True) if kind & b) for kind in kinds]
    return [texts[index] for index in which]
