"""The smoothed means that the sums over past trips hold.

A route with few trips says little, so every mean is pulled towards that of something broader:
route to its way back, that to its two zones, a zone to the city. The pull is a number of
pseudo-trips at the broader mean (additive smoothing, the posterior mean of a normal model with
known variances: Gelman et al., "Bayesian Data Analysis", section 2.5).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mlops.datasets.taxi.features.calendar import Ints
from mlops.datasets.taxi.features.sums import (
    CITY,
    DROPOFF,
    DROPOFF_BAND,
    PICKUP,
    PICKUP_BAND,
    ROUTE,
    ZONES,
    Floats,
    Quantity,
    Sums,
    band_code,
    route_code,
)

Array = npt.NDArray[np.float32]

ROUTE_COLUMNS: Final = (
    "route_trips",  # past trips of the route, weighted by age
    "route_minutes",
    "route_pace",  # minutes per mile
    "route_miles",
    "pickup_trips",
    "dropoff_trips",
    "pickup_pace",
    "dropoff_pace",
)

# What holds before the first trip: 11 minutes, 5 minutes per mile, 2 miles. One pseudo-trip.
_UNKNOWN: Final = {Quantity.LOG_MINUTES: 2.4, Quantity.LOG_PACE: 1.6, Quantity.LOG_MILES: 0.7}
_UNKNOWN_PULL: Final = 1.0
# The way back is broader than the route, but its zones are no better known than by this.
_WAY_BACK_PULL: Final = 3.0


def route_columns(sums: Sums, pickup: Ints, dropoff: Ints, smoothing: float) -> Array:
    """Read what is known of routes: trips, and geometric means of minutes, pace and miles.

    Args:
        sums: Over past trips.
        pickup: Zone codes, shape ``(n,)``.
        dropoff: Zone codes, shape ``(n,)``.
        smoothing: Pseudo-trips that pull a route to what is broader.

    Returns:
        `ROUTE_COLUMNS`, shape ``(n, len(ROUTE_COLUMNS))``.
    """
    minutes, pace, miles = Quantity.LOG_MINUTES, Quantity.LOG_PACE, Quantity.LOG_MILES
    from_zone, to_zone = sums[:, PICKUP + pickup], sums[:, DROPOFF + dropoff]
    there = sums[:, ROUTE + route_code(pickup, dropoff)]
    back = sums[:, ROUTE + route_code(dropoff, pickup)]
    city = {quantity: _city_mean(sums, quantity) for quantity in _UNKNOWN}
    start = {q: _mean(from_zone, q, city[q], smoothing) for q in _UNKNOWN}
    end = {q: _mean(to_zone, q, city[q], smoothing) for q in _UNKNOWN}

    def known(quantity: Quantity, broad: Floats) -> Floats:
        return _mean(there, quantity, _mean(back, quantity, broad, _WAY_BACK_PULL), smoothing)

    # Both ends' deviations from the city add up in minutes and miles; pace is their average.
    columns = (
        there[Quantity.TRIPS],
        np.exp(known(minutes, start[minutes] + end[minutes] - city[minutes])),
        np.exp(known(pace, (start[pace] + end[pace]) / 2)),
        np.exp(known(miles, start[miles] + end[miles] - city[miles])),
        from_zone[Quantity.TRIPS],
        to_zone[Quantity.TRIPS],
        np.exp(start[pace]),
        np.exp(end[pace]),
    )
    return np.asarray(np.stack(columns, axis=1), dtype=np.float32)


def pickup_band_pace(sums: Sums, zone: Ints, band: Ints, smoothing: float) -> Array:
    """Read the minutes per mile of trips from a zone at a part of the day, ``(n,)``."""
    broad = _mean(sums[:, PICKUP + zone], Quantity.LOG_PACE, _city_pace(sums), smoothing)
    here = sums[:, PICKUP_BAND + band_code(zone, band)]
    return np.asarray(np.exp(_mean(here, Quantity.LOG_PACE, broad, smoothing)), dtype=np.float32)


def dropoff_band_pace(sums: Sums, zone: Ints, band: Ints, smoothing: float) -> Array:
    """Read the minutes per mile of trips to a zone at a part of the day, ``(n,)``."""
    broad = _mean(sums[:, DROPOFF + zone], Quantity.LOG_PACE, _city_pace(sums), smoothing)
    here = sums[:, DROPOFF_BAND + band_code(zone, band)]
    return np.asarray(np.exp(_mean(here, Quantity.LOG_PACE, broad, smoothing)), dtype=np.float32)


def measured_routes(sums: Sums) -> tuple[Floats, Floats]:
    """Return mean miles and number of measured trips per route, ``(ZONES, ZONES)``, unsmoothed."""
    routes = sums[:, ROUTE:PICKUP_BAND].reshape(-1, ZONES, ZONES)
    trips = routes[Quantity.MEASURED]
    return np.exp(routes[Quantity.LOG_MILES] / np.maximum(trips, 1e-12)), trips


def _city_pace(sums: Sums) -> Floats:
    return _city_mean(sums, Quantity.LOG_PACE)


def _city_mean(sums: Sums, quantity: Quantity) -> Floats:
    return _mean(sums[:, [CITY]], quantity, np.array([_UNKNOWN[quantity]]), _UNKNOWN_PULL)


def _mean(sums: Floats, quantity: Quantity, broad: Floats, pull: float) -> Floats:
    count = Quantity.TRIPS if quantity == Quantity.LOG_MINUTES else Quantity.MEASURED
    return np.asarray((sums[quantity] + pull * broad) / (sums[count] + pull))
