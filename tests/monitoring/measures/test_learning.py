"""Building a profile: small, storable, honest about a history that is too short."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.faults import FAULTS
from mlops.errors import DataQualityError, MlopsError
from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.measures import learning
from mlops.monitoring.measures.judging import report_window
from mlops.monitoring.measures.learning import build_profile
from mlops.monitoring.reference.nulls import fit_nulls, limit_of
from mlops.monitoring.reference.profile import ReferenceProfile


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


def test_every_learned_kind_has_a_limit(world: Any) -> None:
    calibration = world.profile.calibration

    assert set(calibration.limits) == {"quality", "drift", "labels", "performance"}
    assert all(2 < limit < 12 for limit in calibration.limits.values())


def test_errors_are_those_of_the_test_only(world: Any) -> None:
    # given what was tested
    tested = world.history.rows(
        (world.history.frame["pickup_at"] >= world.profile.tested_from).to_numpy()
    )

    # when the trips behind the overall error are counted
    overall = np.array(world.profile.errors[0].sums)[:, 0].sum()

    # then they are those, less what cannot be judged
    assert overall == tested.learnable.sum()
    # and the reference is of all
    at = world.history.frame["pickup_at"]
    assert (world.profile.start, world.profile.end) == (at.iloc[0], at.iloc[-1])
    assert world.profile.rows == len(at)


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

    with pytest.raises(DataQualityError, match=r"pickup_at: .*order of time"):
        build_profile(backwards, "7", world.profile.tested_from, (1.0, 60.0), world.settings)


def ending(world: Any, days: float) -> Any:
    """Return the last days of the history."""
    at = world.history.frame["pickup_at"]
    return world.history.rows((at >= at.iloc[-1] - timedelta(days=days)).to_numpy())


@pytest.mark.parametrize(
    ("days", "seen"),
    # three weeks of 300 trips a day hold four windows: no more than the plain rule sees the fault
    [(21, {"performance"}), (30, {"drift", "performance"}), (31, {"drift", "performance"})],
)
def test_a_history_of_weeks_gives_limits_of_inputs(world: Any, days: int, seen: set[str]) -> None:
    # given a short history of which the last week is the test
    history = ending(world, days)
    tested_from = history.frame["pickup_at"].iloc[-1] - timedelta(days=7)

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
    at = world.history.frame["pickup_at"]
    trips = world.history.frame.assign(pickup_at=at.dt.floor("h").astype(at.dtype))

    profile = build_profile(
        world.window(trips), "7", world.profile.tested_from, (1.0, 60.0), world.settings
    )

    assert set(profile.calibration.limits) == {"quality", "drift", "labels", "performance"}


def test_trips_that_all_begin_at_once_are_no_history(world: Any) -> None:
    at = world.history.frame["pickup_at"]
    trips = world.history.frame.iloc[:5_000].assign(pickup_at=at.iloc[0])

    with pytest.raises(DataQualityError, match="learn alarm limits"):
        build_profile(
            world.window(trips), "7", world.profile.tested_from, (1.0, 60.0), world.settings
        )


DAY = np.timedelta64(1, "D").astype("timedelta64[us]")
BEGIN = np.datetime64("2024-01-01", "us")


class Rows:
    """Stands for a history: of its rows it only knows which they are."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = np.asarray(numbers)

    def rows(self, chosen: Any) -> Rows:
        return Rows(self.numbers[chosen])


@pytest.mark.parametrize(("days", "length"), [(80, 10), (40, 10), (20, 5), (8, 2), (4, 2)])
def test_stretches_are_ten_days_long_or_as_many_as_are_wanted_of_two_days(
    days: int, length: int
) -> None:
    assert learning._length(days * DAY, 4) == length * DAY


def test_the_last_stretch_ends_with_the_history() -> None:
    found = list(learning._stretches(BEGIN + 31 * DAY, 25 * DAY, 10 * DAY))

    assert found == [
        (BEGIN + 11 * DAY, BEGIN + 21 * DAY),
        (BEGIN + 21 * DAY, BEGIN + 31 * DAY + np.timedelta64(1, "us")),
    ]


