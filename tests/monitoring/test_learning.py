"""Building a profile: small, storable, honest about a history that is too short."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops.errors import DataQualityError, MlopsError
from mlops.monitoring.faults import FAULTS
from mlops.monitoring.judging import report_window
from mlops.monitoring.learning import build_profile
from mlops.monitoring.profile import ReferenceProfile


def test_a_profile_survives_storage_and_is_small(world: Any, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"

    world.profile.save(path)

    assert ReferenceProfile.load(path) == world.profile
    assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": 99}'])
def test_a_file_that_is_no_profile_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content)

    with pytest.raises(MlopsError, match=r"profile\.json: the file is damaged"):
        ReferenceProfile.load(path)


def test_every_learned_family_has_a_limit(world: Any) -> None:
    calibration = world.profile.calibration

    assert set(calibration.limits) == {"quality", "drift", "labels", "performance"}
    assert all(2 < limit < 12 for limit in calibration.limits.values())


def test_errors_are_those_of_the_test_only(world: Any) -> None:
    # given what was tested
    tested = world.history.rows(
        (world.history.trips["pickup_at"] >= world.profile.tested_from).to_numpy()
    )

    # when the trips behind the overall error are counted
    overall = np.array(world.profile.errors[0].sums)[:, 0].sum()

    # then they are those, less what cannot be judged
    assert overall == tested.learnable.sum()


def test_the_same_history_gives_the_same_profile(world: Any) -> None:
    again = build_profile(
        world.history, "7", world.profile.tested_from, (1.0, 60.0), world.settings
    )

    assert again.model_copy(update={"created_at": world.profile.created_at}) == world.profile


def test_a_history_too_short_is_refused_with_what_is_needed(world: Any) -> None:
    with pytest.raises(DataQualityError, match="too few to learn alarm limits"):
        build_profile(
            world.history.rows(slice(0, 1_500)),
            "7",
            world.profile.tested_from,
            (1.0, 60.0),
            world.settings,
        )


def test_a_history_out_of_order_is_refused(world: Any) -> None:
    backwards = world.history.rows(slice(None, None, -1))

    with pytest.raises(DataQualityError, match=r"pickup_at: .*order of pickup"):
        build_profile(backwards, "7", world.profile.tested_from, (1.0, 60.0), world.settings)


def ending(world: Any, days: float) -> Any:
    """Return the last days of the history."""
    at = world.history.trips["pickup_at"]
    return world.history.rows((at >= at.iloc[-1] - timedelta(days=days)).to_numpy())


@pytest.mark.parametrize(
    ("days", "seen"),
    # three weeks of 300 trips a day hold four windows: no more than the plain rule sees the fault
    [(21, {"performance"}), (30, {"drift", "performance"}), (31, {"drift", "performance"})],
)
def test_a_history_of_weeks_gives_limits_of_inputs(world: Any, days: int, seen: set[str]) -> None:
    # given a short history of which the last week is the test
    history = ending(world, days)
    tested_from = history.trips["pickup_at"].iloc[-1] - timedelta(days=7)

    # when a profile is built
    profile = build_profile(history, "7", tested_from, (1.0, 60.0), world.settings)

    # then it knows what is quiet, but not how errors vary from week to week
    assert set(profile.calibration.limits) == {"quality", "drift", "labels"}
    assert all(limit > 1.5 for limit in profile.calibration.limits.values())

    # and it is quiet about the month that follows, but not about a slower one
    quiet, slow = (
        report_window(world.window(trips), profile, world.settings, name="w")
        for trips in (world.live.iloc[:5_000], FAULTS["drift knob at full strength"](world.live))
    )
    assert not quiet.alarms
    assert seen <= slow.violated


def test_trips_that_all_begin_on_the_hour_can_be_a_history(world: Any) -> None:
    at = world.history.trips["pickup_at"]
    trips = world.history.trips.assign(pickup_at=at.dt.floor("h").astype(at.dtype))

    profile = build_profile(
        world.window(trips), "7", world.profile.tested_from, (1.0, 60.0), world.settings
    )

    assert set(profile.calibration.limits) == {"quality", "drift", "labels", "performance"}


def test_trips_that_all_begin_at_once_are_no_history(world: Any) -> None:
    at = world.history.trips["pickup_at"]
    trips = world.history.trips.iloc[:5_000].assign(pickup_at=at.iloc[0])

    with pytest.raises(DataQualityError, match="learn alarm limits"):
        build_profile(
            world.window(trips), "7", world.profile.tested_from, (1.0, 60.0), world.settings
        )
