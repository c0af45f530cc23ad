"""The data contract of a trip, declared once: the rules, what each means and what breaking it does.

History and requests are held to the same rules; a request only to those about what is known at
pickup. Which action is honest: `quarantine` for what cannot be true or cannot be learned from,
`flag` for what is merely unusual or incomplete, because production sees it too and a model that
never saw it would be judged on an easier world than the one it serves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops.data.months import month_bounds
from mlops.datasets.taxi.clock import skipped
from mlops.datasets.taxi.contract.rule_names import current_name
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_ZONE,
    FARE,
    NUMBER_OF_ZONES,
    PASSENGERS,
    PICKUP_AT,
    PICKUP_ZONE,
    RATE_CODE,
    TARGET,
    TRIP_COLUMNS,
    UNKNOWN_ZONES,
)
from mlops.errors import ConfigurationError
from mlops.settings import Action, ValidationSettings

if TYPE_CHECKING:
    import pandas as pd

# The TLC publishes trip records from January 2009 on; its own data dictionary lists the rate codes.
# https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_green.pdf
FIRST_PICKUP: Final = datetime(2009, 1, 1)
LAST_PICKUP: Final = datetime(2100, 1, 1)
RATE_CODES: Final = (1, 2, 3, 4, 5, 6, 99)
_NUMBERS: Final = tuple(name for name, kind in TRIP_COLUMNS.items() if kind == "float64")


Holds = Callable[["pd.DataFrame", ValidationSettings, str], "pd.Series[bool]"]


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
        "pickup_time_invalid",
        "quarantine",
        f"the pickup time is given, from {FIRST_PICKUP.year} on",
        True,
        lambda trips, _limits, _month: _within(trips[PICKUP_AT], FIRST_PICKUP, LAST_PICKUP),
    ),
    Rule(
        "pickup_time_skipped",
        "flag",
        "the pickup is not in the hour that the clocks of New York skip in March",
        True,
        lambda trips, _limits, _month: trips[PICKUP_AT].where(skipped(trips[PICKUP_AT])).isna(),
    ),
    Rule(
        "pickup_outside_month",
        "quarantine",
        "the pickup lies in the month of the file",
        False,
        lambda trips, _limits, month: (
            trips[PICKUP_AT].isna() | _within(trips[PICKUP_AT], *month_bounds(month))
        ),
    ),
    Rule(
        "duration_out_of_range",
        "quarantine",
        "the dropoff is {min_minutes:g} to {max_minutes:g} minutes after the pickup",
        False,
        lambda trips, limits, _month: trips[TARGET].between(limits.min_minutes, limits.max_minutes),
    ),
    Rule(
        "zone_invalid",
        "quarantine",
        f"both zones are numbers of TLC taxi zones, 1 to {NUMBER_OF_ZONES}",
        True,
        lambda trips, _limits, _month: (
            trips[PICKUP_ZONE].between(1, NUMBER_OF_ZONES)
            & trips[DROPOFF_ZONE].between(1, NUMBER_OF_ZONES)
        ),
    ),
    Rule(
        "zone_unknown",
        "flag",
        "no zone is 264 (unknown) or 265 (outside New York City)",
        True,
        lambda trips, _limits, _month: (
            ~(trips[PICKUP_ZONE].isin(UNKNOWN_ZONES) | trips[DROPOFF_ZONE].isin(UNKNOWN_ZONES))
        ),
    ),
    Rule(
        "number_infinite",
        "quarantine",
        "no number is infinite",
        True,
        lambda trips, _limits, _month: (
            ~np.isinf(trips[[name for name in _NUMBERS if name in trips]]).any(axis=1)
        ),
    ),
    Rule(
        "distance_negative",
        "quarantine",
        "the distance is not negative",
        True,
        lambda trips, _limits, _month: ~(trips[DISTANCE] < 0),
    ),
    Rule(
        "distance_too_long",
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
        "speed_too_high",
        "quarantine",
        "the average speed is at most {max_speed_mph:g} miles per hour",
        False,
        # Only a positive duration has a speed; the others break the rule on the duration.
        lambda trips, limits, _month: (
            ~((trips[TARGET] > 0) & (trips[DISTANCE] * 60 > limits.max_speed_mph * trips[TARGET]))
        ),
    ),
    Rule(
        "codes_incomplete",
        "flag",
        "the rate code and the passenger count are given",
        True,
        lambda trips, _limits, _month: trips[RATE_CODE].notna() & trips[PASSENGERS].notna(),
    ),
    Rule(
        "passengers_impossible",
        "quarantine",
        "the passenger count is a whole number from 0 to {max_passengers}",
        True,
        lambda trips, limits, _month: (
            trips[PASSENGERS].isna()
            | (
                trips[PASSENGERS].between(0, limits.max_passengers)
                & (trips[PASSENGERS] == np.floor(trips[PASSENGERS]))
            )
        ),
    ),
    Rule(
        "passengers_zero",
        "flag",
        "there is at least one passenger",
        True,
        lambda trips, _limits, _month: trips[PASSENGERS] != 0,
    ),
    Rule(
        "rate_code_unknown",
        "flag",
        "the rate code is one of " + ", ".join(map(str, RATE_CODES)),
        True,
        lambda trips, _limits, _month: trips[RATE_CODE].isna() | trips[RATE_CODE].isin(RATE_CODES),
    ),
    Rule(
        "fare_negative",
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
    actions = {current_name(name): action for name, action in limits.actions.items()}
    unknown = sorted(set(actions) - {rule.name for rule in RULES})
    if unknown:
        raise ConfigurationError(
            f"validation.actions: there is no rule {unknown[0]!r}",
            f"the rules are: {', '.join(rule.name for rule in RULES)}",
        )
    return {
        rule.name: replace(rule, action=action)
        for rule in RULES
        if (action := actions.get(rule.name, rule.action)) != "ignore"
        and (rule.at_pickup or not at_pickup)
    }


def meaning_of(rule: Rule, limits: ValidationSettings) -> str:
    """Return the rule in words, with the limits in force."""
    return rule.meaning.format(**limits.model_dump())
