"""Trips that nobody asked about: whole months, in windows of their own, beside what was served."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.data.origins import TripOrigin
from mlops.datasets.taxi.trips import DROPOFF_AT, PICKUP_AT, REQUEST_COLUMNS, TARGET
from mlops.datasets.taxi.watched import arriving
from mlops.datasets.taxi.watched.arriving import TripsArriving
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.datasets.wall_clock import instant_of
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.windows import unserved
from mlops.monitoring.windows.cutting import Span
from mlops.settings import MonitoringSettings, Settings, ValidationSettings, load_settings

Maker = Callable[..., WindowRecord]
WATCHING = TripWatching(ValidationSettings())
SIZES = MonitoringSettings(window_trips=1_000, min_window_trips=500, window_days=1)
FIRST, END = datetime(2024, 2, 1), datetime(2024, 3, 1)
MINUTE = 60_000_000


def instant(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def after(minutes: int) -> int:
    return instant(FIRST) + minutes * MINUTE


SHORTLY = END - timedelta(microseconds=1)
DAY = 24 * 60
LAST = 29 * DAY  # minutes of the month


@pytest.mark.parametrize(
    ("begin", "trips", "now", "ends"),
    [
        (0, 0, END, []),
        (0, 499, END, []),  # too few for a window
        (0, 500, END, [DAY]),
        (0, 2_499, END, [1_000, 2_000]),
        (0, 2_500, END, [1_000, 2_000, 2_000 + DAY]),
        # what remains of the last day is a window if it is large enough
        (LAST - 600, 499, END, []),
        (LAST - 600, 500, END, [LAST]),
        # a month that is not over ends with its last trip, which may not be the last of its window
        (LAST - 600, 500, SHORTLY, []),
        (0, 2_001, SHORTLY, [1_000, 2_000]),
        (0, 2_000, SHORTLY, [1_000]),
        (0, 2_500, FIRST + timedelta(minutes=1_999), [1_000]),
        (0, 0, FIRST, []),
    ],
)
def test_a_month_is_cut_to_its_end_once_it_is_over(
    begin: int, trips: int, now: datetime, ends: list[int]
) -> None:
    at = after(begin) + np.arange(trips) * MINUTE

    spans = unserved._spans(at, "2024-02", now, SIZES)

    # A window that is full ends just behind its last trip.
    full = {1_000, 2_000}
    assert [span.end for span in spans] == [
        after(end - 1) + 1 if end in full else after(end) for end in ends
    ]
    assert [span.start for span in spans] == [after(begin + 1_000 * n) for n in range(len(ends))]


def test_what_a_version_answered_are_the_pickups_of_its_windows(make_window: Maker) -> None:
    pickups = (FIRST, FIRST + timedelta(hours=1))
    known = make_window(0).model_copy(update={"pickups": pickups})
    older = make_window(1)  # of before its pickups were noted
    assert older.report.start is not None and older.report.end is not None
    nothing = older.report.model_copy(update={"start": None, "end": None})
    records = [
        known,
        older,
        older.model_copy(update={"report": nothing}),
        make_window(2, origin="source"),
        make_window(3, version=4),
    ]
    staged: Any = [
        SimpleNamespace(version=3, pickups=(FIRST, END)),
        SimpleNamespace(version=3, pickups=None),
        SimpleNamespace(version=4, pickups=(FIRST, END)),
    ]

    found = unserved._served(3, records, staged)

    assert found == [
        Span(instant(pickups[0]), instant(pickups[1])),
        Span(instant(older.report.start), instant(older.report.end)),
        Span(instant(FIRST), instant(END)),
    ]


@pytest.mark.parametrize(
    ("receipt", "kind", "learned"),
    [
        (None, "path", False),
        (("yellow", False), "path", False),
        (("green", False), "path", True),
        (("green", False), "sample", False),
        (("green", True), "sample", True),
        (("green", True), "path", True),
    ],
)
def test_only_trips_of_the_kind_that_the_champion_learned_from_say_something_of_it(
    receipt: Any, kind: str, learned: bool
) -> None:
    champion: Any = SimpleNamespace(
        receipt=receipt and SimpleNamespace(origin=TripOrigin(*receipt), synthetic=receipt[1])
    )
    settings = load_settings({"source.kind": kind, "source.location": "/trips"})

    assert unserved._learned_from(champion, TripsArriving(settings)) == learned


def test_trips_are_looked_at_from_the_end_of_the_test_and_then_of_the_last_window(
    make_window: Maker,
) -> None:
    champion: Any = SimpleNamespace(
        version=3, receipt=SimpleNamespace(windows={"test": SimpleNamespace(end=FIRST)})
    )
    others = [make_window(5), make_window(6, version=4, origin="source")]
    mine = [make_window(hour, origin="source") for hour in (2, 1)]

    assert unserved._since(champion, others, WATCHING) == FIRST
    # (The window ends at three by UTC.)
    assert unserved._since(champion, [*others, *mine], WATCHING) == datetime(2024, 2, 29, 22)
    nobody: Any = SimpleNamespace(version=3, receipt=None)
    assert unserved._since(nobody, others, WATCHING) is None


def test_of_a_months_files_come_its_trips_from_then_on_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    since, instants = FIRST + timedelta(days=3), timedelta(microseconds=1)
    pickups = {
        "a": [END - instants, since - instants, END],
        "b": [since, FIRST - instants, since + instants],
    }

    def read_trips(uri: str, taxi: str, columns: Any, clock: Any) -> pd.DataFrame:
        at = pd.Series(pickups[uri], dtype="datetime64[us]")
        return pd.DataFrame({PICKUP_AT: at, DROPOFF_AT: at + timedelta(minutes=7)})

    monkeypatch.setattr(arriving, "read_trips", read_trips)
    files: Any = [SimpleNamespace(uri=uri) for uri in pickups]

    trips = arriving.TripsArriving(Settings()).rows(files)
    found = unserved._rows(trips, PICKUP_AT, "2024-02", since)

    assert found[PICKUP_AT].tolist() == [since, since + instants, END - instants]
    assert found[TARGET].tolist() == [7, 7, 7] and found.index.tolist() == [0, 1, 2]
    whole = unserved._rows(trips, PICKUP_AT, "2024-02", datetime(2023, 1, 1))
    assert len(whole) == 4


def test_months_of_other_trips_and_windows_that_were_served_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a champion of real trips, months of which the first is made up, and answers in between
    champion = SimpleNamespace(version=3, synthetic=False)
    registry = SimpleNamespace(champion=lambda: champion, load=lambda version: ("model", None))
    spans = [Span(after(n), after(n + 10)) for n in range(0, 50, 10)]
    trips = pd.DataFrame({name: np.arange(50) for name in REQUEST_COLUMNS})
    trips[PICKUP_AT] = pd.to_datetime([after(n) for n in range(50)], unit="us").as_unit("us")
    months = {
        month: [SimpleNamespace(uri=uri)]
        for month, uri in (("2024-01", "made up"), ("2024-02", "real"), ("2024-03", "none new"))
    }
    told: list[Any] = []
    for name, fake in {
        "Registry": lambda settings: registry,
        "_learned_from": lambda champion, source: True,
        "_since": lambda champion, records, watching: FIRST,
        "_served": lambda *arguments: [Span(after(10), after(20)), Span(after(35), after(39))],
        "_new_months": lambda source, since, now: months,
        "is_synthetic": lambda uri: uri == "made up",
        "_rows": lambda rows, event, month, since: trips,
        "_spans": lambda at, month, now, sizes: spans if month == "2024-02" else [],
        "fastest_model": lambda *arguments: told.append(arguments) or "fast",
        "predictions_of": lambda model, rows: np.tile([5.0, 4.0, 6.0], (len(rows), 1)),
        "stage": lambda *arguments: arguments[1:],
    }.items():
        monkeypatch.setattr(unserved, name, fake)

    now = datetime(2024, 4, 1, tzinfo=timezone.utc)
    source: Any = SimpleNamespace(rows=lambda files: trips)
    found = list(unserved.source_windows(Settings(), WATCHING, source, [], [], now))

    # then the windows that touch no answer are staged, predicted by the fastest form of the model
    assert told == [("model", 3, 50)]
    assert [window[:2] for window in found] == [(3, "source")] * 2
    for window, begin in zip(found, (0, 40), strict=True):
        _, _, span, (rows, answers, _), _, labels_from = window
        minutes = [timedelta(minutes=begin), timedelta(minutes=begin + 10)]
        assert span == tuple(instant_of(FIRST + moment, WATCHING.zone) for moment in minutes)
        assert rows[PICKUP_AT].tolist() == trips[PICKUP_AT][begin : begin + 10].tolist()
        assert set(answers["lower_minutes"]) == {4.0} and labels_from == {}
    assert "2024-01 is left out: version 3 was trained on other trips" in capsys.readouterr().out
