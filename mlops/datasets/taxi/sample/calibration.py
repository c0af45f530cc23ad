"""What the sample generator knows of real trips: tables of marginals, never a real trip.

`benchmarks/calibrate_sample.py` derives the file from real months; this is its typed reading.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CALIBRATION_FILE: Final = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True)
class SampleCalibration:
    """Marginals of real trips. Zones index arrays of 266; distances in miles, times in minutes.

    "Quantiles" are rows of values at `probabilities`; a band's index comes from
    ``np.digitize(miles, bands)``, so there is one band more than there are limits.
    """

    probabilities: Floats  # (Q,) levels at which every table of quantiles is given
    bands: Floats  # (B - 1,) limits of the distance bands, miles

    hour_of_week: Floats  # (168,) relative frequency of pickups, from Monday 0 h
    pair_pickup: Floats  # (P,) zones of the frequent pairs
    pair_dropoff: Floats  # (P,)
    pair_weight: Floats  # (P,) trips
    pair_miles: Floats  # (P,) median distance
    pair_effect: Floats  # (P,) log-minutes beyond what distance, hour and zones explain
    rare_weight: float  # trips of all pairs that are not frequent
    rare_pickup: Floats  # (266,) zones of these
    rare_dropoff: Floats  # (7, 266) by the borough of the pickup, in the order of `BOROUGHS`
    rare_miles: Floats  # (7, 7) median distance between two boroughs

    spread_within: Floats  # (Q,) quantiles of log(miles / median) of pairs within a zone
    spread: Floats  # (B, Q) the same of other frequent pairs, by the median's band
    rare_spread: Floats  # (B, Q) and of rare ones
    curve_miles: Floats  # (C,) log-minutes as a function of distance: knots
    curve_minutes: Floats  # (C,) and its values
    hour_effect: Floats  # (168,) log-minutes
    pickup_effect: Floats  # (266,) log-minutes
    dropoff_effect: Floats  # (266,) log-minutes
    dispatch_effect: float  # log-minutes when the trip type is 2
    noise: Floats  # (B, Q) quantiles of what remains of log-minutes

    codes: Floats  # (K, 6) band, vendor, rate code, passengers, trip type, payment type
    codes_weight: Floats  # (K,) trips with these codes
    no_codes: Floats  # (B,) share of trips without codes
    no_codes_vendor_2: float  # share of vendor 2 among them
    fare: Floats  # (3,) dollars: constant, per mile, per minute
    fare_noise: Floats  # (B, Q) quantiles of what remains, dollars

    aborted: float  # share of trips that end within a minute
    aborted_minutes: Floats  # (Q,)
    aborted_within_zone: float  # share of these that end in their zone
    aborted_zone: Floats  # (266,) where these begin and end
    aborted_dropoff: Floats  # (266,) where the others end
    aborted_miles: Floats  # (Q,)
    no_distance: float  # share of the other trips whose meter shows 0 miles
    huge_distance: float  # share of trips with a distance beyond 100 miles
    huge_miles: Floats  # (Q,)
    left_running: float  # share of trips of 3 to 20 hours
    left_running_minutes: Floats  # (Q,)
    next_day: float  # share of trips of 20 to 24 hours
    next_day_minutes: Floats  # (Q,)
    other_month: float  # share of trips dated before their month
    reversed: float  # share of rows that repeat another with negative amounts


@cache
def load_calibration() -> SampleCalibration:
    """Return the bundled calibration."""
    content: dict[str, Any] = json.loads(CALIBRATION_FILE.read_bytes())
    values = {
        field.name: np.asarray(content[field.name], dtype=np.float64)
        if isinstance(content[field.name], list)
        else float(content[field.name])
        for field in fields(SampleCalibration)
    }
    return SampleCalibration(**values)  # type: ignore[arg-type]


def calibration_version() -> str:
    """Return a short hash that changes with the calibration."""
    return hashlib.sha256(CALIBRATION_FILE.read_bytes()).hexdigest()[:8]
