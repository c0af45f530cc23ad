"""Synthetic trips, for a first run without network: the TLC's schema, real marginals, no real trip.

Zones, hours, distances, speeds, codes and errors are drawn from the bundled calibration, which was
derived from green months. Yellow trips are drawn from the same tables: they exercise that
schema, not that market. Everything written here says that it is synthetic.

Drift, when asked for, grows linearly over its month and at full strength means: trips last 40 %
longer and go 30 % further, and half of them leave the frequent routes for rare ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops.data.months import month_bounds
from mlops.datasets.taxi.sample.calibration import Floats, SampleCalibration, load_calibration
from mlops.datasets.taxi.sample.schema import tlc_table
from mlops.datasets.taxi.zones import BOROUGHS, borough_of

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Rows generated at a time: memory stays flat however large the month.
CHUNK_ROWS: Final = 262_144
DRIFT_SLOWER: Final = 0.4
DRIFT_FURTHER: Final = 0.3
DRIFT_RARE_ROUTES: Final = 0.5

_SECONDS = "timedelta64[s]"
_BOROUGH_INDEX: Final = np.array([BOROUGHS.index(name) for name in borough_of(np.arange(266))])
# Plausible odometer limits, so that errors of the meter come only from the error rates.
_MILES: Final = (0.01, 60.0)
_MINUTES: Final = (1.0, 179.0)


def generate_month(
    month: str, rows: int, seed: int, taxi: str = "green", drift: float = 0.0
) -> pa.Table:
    """Generate a month of synthetic trips in the TLC's own schema.

    Args:
        month: ``YYYY-MM``.
        rows: How many trips, errors included.
        seed: The same arguments give the same trips.
        taxi: ``green`` or ``yellow``.
        drift: From 0 (none) to 1 (strong), reached at the end of the month.

    Returns:
        One row per trip with the TLC's column names and types, marked as synthetic in the schema's
        metadata; sorted by pickup within each `CHUNK_ROWS`.
    """
    return pa.concat_tables(iter_month(month, rows, seed, taxi, drift))


def iter_month(
    month: str, rows: int, seed: int, taxi: str = "green", drift: float = 0.0
) -> Iterator[pa.Table]:
    """Generate the same trips as `generate_month`, `CHUNK_ROWS` at a time."""
    for chunk, start in enumerate(range(0, rows, CHUNK_ROWS)):
        year, number = map(int, month.split("-"))
        rng = np.random.default_rng([seed, year, number, taxi == "yellow", chunk])
        size = min(CHUNK_ROWS, rows - start)
        yield tlc_table(_trips(rng, month, size, drift, load_calibration()), taxi)


@dataclass(frozen=True)
class _Draw:
    """Random draws of one chunk, from tables of the calibration."""

    rng: np.random.Generator
    known: SampleCalibration
    size: int

    def chance(self, share: float | Floats) -> Mask:
        return self.rng.random(self.size) < share

    def index(self, weights: Floats) -> Ints:
        """Draw indices in proportion to weights."""
        cumulated = np.cumsum(weights)
        drawn: Ints = np.searchsorted(
            cumulated, self.rng.random(self.size) * cumulated[-1], "right"
        ).astype(np.int64)
        return drawn

    def quantile(self, values: Floats, band: Ints | None = None) -> Floats:
        """Draw from quantiles (Q,), or from those (B, Q) of each row's band."""
        level = self.rng.random(self.size)
        if band is None:
            return np.interp(level, self.known.probabilities, values)
        drawn = np.empty(self.size)
        for number, row in enumerate(values):
            of_band = band == number
            drawn[of_band] = np.interp(level[of_band], self.known.probabilities, row)
        return drawn


def _trips(
    rng: np.random.Generator, month: str, rows: int, drift: float, known: SampleCalibration
) -> dict[str, Any]:
    """Draw trips as the TLC's columns without their taxi's prefix; NaN is a missing code."""
    draw = _Draw(rng, known, rows)
    pickup_at, hour, elapsed = _pickup_times(draw, month)
    strength = drift * elapsed
    pickup, dropoff, miles, pair_effect = _routes(draw, strength)

    aborted = draw.chance(known.aborted)
    on_the_spot = aborted & draw.chance(known.aborted_within_zone)
    spot = draw.index(known.aborted_zone)
    pickup = np.where(on_the_spot, spot, pickup)
    dropoff = np.where(aborted, draw.index(known.aborted_dropoff), dropoff)
    dropoff = np.where(on_the_spot, spot, dropoff)
    miles = (miles * (1 + DRIFT_FURTHER * strength)).clip(*_MILES)
    band = np.digitize(miles, known.bands)
    metered = np.where(draw.chance(known.no_distance), 0, miles)
    metered = np.where(aborted, draw.quantile(known.aborted_miles), metered)

    codes = _codes(draw, metered)
    minutes = np.exp(
        np.interp(np.log(miles), np.log(known.curve_miles), known.curve_minutes)
        + known.hour_effect[hour]
        + known.pickup_effect[pickup]
        + known.dropoff_effect[dropoff]
        + pair_effect
        + known.dispatch_effect * (codes["trip_type"] == 2)
        + draw.quantile(known.noise, band)
    ).clip(*_MINUTES) * (1 + DRIFT_SLOWER * strength)
    for share, quantiles in (
        (known.left_running, known.left_running_minutes),
        (known.next_day, known.next_day_minutes),
    ):
        minutes = np.where(draw.chance(share), draw.quantile(quantiles), minutes)
    minutes = np.where(aborted, draw.quantile(known.aborted_minutes), minutes)
    fare = known.fare @ np.stack([np.ones(rows), miles, np.where(minutes < 180, minutes, 20)])
    fare = np.where(codes["RatecodeID"] == 2, 70.0, fare + draw.quantile(known.fare_noise, band))

    # Trips without codes are reported to the minute, and only they have absurd distances.
    no_codes = np.isnan(codes["RatecodeID"])
    share_of_huge = known.huge_distance / max(no_codes.mean(), known.huge_distance)
    huge = no_codes & draw.chance(share_of_huge)
    pickup_at = np.where(no_codes, pickup_at.astype("datetime64[m]"), pickup_at)
    minutes = np.where(no_codes & ~aborted, np.ceil(minutes), minutes)
    metered = np.where(huge, draw.quantile(known.huge_miles), metered)

    early = draw.chance(known.other_month)
    hours_early = rng.exponential(24.0, rows) + (pickup_at - pickup_at.min()) / np.timedelta64(
        1, "h"
    )
    pickup_at = pickup_at - np.where(early, hours_early * 3600, 0).astype(_SECONDS)
    return _repeat_some(
        rng,
        {
            "pickup_datetime": pickup_at,
            "dropoff_datetime": pickup_at + np.round(minutes * 60).astype(_SECONDS),
            "PULocationID": pickup,
            "DOLocationID": dropoff,
            "trip_distance": np.where(codes["VendorID"] == 1, metered.round(1), metered.round(2)),
            "fare_amount": np.maximum(fare, 3.0).round(1),
            **codes,
        },
        known.reversed,
    )


