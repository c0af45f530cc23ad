"""What is found in staged windows: skew, staleness, the clock, and data that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from demo.faults import kilometres
from mlops.data.files.conversion import NO_ZONE
from mlops.datasets.answers import ANSWER
from mlops.datasets.taxi.trips import DISTANCE, PICKUP_AT, PICKUP_ZONE, REQUEST_COLUMNS, TARGET
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.errors import MlopsError
from mlops.inference.trip import NEW_YORK
from mlops.monitoring.findings.records import WindowRecord
from mlops.monitoring.findings.report import Finding
from mlops.monitoring.measures.measuring import measure
from mlops.monitoring.windows.collecting import collect
from mlops.monitoring.windows.staging import Answered, stage
from mlops.serving.log.rows import MILES
from mlops.serving.model.compilation import compile_model
from mlops.settings import Settings, ValidationSettings

WATCHING = TripWatching(ValidationSettings())
BEGIN = datetime(2024, 2, 1, 12, tzinfo=timezone.utc)
NOW = datetime(2024, 3, 5, tzinfo=timezone.utc)


def live_at(trips: pd.DataFrame) -> Any:
    """When live callers ask: at the pickup."""
    local = trips[PICKUP_AT].dt.tz_localize(NEW_YORK, ambiguous=True)
    return local.dt.tz_convert("UTC")


def finding(record: WindowRecord, kind: str, subject: str, statistic: str) -> Finding:
    wanted = (kind, subject, statistic)
    return next(f for f in record.report.findings if (f.kind, f.subject, f.statistic) == wanted)


def measured(settings: Settings) -> list[WindowRecord]:
    return [measure(settings, w, NOW) for w in collect(settings, NOW) if w.origin == "served"]


@pytest.fixture
def home(watched: Any, tmp_path: Path) -> Settings:
    settings: Settings = watched.home(tmp_path, "2024-02")
    return settings


def test_a_quiet_window_of_the_compiled_models_answers(watched: Any, home: Settings) -> None:
    # given live traffic, answered by the model as the server runs it
    trips = watched.live[:1_000]
    compiled = compile_model(watched.model, 1)
    minutes = compiled.predict(trips[list(REQUEST_COLUMNS)])
    watched.log(home, trips, live_at(trips), minutes=minutes)

    (record,) = measured(home)

    # then training code says the same, time passes, and the model is as old as its trips
    for column in (*ANSWER, MILES):
        skew = finding(record, "skew", column, "share")
        assert (skew.value, skew.outcome, skew.rows) == (0, "ok", 1_000)
    clock = finding(record, "stability", "clock", "progress")
    assert clock.value == pytest.approx(1) and clock.outcome == "ok"
    age = finding(record, "staleness", "model", "age")
    days = (trips[PICKUP_AT].iloc[-1] - pd.Timestamp("2024-01-25")) / pd.Timedelta(days=1)
    assert age.value == pytest.approx(days, abs=1)
    # and its errors are known
    assert (record.trips, record.labelled) == (1_000, 1_000)
    error = trips[TARGET] - minutes[:, 0]
    judged = trips[TARGET].between(1, 60)
    rmse = finding(record, "performance", "all rows", "rmse")
    assert rmse.value == pytest.approx(np.sqrt((error[judged] ** 2).mean()), rel=0.02)
    assert record.report.created_at == NOW
    assert record.report.window == record.window


def test_answers_that_training_code_would_not_give_are_skew(watched: Any, home: Settings) -> None:
    trips = watched.live[:1_000]
    minutes = watched.model.predict(trips).to_numpy()
    minutes[::10] += 0.01
    watched.log(home, trips, live_at(trips), minutes=minutes)

    (record,) = measured(home)

    skew = finding(record, "skew", "prediction_minutes", "share")
    assert skew.outcome == "alarm" and skew.value == pytest.approx(0.1)
    assert finding(record, "skew", MILES, "share").outcome == "ok"


def test_distances_in_kilometres_are_found_and_still_labelled(watched: Any, home: Settings) -> None:
    trips = kilometres(watched.live[:1_000])
    watched.log(home, trips, live_at(trips))

    (record,) = measured(home)

    assert record.labelled == 1_000
    units = finding(record, "quality", "units", "median ratio")
    assert units.outcome == "alarm" and "kilometres" in units.why


def test_a_batch_caller_says_nothing_of_the_clock(watched: Any, home: Settings) -> None:
    # given all trips asked about at one instant, all for the same pickup time
    trips = watched.live[:1_500].assign(**{PICKUP_AT: pd.Timestamp("2024-02-03 08:00")})
    watched.log(home, trips, pd.DatetimeIndex([BEGIN] * 1_500))

    (record,) = measured(home)

    assert record.trips == 1_500
    assert not [f for f in record.report.findings if f.subject == "clock"]


def test_a_frozen_clock_is_found(watched: Any, home: Settings) -> None:
    trips = watched.live[:1_000].assign(**{PICKUP_AT: pd.Timestamp("2024-02-03 08:00")})
    watched.log(home, trips, pd.date_range(BEGIN, periods=1_000, freq="20s"))

    (record,) = measured(home)

    assert finding(record, "stability", "clock", "progress").outcome == "alarm"


def test_what_makes_no_sense_is_reported(watched: Any, home: Settings) -> None:
    # given a window where every value that can be broken is
    rows = watched.live[:400][list(REQUEST_COLUMNS)].reset_index(drop=True)
    at = pd.Series(pd.date_range(BEGIN, periods=400, freq="60s"))
    answers = pd.DataFrame(1e30, index=rows.index, columns=[*ANSWER]).assign(**{MILES: np.inf})
    answers.loc[:99, ANSWER] = np.nan
    rows.loc[:49, PICKUP_AT] = pd.NaT
    rows.loc[50:99, PICKUP_ZONE] = NO_ZONE
    rows.loc[100:149, PICKUP_ZONE] = 2**31 - 1
    rows.loc[150:199, DISTANCE] = -1e9
    span = BEGIN, BEGIN + timedelta(days=1)
    staged = stage(home, 1, "served", span, Answered(rows, answers, at), WATCHING, {})

    record = measure(home, staged, NOW)

    alarms = {(f.kind, f.subject, f.statistic) for f in record.report.alarms}
    assert {
        ("quality", "rule zone_invalid", "share"),
        ("quality", "rule pickup_time_invalid", "share"),
        ("quality", "rule distance_negative", "share"),
        ("stability", "predictions", "out of range"),
        ("skew", "prediction_minutes", "share"),
    } <= alarms
    assert (record.trips, record.labelled) == (400, 0)


def test_a_detector_that_the_project_adds_is_judged_with_the_others(
    watched: Any, home: Settings, add_extension: Callable[..., Path]
) -> None:
    add_extension("detectors/same_answer.py")
    trips = watched.live[:100]
    answers = watched.model.predict(trips).assign(**{ANSWER[0]: 7.0, MILES: 1.0})
    same = Answered(trips, answers, pd.Series(live_at(trips)))
    staged = stage(home, 1, "served", (BEGIN, NOW), same, WATCHING, {})

    record = measure(home, staged, NOW)

    found = finding(record, "stability", "predictions", "share of the most frequent answer")
    assert (found.outcome, found.value) == ("alarm", 1.0)


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_a_window_of_few_rows_is_a_report_of_few_rows(
    watched: Any, home: Settings, rows: int
) -> None:
    trips = watched.live[:rows]
    answers = watched.model.predict(trips).assign(**{MILES: 1.0})
    few = Answered(trips, answers, pd.Series(live_at(trips)))
    staged = stage(home, 1, "served", (BEGIN, NOW), few, WATCHING, {"2024-02": "ab"})

    record = measure(home, staged, NOW)

    assert (record.trips, record.labelled, record.report.rows) == (rows, rows, rows)
    assert record.labels_from == {"2024-02": "ab"}
    assert WindowRecord.model_validate_json(record.model_dump_json()) == record


def test_a_window_of_the_source_was_not_logged_hence_has_no_skew(
    watched: Any, home: Settings
) -> None:
    first = collect(home, NOW)[0]

    record = measure(home, first, NOW)

    assert record.origin == "source"
    assert {f.kind for f in record.report.findings}.isdisjoint({"skew", "serving"})
    assert finding(record, "staleness", "model", "age").outcome == "ok"


def test_a_staged_file_that_is_gone_is_named(watched: Any, home: Settings) -> None:
    first = collect(home, NOW)[0]
    Path(first.uri).unlink()

    with pytest.raises(MlopsError, match="v1-source"):
        measure(home, first, NOW)
