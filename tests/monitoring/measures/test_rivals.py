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
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.monitoring.measures.rivals import gain_of, labelled_rows
from mlops.monitoring.windows.staging import Answered, stage
from mlops.settings import Settings, ValidationSettings, load_settings

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


WATCHING = TripWatching(ValidationSettings())


def answered(world: Any, rows: int = 3_000, factor: float = 1.0) -> Answered:
    """Trips with what a champion answered."""
    trips = world.live.iloc[:rows].reset_index(drop=True)
    return Answered(trips, world.predict(trips) * factor, None)


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
    broken = trips.rows.assign(**{TARGET: 2_880.0})
    bad = trips.answers.assign(prediction_minutes=1.0)
    both = Answered(
        pd.concat([trips.rows, broken], ignore_index=True),
        pd.concat([trips.answers, bad], ignore_index=True),
        None,
    )

    assert gain_of(Rival(world), both, settings) == expected


def test_few_trips_say_nothing(world: Any, settings: Settings) -> None:
    few = answered(world, settings.monitoring.min_window_trips // 2)

    assert gain_of(Rival(world), few, settings) is None


def test_the_trips_that_have_ended_are_those_of_the_version(world: Any, settings: Settings) -> None:
    trips = answered(world, 600)
    known = np.arange(600) < 200
    all_known = trips.rows
    unknown = all_known.assign(**{TARGET: all_known[TARGET].where(known)})

    def staged(version: int, hour: int, rows: pd.DataFrame) -> Any:
        span = MARCH + timedelta(hours=hour), MARCH + timedelta(hours=hour + 1)
        asked = trips._replace(rows=rows)
        return stage(settings, version, "served", span, asked, WATCHING, {})

    none = all_known.drop(columns=list(WATCHING.labels))
    windows = [
        *(staged(3, 0, all_known), staged(3, 1, unknown)),
        *(staged(3, 2, none), staged(2, 0, all_known)),
    ]

    ended = labelled_rows(windows, 3, WATCHING)

    assert ended is not None and len(ended.rows) == len(ended.answers) == 800
    assert ended.rows[TARGET].notna().all() and ended.rows[PICKUP_AT].is_monotonic_increasing
    assert ended.answers["prediction_minutes"].to_numpy() == pytest.approx(
        world.predict(ended.rows)["prediction_minutes"].to_numpy()
    )
    assert labelled_rows(windows, 4, WATCHING) is None