@pytest.mark.parametrize(
    ("count", "windows"),
    [
        (999, []),
        (1_000, [(7, 1_000)]),
        (2_500, [(7, 1_000), (757, 1_000), (1_507, 1_000), (7, 2_000)]),
        (
            4_000,
            [
                *((7 + place, 1_000) for place in (0, 1_000, 2_000, 3_000)),
                *((7 + place, 2_000) for place in (0, 1_000, 2_000)),
            ],
        ),
    ],
)
def test_windows_of_each_size_that_fits_overlap(count: int, windows: list[tuple[int, int]]) -> None:
    inside = np.arange(5_000)
    inside = (inside >= 7) & (inside < 7 + count)

    found = list(learning._cut(Rows(range(5_000)), inside))  # type: ignore[arg-type]

    assert [(part.numbers[0], len(part.numbers)) for part in found] == windows


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each measurement be only which rows were compared with which."""
    monkeypatch.setattr(learning, "_counted", lambda rows, features: len(rows.numbers))
    monkeypatch.setattr(learning, "count_properties", lambda rows: len(rows.numbers))
    monkeypatch.setattr(learning, "sum_errors", lambda rows: rows.numbers.tolist())
    for name, known in (
        *(("measure_drift", "features"), ("measure_quality", "shares")),
        ("measure_performance", "errors"),
    ):
        monkeypatch.setattr(
            learning,
            name,
            lambda rows, against, known=known: [(rows.numbers[0], getattr(against, known))],
        )


def test_inputs_are_compared_with_what_came_just_and_long_before(
    world: Any, looked_at: None
) -> None:
    # given 60 days of 100 trips each: 40 of them are stretches, the first 20 only lead to them
    at = BEGIN + np.arange(6_000) * (DAY // 100)
    at[-1] = BEGIN + 60 * DAY

    found = list(learning._quiet_inputs(Rows(range(6_000)), at, world.profile))  # type: ignore[arg-type]

    # then each has a window of its ten days, compared with all before it, and with what ended
    # twenty days before it if that is enough
    assert [(window.stretch - BEGIN) / DAY for window in found] == [20, 30, 40, 40, 50, 50]
    before = [2_000, 3_000, 4_000, 2_000, 5_000, 3_000]
    starts = [2_000, 3_000, 4_000, 4_000, 5_000, 5_000]
    assert [window.found for window in found] == [
        [(start, rows), (start, rows)] for start, rows in zip(starts, before, strict=True)
    ]


@pytest.mark.parametrize(("days", "stretches"), [(30, 6), (20, 6), (19, 0), (0, 0)])
def test_errors_are_compared_with_those_of_the_rest_of_a_test_of_three_weeks(
    world: Any, looked_at: None, days: int, stretches: int
) -> None:
    at = BEGIN + np.arange(24_001) * (DAY // 400)
    tested = at >= at[-1] - days * DAY if days else np.zeros(len(at), dtype=bool)

    found = list(learning._quiet_errors(Rows(range(len(at))), at, tested, world.profile))  # type: ignore[arg-type]

    assert len({window.stretch for window in found}) == stretches
    if found:
        begins = min(window.stretch for window in found)
        assert abs(begins - (at[-1] - days * DAY)) < np.timedelta64(1, "ms")
    for window in found:
        ((first, others),) = window.found
        assert tested[others].all()
        assert len(others) == pytest.approx(tested.sum() * 5 / 6, abs=2)
        assert not {first, first + 999} & set(others)


def test_each_stretch_is_judged_by_what_the_others_taught() -> None:
    # given three stretches of two windows each, and a kind of which only one window tells
    random = np.random.default_rng(4)

    def measured(kind: Any, subject: str, n: int) -> Measurement:
        value = float(0.02 * np.exp(random.normal(0, 0.2)))
        return Measurement(kind, subject, "psi", "squares", "high", n, value, 0.0)

    quiet = [
        learning._Quiet(
            stretch, [measured("drift", "zone", 1_000 * n), measured("drift", "vendor", 1_000)]
        )
        for stretch in range(3)
        for n in (1, 2)
    ]
    quiet[0].found.append(measured("labels", "duration", 1_000))
    quiet[1].found.append(measured("labels", "duration", 500))
    quiet[2].found.append(measured("labels", "duration", 500))

    found = learning._calibrate(quiet, 0.04)

    maxima: dict[str, list[float]] = {"drift": [], "labels": []}
    for stretch in range(3):
        nulls = fit_nulls(window.found for window in quiet if window.stretch != stretch)
        for window in quiet:
            for kind, values in maxima.items():
                worst = nulls.worst(m for m in window.found if m.kind == kind)
                if window.stretch == stretch and worst is not None:
                    values.append(worst)
    assert found.limits == {f: pytest.approx(limit_of(v, 0.01)) for f, v in maxima.items()}
    assert (found.windows, found.false_alarms) == (6, 0.04)
    assert found.nulls == fit_nulls(window.found for window in quiet)
    alone = learning._calibrate([*quiet[1:2], *quiet[4:]], 0.04)
    assert set(alone.limits) == {"drift"}, "one window tells no limit"
