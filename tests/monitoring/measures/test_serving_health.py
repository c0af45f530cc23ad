"""A version's latency, errors and cost are held against those before it, like against like."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mlops.monitoring.findings.measurements import Measurement
from mlops.monitoring.findings.report import Finding
from mlops.monitoring.measures.judging import judge
from mlops.monitoring.measures.serving_health import compare, measure_serving
from mlops.monitoring.windows.serving_snapshots import Counts, Snapshot, time_key
from mlops.monitoring.windows.staging import StagedWindow
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
        assert {f.kind for f in findings} <= {"serving"}
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


def test_two_hundred_answers_of_the_version_before_tell_what_is_usual(
    home: Settings, alarms: Any
) -> None:
    past = snapshot(2, NOON - HOUR, milliseconds=40.0)
    before = snapshot(1, NOON - 2 * HOUR, answers=200)
    store(home, before, past, snapshot(2, NOON, milliseconds=40.0))

    assert alarms(measure_serving(home, window(2))) == {("latency", "p95")}


def test_what_happened_after_a_window_says_nothing_of_it(home: Settings) -> None:
    store(home, snapshot(2, NOON + HOUR, since=NOON))

    assert list(measure_serving(home, window(2, NOON))) == []
    assert list(measure_serving(home, window(2, NOON + timedelta(microseconds=1)))) != []


def test_nothing_is_said_of_windows_that_the_server_did_not_answer(home: Settings) -> None:
    store(home, snapshot(2, NOON))

    assert list(measure_serving(home, window(2, origin="source"))) == []
    assert list(measure_serving(home, window(5))) == []


def told(measured: Iterable[Measurement]) -> dict[str, tuple[float, float, float | None]]:
    """Return value, what is usual and limit, by subject or, of latencies, by statistic."""
    return {
        m.statistic if m.subject == "latency" else m.subject: (
            *(round(x, 6) for x in (m.value, m.reference)),
            None if m.limit is None else round(m.limit, 6),
        )
        for m in measured
    }


def test_values_limits_and_what_is_usual_are_what_the_snapshots_say(home: Settings) -> None:
    config = home.model_copy(
        update={
            "deployment": home.deployment.model_copy(
                update={
                    **{"max_latency_ratio": 1.5, "latency_floor_ms": 3.0},
                    "max_error_share": 0.02,
                }
            ),
            "monitoring": home.monitoring.model_copy(update={"max_cost_ratio": 2.0}),
        }
    )
    usual = [
        snapshot(1, NOON - 3 * HOUR, errors=30, cpu=0.25, resident_bytes=9e7),
        snapshot(
            1, NOON - 2 * HOUR, errors=10, cpu=0.75, resident_bytes=4e7, bundle_bytes=2_000_000
        ),
    ]

    found = told(compare(snapshot(2, errors=50), usual, config))

    # Answers that took 4 ms lie between 2 and 5: quantiles are linear in between.
    p95 = 2 + 3 * 0.95
    assert found["p95"] == (p95, p95, round(1.5 * p95, 6))
    assert found["p50"] == (3.5, 3.5, None) and found["p99"] == (4.97, 4.97, None)
    usually = round(40 / 2_040, 6)
    assert found["errors"] == (
        round(50 / 1_050, 6),
        usually,
        pytest.approx(40 / 2_040 + 0.02, abs=1e-6),
    )
    assert found["cost"] == (0.5, 0.5, 1.0)
    assert found["memory"] == (50, 40, 80)
    assert found["bundle"] == (1, 2, 4)
    # fast ones are held to the floor
    fast = [snapshot(1, milliseconds=1.0)]
    assert told(compare(snapshot(2, milliseconds=1.0), fast, config))["p95"][2] == 4.5


@pytest.mark.parametrize(
    ("mine", "usual", "judged"),
    [(200, 200, True), (199, 200, False), (200, 199, False)],
)
def test_latencies_of_two_hundred_requests_are_compared(
    home: Settings, mine: int, usual: int, judged: bool
) -> None:
    found = told(compare(snapshot(2, answers=mine), [snapshot(1, answers=usual)], home))

    assert (found["p95"][2] is not None) == judged
    assert (found["cost"][2] is not None) == judged if mine >= 200 else "cost" not in found


@pytest.mark.parametrize(
    ("size", "alike"), [(2.0, True), (2.01, False), (0.5, True), (0.49, False)]
)
def test_requests_are_alike_within_a_factor_of_two(
    home: Settings, size: float, alike: bool
) -> None:
    found = told(compare(snapshot(2, size=size), [snapshot(1)], home))

    assert (found["p95"][2] is not None) == alike
    assert (found["cost"][2] is not None) == alike


@pytest.mark.parametrize(
    ("answers", "errors", "limit"), [(95, 5, 0.05), (995, 5, 0.01), (0, 4, 5 / 4)]
)
def test_a_few_errors_are_accidents(
    home: Settings, answers: int, errors: int, limit: float
) -> None:
    found = told(compare(snapshot(2, answers=answers, errors=errors), [], home))

    assert home.deployment.max_error_share == 0.01
    assert found["errors"] == (errors / (answers + errors), 0, limit)


@pytest.mark.parametrize(("others", "known"), [(50, True), (60, False)])
def test_what_workers_spend_is_a_versions_own_if_it_gives_nearly_all_answers(
    home: Settings, others: int, known: bool
) -> None:
    one = snapshot(2)
    period = one.period.model_copy(update={"server_answers": 1_000 + others})

    found = told(compare(one.model_copy(update={"period": period}), [], home))

    assert ("cost" in found) == known
