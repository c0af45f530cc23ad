"""A version's latency, errors and cost are held against those before it, like against like."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.monitoring.judging import judge
from mlops.monitoring.measurements import Measurement
from mlops.monitoring.report import Finding
from mlops.monitoring.serving_health import compare, measure_serving
from mlops.monitoring.serving_snapshots import Counts, Snapshot, time_key
from mlops.monitoring.staging import StagedWindow
from mlops.records.atomic import atomic_file
from mlops.settings import Settings, load_settings

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.05)


def snapshot(
    version: int = 1,
    at: datetime = NOON,
    *,
    answers: int = 1_000,
    milliseconds: float = 4.0,
    errors: int = 0,
    size: float = 1.0,
    cpu: float = 0.5,
    **more: Any,
) -> Snapshot:
    slow = {f"{b:g}": float(answers * (1_000 * b >= milliseconds)) for b in BOUNDS}
    period = Counts(
        answers=answers,
        errors=errors,
        trips=size * answers,
        seconds={**slow, "inf": float(answers)},
        server_answers=answers,
        cpu_seconds=cpu * answers / 1_000,
    )
    fields = {"resident_bytes": 5e7, "bundle_bytes": 1_000_000, "since": at - HOUR, **more}
    return Snapshot(version=version, at=at, period=period, total=period, **fields)


def store(settings: Settings, *snapshots: Snapshot) -> None:
    for one in snapshots:
        name = f"v{one.version}-{time_key(one.at)}.json"
        with atomic_file(settings.monitored / "serving" / name) as path:
            path.write_text(one.model_dump_json(), encoding="utf-8")


def window(version: int = 2, end: datetime = NOON, **more: Any) -> StagedWindow:
    fields: dict[str, Any] = {
        "name": "w",
        "origin": "served",
        "version": version,
        "start": end - HOUR,
        "end": end,
        "uri": "",
        "rows": 1_000,
        "labelled": 0,
        "labels_from": {},
    }
    return StagedWindow.model_validate({**fields, **more})


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"home": str(tmp_path)})


@pytest.fixture(scope="session")
def alarms(world: Any) -> Callable[[Iterable[Measurement]], set[tuple[str, str]]]:
    """Return which measurements are alarms, as a report judges them."""

    def found(measured: Iterable[Measurement]) -> set[tuple[str, str]]:
        findings: list[Finding] = [judge(m, world.profile, world.settings) for m in measured]
        assert {f.family for f in findings} <= {"serving"}
        return {(f.subject, f.statistic) for f in findings if f.outcome == "alarm"}

    return found


def test_a_version_like_the_one_before_is_no_alarm(home: Settings, alarms: Any) -> None:
    measured = list(compare(snapshot(2), [snapshot(1)], home))

    assert alarms(measured) == set()
    assert {(m.subject, m.statistic) for m in measured} == {
        ("latency", "p50"),
        ("latency", "p95"),
        ("latency", "p99"),
        ("errors", "share"),
        ("cost", "CPU per 1 000 answers"),
        ("memory", "resident"),
        ("bundle", "size"),
    }


@pytest.mark.parametrize(
    ("worse", "found"),
    [
        ({"milliseconds": 40.0}, ("latency", "p95")),
        ({"errors": 30}, ("errors", "share")),
        ({"cpu": 1.5}, ("cost", "CPU per 1 000 answers")),
        ({"resident_bytes": 2e8}, ("memory", "resident")),
        ({"bundle_bytes": 3_000_000}, ("bundle", "size")),
    ],
)
def test_each_way_of_being_worse_is_found(
    home: Settings, alarms: Any, worse: dict[str, Any], found: tuple[str, str]
) -> None:
    assert alarms(compare(snapshot(2, **worse), [snapshot(1)], home)) == {found}


@pytest.mark.parametrize(
    "unlike",
    [
        {"milliseconds": 40.0, "size": 500.0, "cpu": 30.0},  # lists instead of single trips
        {"milliseconds": 40.0, "answers": 150, "errors": 4},  # too few to say
        {"answers": 200, "cpu": 3.0},  # five times as idle
        {"cpu": 3.0, "since": None},  # it is not known since when
    ],
)
def test_only_like_is_compared_with_like(
    home: Settings, alarms: Any, unlike: dict[str, Any]
) -> None:
    assert alarms(compare(snapshot(2, **unlike), [snapshot(1)], home)) == set()


def test_errors_need_no_version_before(home: Settings, alarms: Any) -> None:
    measured = list(compare(snapshot(1, errors=30, milliseconds=40.0), [], home))

    assert alarms(measured) == {("errors", "share")}
    assert all(m.limit is None for m in measured if m.subject != "errors")
    assert all(math.isfinite(m.value) for m in measured)


def test_the_version_before_tells_what_is_usual(home: Settings, alarms: Any) -> None:
    # given a slow version long ago, a fast one before this one, and a snapshot of too few answers
    days = timedelta(days=1)
    store(
        home,
        snapshot(1, NOON - 3 * days, milliseconds=40.0),
        snapshot(2, NOON - 2 * days, milliseconds=4.0),
        snapshot(4, NOON - days, answers=20, milliseconds=40.0),
        snapshot(3, NOON, milliseconds=40.0),
    )

    assert alarms(measure_serving(home, window(3))) == {("latency", "p95")}


def test_without_another_version_its_own_past_tells(home: Settings, alarms: Any) -> None:
    store(home, snapshot(1, NOON - HOUR), snapshot(1, NOON, milliseconds=40.0))

    assert alarms(measure_serving(home, window(1))) == {("latency", "p95")}


def test_a_window_is_measured_by_the_snapshot_of_its_time(home: Settings, alarms: Any) -> None:
    # given a bad hour between good ones
    store(
        home,
        snapshot(1, NOON - HOUR),
        snapshot(2, NOON),
        snapshot(2, NOON + HOUR, milliseconds=40.0),
        snapshot(2, NOON + 2 * HOUR),
    )

    def found(end: datetime) -> Any:
        return alarms(measure_serving(home, window(2, end)))

    assert found(NOON) == set()
    assert found(NOON + HOUR / 2) == {("latency", "p95")}  # also when labels arrive later
    assert found(NOON + 2 * HOUR) == set()
    # not of a time when the server could not be asked
    assert list(measure_serving(home, window(2, NOON + 3 * HOUR))) == []
    assert list(measure_serving(home, window(2, NOON - 2 * HOUR))) == []


def test_nothing_is_said_of_windows_that_the_server_did_not_answer(home: Settings) -> None:
    store(home, snapshot(2, NOON))

    assert list(measure_serving(home, window(2, origin="source"))) == []
    assert list(measure_serving(home, window(5))) == []
