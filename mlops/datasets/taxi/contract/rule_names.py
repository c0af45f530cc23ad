"""What rules were called before, so that what was stored then is read now; light to import."""

from __future__ import annotations

import re
from typing import Final

# Rules are named after what is wrong. What was stored under the names of before keeps its meaning.
FORMER_NAMES: Final = {
    "pickup_date": "pickup_time_invalid",
    "pickup_in_month": "pickup_outside_month",
    "duration": "duration_out_of_range",
    "zone_range": "zone_invalid",
    "zone_known": "zone_unknown",
    "distance_sign": "distance_negative",
    "distance_limit": "distance_too_long",
    "speed": "speed_too_high",
    "codes_given": "codes_incomplete",
    "passenger_range": "passengers_zero",
    "rate_code": "rate_code_unknown",
    "fare_sign": "fare_negative",
}
_FORMER_MEASURES: Final = re.compile(rf"\brule ({'|'.join(FORMER_NAMES)})\b")


def current_name(rule: str) -> str:
    """Return the name that a rule has now; what is no former name stays as it is."""
    return FORMER_NAMES.get(rule, rule)


def current_measure(name: str) -> str:
    """Return the name of a measurement with the rule that it names as it is called now."""
    return _FORMER_MEASURES.sub(lambda found: f"rule {current_name(found[1])}", name)
