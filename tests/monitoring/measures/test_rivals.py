"""Would the version before have predicted better? Certain only with enough trips."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.trips import PICKUP_AT, TARGET
from mlops.monitoring.measures.rivals import ended_trips, gain_of
from mlops.monitoring.windows.staging import LABELS, stage
from mlops.serving.log.rows import MINUTES
from mlops.settings import Settings, load_settings

MARCH = datetime(2024, 3, 1, tzinfo=timezone.utc)


@dataclass
class Rival:
    """Predicts as the world's route model does, times a factor."""

    world: Any
    factor: float = 1.0

    @property
    def encoder(self) -> FeatureEncoder:
        return FeatureEncoder(self.world.routes)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return self.world.predict(frame) * self.factor


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path})


def answered(world: Any, rows: int = 3_000, factor: float = 1.0) -> pd.DataFrame:
    """Trips with what a champion answered."""
    trips = world.live.iloc[:rows].reset_index(drop=True)
    return trips.assign(**(world.predict(trips) * factor))


def test_the_better_of_two_gains_and_the_worse_loses(world: Any, settings: Settings) -> None:
    trips = answered(world, factor=1.5)

    better, worse, same = (
        gain_of(Rival(world, factor), trips, settings) for factor in (1.0, 2.5, 1.5)
    )

    assert better is not None and worse is not None
    assert better > 0.05
    assert worse < 0
    assert same == 0


def test_trips_that_cannot_be_judged_do_not_count(world: Any, settings: Settings) -> None:
    trips = answered(world, factor=1.5)
    expected = gain_of(Rival(world), trips, settings)
    # Given further trips of two days that no rule lets pass, badly predicted
    broken = trips.assign(**{TARGET: 2_880.0, "prediction_minutes": 1.0})
    both = pd.concat([trips, broken], ignore_index=True)

    assert gain_of(Rival(world), both, settings) == expected


def test_few_trips_say_nothing(world: Any, settings: Settings) -> None:
    few = answered(world, settings.monitoring.min_window_trips // 2)

    assert gain_of(Rival(world), few, settings) is None
    assert gain_of(Rival(world), pd.DataFrame(), settings) is None


def test_the_trips_that_have_ended_are_those_of_the_version(world: Any, settings: Settings) -> None:
    trips = answered(world, 600)
    known = np.arange(600) < 200
    unknown = trips.assign(**{TARGET: trips[TARGET].where(known)})

    def staged(version: int, hour: int, rows: pd.DataFrame) -> Any:
        span = MARCH + timedelta(hours=hour), MARCH + timedelta(hours=hour + 1)
        return stage(settings, version, "served", span, rows, {})

    none = trips.drop(columns=list(LABELS))
    windows = [staged(3, 0, trips), staged(3, 1, unknown), staged(3, 2, none), staged(2, 0, trips)]

    ended = ended_trips(windows, 3)

    assert len(ended) == 800
    assert ended[TARGET].notna().all() and ended[PICKUP_AT].is_monotonic_increasing
    assert set(MINUTES) <= set(ended)
    assert ended_trips(windows, 4).empty
