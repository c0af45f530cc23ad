"""Axes of moments: their labels differ, and they end now."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.dates import num2date

from mlops.drawing import overview, overview_events, serving
from mlops.drawing.frame import axes, figure
from mlops.drawing.moments import dates, moment_labels
from mlops.observability.overview_tables import TABLES as OVERVIEW
from mlops.observability.serving_tables import TABLES as SERVING

START = datetime(2023, 11, 28, 15, 17, tzinfo=timezone.utc)


@given(
    st.lists(
        st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
            lambda at: at.replace(microsecond=0)
        ),
        max_size=12,
        unique=True,
    )
)
def test_labels_of_different_moments_differ(moments: list[datetime]) -> None:
    labels = moment_labels(moments)

    assert len(set(labels)) == len(moments)


@pytest.mark.parametrize(
    ("moments", "labels"),
    [
        ([datetime(2024, 1, 1), datetime(2024, 2, 1)], ["Jan 2024", "Feb 2024"]),
        ([datetime(2024, 1, 8), datetime(2024, 2, 8)], ["08 Jan", "08 Feb"]),
        ([datetime(2023, 3, 8), datetime(2024, 3, 8)], ["08 Mar 2023", "08 Mar 2024"]),
        ([datetime(2024, 1, 8, 9), datetime(2024, 1, 8, 10)], ["09:00\n08 Jan 2024", "10:00"]),
        ([datetime(2024, 1, 8, 9), datetime(2024, 1, 9, 9)], ["08 Jan 09:00", "09 Jan 09:00"]),
    ],
)
def test_labels_are_as_short_as_that_allows(moments: list[datetime], labels: list[str]) -> None:
    assert moment_labels(moments) == labels


@pytest.mark.parametrize(
    "span",
    [timedelta(0), timedelta(seconds=30), timedelta(hours=3), timedelta(days=1)]
    + [timedelta(days=days) for days in (3, 12, 45, 100, 400, 1500)],
)
def test_ticks_of_any_span_have_different_labels(span: timedelta) -> None:
    made = figure()
    on = axes(made, title="", x="", y="")
    on.plot(pd.DatetimeIndex([START, START + span]), [1, 2])

    dates(on)

    made.draw_without_rendering()
    low, high = on.get_xlim()
    places = [x for x in on.get_xticks() if low <= x <= high]
    labels = [each.get_text() for each in on.get_xticklabels() if each.get_text()]
    assert len(places) >= 2 or span == timedelta(0)
    assert len(set(labels)) == len(labels) >= len(places)


def end_of(drawing: Any) -> datetime:
    moment: datetime = num2date(drawing.axes[0].get_xlim()[1])
    return moment


@pytest.mark.parametrize("later", [timedelta(minutes=10), timedelta(hours=20)])
@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("serving_requests", serving.draw_requests),
        ("serving_latency", serving.draw_latency),
        ("serving_errors", serving.draw_errors),
    ],
)
def test_axes_of_time_end_now(name: str, draw: Any, later: timedelta) -> None:
    columns = SERVING[name].columns
    row = {**dict.fromkeys(columns, 1.0), "endpoint": "/predict", "status": "200", "kind": "422"}
    rows = [
        {**row, "at": START + timedelta(minutes=minutes), "role": "champion", "version": 3}
        for minutes in range(30)
    ]
    now = START + timedelta(minutes=30) + later

    drawing = draw(SERVING[name].shaped(pd.DataFrame(rows)), now=now)

    assert abs(end_of(drawing) - now) < timedelta(minutes=1)


def test_the_picture_of_runs_ends_today_however_long_ago_the_last_was() -> None:
    day = pd.Timestamp(START).normalize()
    row = {"day": day, "pipeline": "retraining", "status": "completed", "runs": 1}

    made: Any = overview_events.draw_runs(
        OVERVIEW["runs"].shaped(pd.DataFrame([row])), now=START + timedelta(days=5)
    )

    assert [each.get_text() for each in made.axes[0].get_xticklabels()][-1] == "03 Dec"


def test_trainings_of_the_same_minute_are_named_apart() -> None:
    rows = [
        {
            "training": START + timedelta(seconds=seconds),
            "family": family,
            "rmse": 4.6,
            "synthetic": False,
        }
        for seconds in (0, 20)
        for family in ("lasso", "squared_error")
    ]

    made: Any = overview.draw_searches(OVERVIEW["searches"].shaped(pd.DataFrame(rows)))

    labels = [each.get_text() for each in made.axes[0].get_xticklabels()]
    assert len(set(labels)) == 2
    # Families that are as good as each other lie beside each other.
    first, second = made.axes[0].lines[:2]
    assert set(first.get_xdata()).isdisjoint(second.get_xdata())
