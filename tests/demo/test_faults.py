"""Each fault changes what it says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from demo.faults import FAULTS, drifting
from mlops.datasets.taxi.trips import (
    DISTANCE,
    DROPOFF_AT,
    DROPOFF_ZONE,
    PICKUP_AT,
    PICKUP_ZONE,
    TARGET,
    VENDOR,
)


@pytest.fixture(scope="module")
def trips(sample_history: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return sample_history("2024-02", rows=1_000)


@pytest.mark.parametrize("name", FAULTS)
def test_the_input_stays_as_it_was_and_labels_stay_consistent(
    trips: pd.DataFrame, name: str
) -> None:
    before = trips.copy()

    hit = FAULTS[name](trips)

    pd.testing.assert_frame_equal(trips, before)
    assert (hit.dtypes == before.dtypes).all()
    lasted = (hit[DROPOFF_AT] - hit[PICKUP_AT]) / pd.Timedelta(minutes=1)
    assert lasted.to_numpy() == pytest.approx(hit[TARGET].to_numpy(), abs=1e-4)


def test_drift_without_strength_changes_nothing(trips: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(drifting(0.0)(trips), trips)


def test_a_closed_zone_is_gone(trips: pd.DataFrame) -> None:
    open_still = FAULTS["zone closure"](trips)

    third = trips[PICKUP_ZONE][trips[PICKUP_ZONE] < 264].value_counts().index[2]
    touched = (trips[[PICKUP_ZONE, DROPOFF_ZONE]] == third).any(axis=1)
    pd.testing.assert_frame_equal(open_still, trips[~touched])


def test_what_each_fault_changes(trips: pd.DataFrame) -> None:
    assert (FAULTS["frozen clock"](trips)[PICKUP_AT].nunique()) == 1
    assert FAULTS["vendor missing"](trips)[VENDOR].isna().all()
    ratio = FAULTS["kilometres instead of miles"](trips)[DISTANCE] / trips[DISTANCE]
    assert np.nanmax(ratio) == pytest.approx(1.609, abs=0.001)
    longer = FAULTS["doubled rush hour"](trips)[TARGET] / trips[TARGET]
    at = trips[PICKUP_AT].dt
    # (19 February 2024 is Washington's Birthday.)
    working = (at.weekday < 5) & (at.day != 19)
    rush = at.hour.isin([7, 8, 9, 15, 16, 17, 18]) & working
    assert longer.to_numpy() == pytest.approx(np.where(rush, 2.0, 1.0))