def _pickup_times(draw: _Draw, month: str) -> tuple[Any, Ints, Floats]:
    """Draw sorted pickup times, their hour of the week, and the share of the month gone by."""
    start, end = month_bounds(month)
    hours = int((end - start) / timedelta(hours=1))
    of_week = (start.weekday() * 24 + np.arange(hours)) % 168
    hour = np.sort(draw.index(draw.known.hour_of_week[of_week]))
    seconds = np.sort(hour * 3600 + draw.rng.integers(0, 3600, draw.size))
    pickup_at = np.datetime64(start, "s") + seconds.astype(_SECONDS)
    return pickup_at, of_week[seconds // 3600], seconds / (hours * 3600)


def _routes(draw: _Draw, strength: Floats) -> tuple[Ints, Ints, Floats, Floats]:
    """Draw pickup and dropoff zones, miles, and the effect of the pair on log-minutes."""
    known = draw.known
    pair = draw.index(known.pair_weight)
    rare_share = known.rare_weight / (known.rare_weight + known.pair_weight.sum())
    rare = draw.chance(rare_share + DRIFT_RARE_ROUTES * strength)
    pickup = np.where(rare, draw.index(known.rare_pickup), known.pair_pickup[pair].astype(int))
    rare_dropoff = np.zeros(draw.size, dtype=np.int64)
    for borough in np.unique(_BOROUGH_INDEX[pickup[rare]]):
        of_borough = rare & (_BOROUGH_INDEX[pickup] == borough)
        part = _Draw(draw.rng, known, int(of_borough.sum()))
        rare_dropoff[of_borough] = part.index(known.rare_dropoff[borough])
    dropoff = np.where(rare, rare_dropoff, known.pair_dropoff[pair].astype(int))
    between = known.rare_miles[_BOROUGH_INDEX[pickup], _BOROUGH_INDEX[dropoff]]
    median = np.where(rare, between, known.pair_miles[pair])
    band = np.digitize(median, known.bands)
    spread = np.where(
        pickup == dropoff, draw.quantile(known.spread_within), draw.quantile(known.spread, band)
    )
    spread = np.where(rare, draw.quantile(known.rare_spread, band), spread)
    effect = np.where(rare, 0.0, known.pair_effect[pair])
    return pickup, dropoff, median * np.exp(spread), effect


def _codes(draw: _Draw, metered: Floats) -> dict[str, Floats]:
    """Draw the codes that occur together at each distance; NaN where a trip has none."""
    known, size = draw.known, draw.size
    band = np.digitize(metered, known.bands)
    drawn = np.empty((size, 5))
    for number in range(len(known.bands) + 1):
        of_band = np.flatnonzero(band == number)
        rows = known.codes[:, 0] == number
        table = known.codes[rows, 1:]
        drawn[of_band] = table[_Draw(draw.rng, known, len(of_band)).index(known.codes_weight[rows])]
    missing = draw.chance(known.no_codes[band])
    vendor = np.where(draw.chance(known.no_codes_vendor_2), 2.0, 1.0)
    names = ("VendorID", "RatecodeID", "passenger_count", "trip_type", "payment_type")
    codes = {name: np.where(missing, np.nan, drawn[:, i]) for i, name in enumerate(names)}
    return codes | {"VendorID": np.where(missing, vendor, drawn[:, 0])}


def _repeat_some(
    rng: np.random.Generator, trips: Mapping[str, Any], share: float
) -> dict[str, Any]:
    """Overwrite a few rows by the row before them, with the negative amounts of a reversal.

    One in thirty of these repeats keeps its amount: an exact duplicate.
    """
    rows = len(trips["fare_amount"])
    repeats = 1 + np.flatnonzero(rng.random(rows - 1) < share)
    # A row repeated twice would be neither a pair nor a reversal.
    repeats = repeats[np.diff(repeats, prepend=-1) > 1]
    repeated = {name: values.copy() for name, values in trips.items()}
    for values in repeated.values():
        values[repeats] = values[repeats - 1]
    reversals = repeats[rng.random(len(repeats)) >= 1 / 30]
    repeated["fare_amount"][reversals] *= -1
    return repeated
