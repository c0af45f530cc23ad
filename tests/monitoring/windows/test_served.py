"""Which part of the log is looked at: what is written by now, day by day, and not for ever."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.monitoring.windows import served
from mlops.monitoring.windows.cutting import DAY_US, Span
from mlops.settings import load_settings

NOW = datetime(2024, 3, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(("wait", "window", "days"), [(40, 2, 40), (3, 7, 7)])
def test_the_log_is_read_up_to_what_is_being_written_and_as_far_back_as_labels_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, wait: int, window: int, days: int
) -> None:
    settings = load_settings(
        {
            **{"monitoring.label_wait_days": wait, "monitoring.window_days": window},
            **{"monitoring.window_trips": 1_000, "monitoring.min_window_trips": 500},
            "prediction_log.flush_seconds": 5,
        }
    )
    asked: list[Any] = []
    at = served.to_us(NOW - timedelta(hours=1)) + np.arange(1_500) * 1_000_000
    pickups = np.where(np.arange(1_500) < 700, "2024-02", "2024-03").astype("datetime64[M]")

    def waiting(settings: Any, event: str, start: int, until: int, after: Any) -> Any:
        asked.append((event, start, until, after))
        return [(2, served._Waiting(at, pickups))]

    monkeypatch.setattr(served, "_waiting", waiting)

    spans = served.new_spans(settings, TripWatching(settings.validation), {1: NOW}, NOW)

    assert asked == [
        (
            "pickup_at",
            served.to_us(NOW - timedelta(days=days)),
            served.to_us(NOW - timedelta(seconds=11)),
            {1: served.to_us(NOW)},
        )
    ]
    whole = Span(int(at[0]), int(at[999]) + 1)
    assert spans == [served.ServedSpan(2, whole, ("2024-02", "2024-03"))]


@pytest.mark.parametrize(
    ("spans", "days"),
    [
        ([], []),
        ([Span(0, DAY_US)], [0]),
        ([Span(DAY_US - 1, DAY_US + 1)], [0, 1]),
        ([Span(5 * DAY_US, 5 * DAY_US + 1), Span(0, DAY_US + 1)], [0, 1, 5]),
    ],
)
def test_spans_touch_days(spans: list[Span], days: list[int]) -> None:
    assert served._days(spans) == [Span(day * DAY_US, (day + 1) * DAY_US) for day in days]
    assert all(served.to_us(served.from_us(span.start)) == span.start for span in spans)
