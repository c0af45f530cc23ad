"""Watching: windows cover the month, signals follow monitoring's own rule, faults are seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.backtest.recording import record
from mlops.backtest.replay import Replay
from mlops.backtest.store import Store
from mlops.backtest.training import Training, read_training
from mlops.backtest.watching import Monitoring, signal, weeks
from mlops.monitoring.findings.report import Finding, WindowReport
from mlops.settings import MonitoringSettings

START = datetime(2024, 1, 1)


@given(days=st.integers(1, 40), length=st.integers(1, 20))
def test_windows_cover_the_time_without_gap_or_overlap_and_end_now(days: int, length: int) -> None:
    now = START + timedelta(days=days)

    found = list(weeks(START, now, length))

    assert found[0][0] == START and found[-1][1] == now
    assert all(end == start for (_, end), (start, _) in pairwise(found))
    assert all(end - start == timedelta(days=length) for start, end in found[1:])
    assert len(found) == 1 or found[0][1] - START >= timedelta(days=length)


@pytest.fixture(scope="module")
def champion(monthly: Any) -> Training:
    replay, steps = monthly
    return read_training(steps[0].champion, replay.store)


def rmse(outcome: str, interval: tuple[float, float], kind: str = "performance") -> Finding:
    return Finding(
        kind=kind,  # type: ignore[arg-type]
        subject="all rows",
        statistic="rmse",
        value=sum(interval) / 2,
        reference=4.0,
        unit="min",
        limit=None if outcome == "unjudged" else 5.0,
        score=None,
        interval=interval,
        rows=1_000,
        outcome=outcome,  # type: ignore[arg-type]
        why=f"RMSE is {sum(interval) / 2}",
    )


def reports(champion: Training, *findings: Finding) -> list[tuple[datetime, WindowReport]]:
    """One window per finding, a week apart."""
    return [
        (
            START + timedelta(days=7 * number),
            WindowReport(
                window=str(number),
                version=champion.key,
                start=None,
                end=None,
                created_at=START,
                rows=1_000,
                refused=0,
                labelled=1_000,
                findings=(finding,),
            ),
        )
        for number, finding in enumerate(findings, start=1)
    ]


GOOD, BAD = rmse("ok", (3.9, 4.1)), rmse("alarm", (5.5, 6.5))


@pytest.mark.parametrize(
    ("findings", "alarm"),
    [
        ([GOOD, GOOD, GOOD, GOOD], False),
        ([GOOD, GOOD, GOOD, BAD], False),  # one odd week
        ([GOOD, GOOD, BAD, BAD], True),
        ([GOOD, BAD, BAD, GOOD], True),  # wanted in the third week, and nothing was done yet
        ([BAD, GOOD, GOOD, BAD], False),
    ],
)
def test_a_signal_needs_more_than_one_violated_window(
    champion: Training, findings: list[Finding], alarm: bool
) -> None:
    found = signal(
        "performance", reports(champion, *findings), champion, START, MonitoringSettings()
    )

    assert found.alarm is alarm
    assert found.windows == tuple(finding is BAD for finding in findings)
    assert found.reason


def test_a_change_that_begins_at_the_end_of_a_month_is_seen_in_the_next(
    champion: Training,
) -> None:
    month = START + timedelta(days=7)  # the first window belongs to the month before

    change, over = (
        signal("performance", reports(champion, *found), champion, month, MonitoringSettings())
        for found in ([BAD, BAD, GOOD], [BAD, GOOD, GOOD])
    )

    assert change.alarm and change.windows == (True, False)
    assert not over.alarm


@pytest.mark.parametrize("kind", ["drift", "labels"])
def test_one_kind_of_change_is_not_taken_for_another(champion: Training, kind: str) -> None:
    drifting = rmse("alarm", (5.5, 6.5), kind=kind)
    found = reports(champion, drifting, drifting, drifting)

    assert signal("drift", found, champion, START, MonitoringSettings()).alarm
    assert not signal("performance", found, champion, START, MonitoringSettings()).alarm


def test_monitoring_sees_a_drifted_december_and_not_november(
    make_replay: Callable[..., Replay], small_settings: Any, tmp_path: Any
) -> None:
    """The real thing, on enough trips for it to know what is quiet."""
    months = ("2023-09", "2023-10", "2023-11", "2023-12")
    source = small_settings.source.model_copy(update={"sample_rows": 9_000})
    backtest = small_settings.backtest.model_copy(update={"initial_months": 2})
    windows = small_settings.windows.model_copy(update={"test_days": 0})
    settings = small_settings.model_copy(
        update={"source": source, "backtest": backtest, "windows": windows}
    )
    store = Store(tmp_path)
    replay = Replay(record(settings, months), months, settings, store, Monitoring(settings, store))

    steps = {(step.policy, step.month): step for step in replay.run(["never"])}

    quiet, drifted = steps["never", "2023-11"].signals, steps["never", "2023-12"].signals
    assert not quiet.drift.alarm
    assert drifted.drift.alarm and drifted.drift.windows[-1]
    assert drifted.performance.windows[-1]


def test_other_limits_need_another_reference(
    champion: Training, small_settings: Any, tmp_path: Any
) -> None:
    stricter = small_settings.monitoring.model_copy(update={"false_alarms": 0.01})
    store = Store(tmp_path)

    paths = {
        Monitoring(settings, store)._profile(champion)
        for settings in (small_settings, small_settings.model_copy(update={"monitoring": stricter}))
    }

    assert len(paths) == 2
