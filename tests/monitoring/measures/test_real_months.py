"""On real trips: quiet months are quiet, and each fault is found in its first 5,000 trips."""

from __future__ import annotations

from typing import Any

import pytest

from demo.faults import FAULTS

pytestmark = pytest.mark.real_data

WINDOW = 5_000


def test_a_quiet_month_raises_hardly_an_alarm(real_world: Any) -> None:
    starts = range(0, len(real_world.live) - WINDOW + 1, WINDOW)

    reports = [real_world.report(real_world.live.iloc[start : start + WINDOW]) for start in starts]

    alarmed = [report.summary() for report in reports if report.alarms]
    assert len(alarmed) <= 1, alarmed


@pytest.mark.parametrize("name", [name for name in FAULTS if "quarter" not in name])
@pytest.mark.parametrize("start", [0, 20_000])
def test_each_fault_is_found_in_its_first_window(real_world: Any, name: str, start: int) -> None:
    trips = real_world.live.iloc[start : start + 2 * WINDOW].reset_index(drop=True)

    report = real_world.report(FAULTS[name](trips).iloc[:WINDOW])

    assert report.alarms, report.summary()
