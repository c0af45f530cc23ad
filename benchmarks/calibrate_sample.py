"""Derive the sample generator's calibration from real months of green trips.

Run it after changing what the generator draws from; the result is committed::

    python benchmarks/calibrate_sample.py ../shared/data/green

The log of a trip's minutes is taken apart additively, after distance, into effects of the hour of
the week, the zones, the pair and the trip type, each shrunk towards zero by its number of trips
(backfitting: Hastie & Tibshirani, Generalized Additive Models, 1990, section 4.4).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from mlops.datasets.taxi.files.reading import read_trips
from mlops.datasets.taxi.sample.calibration import CALIBRATION_FILE
from mlops.datasets.taxi.zones import BOROUGHS, borough_of

PROBABILITIES = np.r_[0.0005, 0.002, 0.005, 0.01, np.linspace(0.02, 0.98, 33), 0.99, 0.995, 0.998]
PROBABILITIES = np.r_[PROBABILITIES, 0.9995]
BANDS = np.array([1.0, 2.0, 4.0, 8.0, 15.0])
CURVE_MILES = np.array([0.05, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 22.0, 35.0])
FREQUENT_TRIPS = 5  # a pair with fewer trips is rare: its own median would be noise
SHRINKAGE_TRIPS = 20.0
ZONES = 266
CODES = ["vendor_id", "rate_code", "passenger_count", "trip_type", "payment"]


def load_months(folder: Path) -> pd.DataFrame:
    """Read every month of a folder, with the payment type and derived columns."""
    months = []
    for path in sorted(folder.glob("green_tripdata_*.parquet")):
        trips = read_trips(path, "green")
        trips["payment"] = pq.read_table(path, columns=["payment_type"])[0].to_pandas().to_numpy()
        trips["month"] = path.stem[-7:]
        months.append(trips)
    trips = pd.concat(months, ignore_index=True)
    trips["minutes"] = (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds() / 60
    trips["hour"] = trips["pickup_at"].dt.weekday * 24 + trips["pickup_at"].dt.hour
    trips["pair"] = trips["pickup_zone"] * ZONES + trips["dropoff_zone"]
    trips["band"] = np.digitize(trips["trip_distance"], BANDS)
    trips["no_codes"] = trips["rate_code"].isna()
    return trips


def quantiles(values: pd.Series | np.ndarray, digits: int = 3) -> list[float]:
    """Return the quantiles of ``values`` at `PROBABILITIES`."""
    return np.round(np.quantile(values, PROBABILITIES), digits).tolist()


def shares(zones: pd.Series) -> list[int]:
    """Count trips per zone."""
    return np.bincount(zones, minlength=ZONES).tolist()


def trips_per_hour(trips: pd.DataFrame) -> list[float]:
    """Mean number of trips in each hour of the week: months do not have every weekday as often."""
    starts = pd.PeriodIndex(trips["month"].unique(), freq="M")
    days = np.concatenate([pd.date_range(p.start_time, p.end_time).weekday for p in starts])
    counts = np.bincount(trips["hour"], minlength=168)
    return (counts / np.repeat(np.bincount(days, minlength=7), 24)).round(1).tolist()


def routes(trips: pd.DataFrame, plausible: pd.DataFrame) -> dict[str, Any]:
    """Frequencies and distances of pairs, and how distances spread around their median."""
    # Aborted trips end where they began: the generator moves theirs there by itself.
    trips = trips[trips["minutes"] >= 1]
    counts = trips["pair"].value_counts()
    medians = plausible.groupby("pair")["trip_distance"].median()
    frequent = counts.index[
        (counts >= FREQUENT_TRIPS) & counts.index.isin(medians.index)
    ].sort_values()
    rare = trips[~trips["pair"].isin(frequent)]
    rare_borough = borough_of(rare["pickup_zone"])

    boroughs = pd.DataFrame(
        {
            "from": pd.Categorical(borough_of(plausible["pickup_zone"]), BOROUGHS),
            "to": pd.Categorical(borough_of(plausible["dropoff_zone"]), BOROUGHS),
            "miles": plausible["trip_distance"].to_numpy(),
        },
        index=plausible.index,
    )
    between = boroughs.groupby(["from", "to"], observed=False)["miles"].median().unstack()
    between = between.fillna(between.T).fillna(boroughs["miles"].median())

    is_frequent = plausible["pair"].isin(frequent)
    pair_median = plausible["pair"].map(medians)
    ratio = np.log(plausible["trip_distance"] / pair_median)
    within = plausible["pickup_zone"] == plausible["dropoff_zone"]
    # Medians of a handful of trips hide the spread around them.
    steady = is_frequent & (plausible["pair"].map(counts) >= 20)
    codes = [pd.Categorical(boroughs[end], BOROUGHS).codes for end in ("from", "to")]
    rare_median = between.to_numpy()[codes[0], codes[1]]
    rare_ratio = np.log(plausible["trip_distance"] / rare_median)
    bands = range(len(BANDS) + 1)
    pair_band, rare_band = np.digitize(pair_median, BANDS), np.digitize(rare_median, BANDS)

    def spread_of(ratios: pd.Series, chosen: pd.Series) -> list[float]:
        # A band without trips of its own (rare routes are long) takes the spread of all.
        return quantiles(ratios[chosen] if chosen.sum() >= 100 else ratios)

    return {
        "pair_pickup": (frequent // ZONES).tolist(),
        "pair_dropoff": (frequent % ZONES).tolist(),
        "pair_weight": counts[frequent].tolist(),
        "pair_miles": medians[frequent].round(2).tolist(),
        "rare_weight": len(rare),
        "rare_pickup": shares(rare["pickup_zone"]),
        "rare_dropoff": [
            shares(rare["dropoff_zone"][rare_borough == borough]) for borough in BOROUGHS
        ],
        "rare_miles": between.round(2).to_numpy().tolist(),
        "spread_within": quantiles(ratio[steady & within]),
        "spread": [spread_of(ratio[~within], steady & (pair_band == band)) for band in bands],
        "rare_spread": [
            spread_of(rare_ratio[~is_frequent], ~is_frequent & (rare_band == band))
            for band in bands
        ],
    }


def durations(plausible: pd.DataFrame, pairs: np.ndarray) -> dict[str, Any]:
    """Additive effects on log-minutes, and the noise that they leave."""
    target = np.log(plausible["minutes"].to_numpy())
    log_miles = np.log(plausible["trip_distance"].to_numpy())
    knots = np.log(CURVE_MILES)
    hats = np.stack([np.interp(log_miles, knots, row) for row in np.eye(len(knots))], axis=1)
    pair_index = np.searchsorted(pairs, plausible["pair"]).clip(max=len(pairs) - 1)
    in_table = pairs[pair_index] == plausible["pair"]
    keys = {
        "hour_effect": (plausible["hour"].to_numpy(), 168),
        "pickup_effect": (plausible["pickup_zone"].to_numpy(), ZONES),
        "dropoff_effect": (plausible["dropoff_zone"].to_numpy(), ZONES),
        "dispatch_effect": ((plausible["trip_type"] == 2).to_numpy().astype(int), 2),
        "pair_effect": (np.where(in_table, pair_index, len(pairs)), len(pairs) + 1),
    }
    effects = {name: np.zeros(size) for name, (_, size) in keys.items()}
    fitted = {name: np.zeros(len(target)) for name in keys}
    curve = np.zeros(len(knots))
    for _ in range(12):
        rest = target - sum(fitted.values())
        curve = np.linalg.lstsq(hats, rest, rcond=None)[0]
        for name, (index, size) in keys.items():
            others = sum(values for other, values in fitted.items() if other != name)
            rest = target - hats @ curve - others
            trips = np.bincount(index, minlength=size)
            effects[name] = np.bincount(index, rest, minlength=size) / (trips + SHRINKAGE_TRIPS)
            fitted[name] = effects[name][index]
    noise = target - hats @ curve - sum(fitted.values())
    band = plausible["band"].to_numpy()
    return {
        "curve_miles": CURVE_MILES.tolist(),
        "curve_minutes": curve.round(3).tolist(),
        "hour_effect": effects["hour_effect"].round(3).tolist(),
        "pickup_effect": effects["pickup_effect"].round(3).tolist(),
        "dropoff_effect": effects["dropoff_effect"].round(3).tolist(),
        "dispatch_effect": round(float(np.diff(effects["dispatch_effect"])[0]), 3),
        "pair_effect": effects["pair_effect"][:-1].round(2).tolist(),
        "noise": [quantiles(noise[band == b]) for b in range(len(BANDS) + 1)],
    }


def codes_and_fares(trips: pd.DataFrame, plausible: pd.DataFrame) -> dict[str, Any]:
    """Which codes occur together, who lacks them, and what the meter charges."""
    coded = trips[~trips["no_codes"]].fillna({"trip_type": 1})
    together = coded.groupby(["band", *CODES]).size()
    together = together[together >= 3].reset_index(name="trips")
    lacking = trips[trips["no_codes"]]
    metered = plausible[(plausible["rate_code"] == 1) & (plausible["fare_amount"] > 0)]
    design = np.c_[np.ones(len(metered)), metered[["trip_distance", "minutes"]]]
    fare = np.linalg.lstsq(design, metered["fare_amount"], rcond=None)[0]
    return {
        "codes": together[["band", *CODES]].astype(int).to_numpy().tolist(),
        "codes_weight": together["trips"].tolist(),
        "no_codes": trips.groupby("band")["no_codes"].mean().round(4).tolist(),
        "no_codes_vendor_2": round(float((lacking["vendor_id"] == 2).mean()), 4),
        "fare": fare.round(3).tolist(),
        "fare_noise": [
            quantiles((metered["fare_amount"] - design @ fare)[metered["band"] == band], 2)
            for band in range(len(BANDS) + 1)
        ],
    }


def errors(trips: pd.DataFrame) -> dict[str, Any]:
    """How often each kind of error occurs, and what it looks like."""
    minutes, miles = trips["minutes"], trips["trip_distance"]
    within = trips["pickup_zone"] == trips["dropoff_zone"]
    aborted = minutes < 1
    running = minutes.between(180, 1200)
    next_day = minutes > 1200
    huge = miles > 100
    return {
        "aborted": aborted.mean(),
        "aborted_minutes": quantiles(minutes[aborted].clip(lower=0)),
        "aborted_within_zone": within[aborted].mean(),
        "aborted_zone": shares(trips["pickup_zone"][aborted & within]),
        "aborted_dropoff": shares(trips["dropoff_zone"][aborted & ~within]),
        "aborted_miles": quantiles(miles[aborted & ~huge], 2),
        "no_distance": (miles == 0)[~aborted].mean(),
        "huge_distance": huge.mean(),
        "huge_miles": quantiles(miles[huge], 0),
        "left_running": running.mean(),
        "left_running_minutes": quantiles(minutes[running], 1),
        "next_day": next_day.mean(),
        "next_day_minutes": quantiles(minutes[next_day], 1),
        "other_month": (trips["pickup_at"].dt.strftime("%Y-%m") != trips["month"]).mean(),
        "reversed": (trips["fare_amount"] < 0).mean(),
    }


def calibrate(folder: Path) -> dict[str, Any]:
    """Return the whole calibration for the months of a folder."""
    trips = load_months(folder)
    plausible = trips[
        trips["minutes"].between(1, 180)
        & (trips["trip_distance"] > 0)
        & (trips["trip_distance"] <= 60)
        & (trips["trip_distance"] / trips["minutes"] * 60 < 80)
    ]
    found = routes(trips, plausible)
    pairs = np.array(found["pair_pickup"]) * ZONES + np.array(found["pair_dropoff"])
    return {
        "derived_from": sorted(trips["month"].unique()),
        "trips": len(trips),
        "probabilities": PROBABILITIES.round(4).tolist(),
        "bands": BANDS.tolist(),
        "hour_of_week": trips_per_hour(trips),
        **found,
        **durations(plausible, pairs),
        **codes_and_fares(trips, plausible),
        **{
            name: value if isinstance(value, list) else round(float(value), 6)
            for name, value in errors(trips).items()
        },
    }


def main() -> None:
    """Write the calibration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where green_tripdata_YYYY-MM.parquet lie")
    content = calibrate(parser.parse_args().folder)
    lines = (f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in content.items())
    CALIBRATION_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{CALIBRATION_FILE}: {CALIBRATION_FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
