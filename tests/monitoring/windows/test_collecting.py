"""Windows of a real log and of real files: complete, stable, labelled when labels arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from mlops.datasets.answers import ANSWER
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS, TARGET
from mlops.deployment.endpoint import KEY_NAME
from mlops.monitoring.findings.records import WindowRecord, read_windows, write_window
from mlops.monitoring.findings.report import WindowReport
from mlops.monitoring.measures.measuring import measure
from mlops.monitoring.windows.collecting import _sound_windows, collect
from mlops.monitoring.windows.staging import Answered, StagedWindow, name_of, read_staged
from mlops.registry.versions import Registry
from mlops.serving.log.parquet import read_parquet
from mlops.serving.log.postgresql import PostgresqlSink
from mlops.serving.log.prediction_log import PredictionLog
from mlops.serving.log.reading import compact_log
from mlops.serving.log.rows import SCHEMA
from mlops.settings import PredictionLogSettings, Settings

BEGIN = datetime(2024, 2, 1, 12, tzinfo=timezone.utc)
LATER = BEGIN + timedelta(days=2)


def every(seconds: float, count: int, begin: datetime = BEGIN) -> pd.DatetimeIndex:
    step = pd.Timedelta(seconds=seconds)
    return pd.date_range(begin, periods=count, freq=step)


def remember(settings: Settings, staged: Sequence[StagedWindow]) -> None:
    """Store windows as measuring does, with nothing found in them."""
    for window in staged:
        pickups = read_staged(window).rows[PICKUP_AT]
        report = WindowReport(
            window=window.name,
            version=str(window.version),
            start=pickups.min(),
            end=pickups.max(),
            created_at=window.end,
            rows=window.rows,
            refused=0,
            labelled=0,
            findings=(),
        )
        fields = window.model_dump(exclude={"name", "uri", "rows"})
        record = {**fields, "window": window.name, "trips": window.rows, "report": report}
        write_window(settings, WindowRecord.model_validate(record))


def spans(staged: Sequence[StagedWindow]) -> list[tuple[str, int, datetime, datetime, int]]:
    return [(w.origin, w.version, w.start, w.end, w.rows) for w in staged]


def assert_same(one: Answered, other: Answered) -> None:
    for mine, others in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(pd.DataFrame(mine), pd.DataFrame(others))


@pytest.fixture
def home(watched: Any, tmp_path: Path) -> Settings:
    """A home whose source has no month after those learned from."""
    settings: Settings = watched.home(tmp_path)
    return settings


def test_a_log_is_cut_by_version_and_every_answer_is_in_one_window(
    watched: Any, home: Settings
) -> None:
    # given answers of a champion and a canary, of a shadow, and to a deployment's probes
    trips = watched.live
    watched.log(home, trips[:2_300], every(1, 2_300))
    watched.log(home, trips[:1_100], every(2, 1_100), version=2, role="canary")
    watched.log(home, trips[:1_500], every(1, 1_500), version=2, role="shadow")
    watched.log(home, trips[:1_500], every(1, 1_500), caller=KEY_NAME)

    staged = collect(home, LATER)

    # then there are complete windows of each version, the latest last
    assert [(w.origin, w.version, w.rows, w.labelled) for w in staged] == [
        ("served", 1, 1_000, 0),
        ("served", 2, 1_000, 0),
        ("served", 1, 1_000, 0),
    ]
    rows, answers, at = read_staged(staged[0])
    assert (staged[0].start, staged[0].end) == (
        BEGIN,
        BEGIN + timedelta(seconds=999, microseconds=1),
    )
    requests = trips.loc[:999, list(REQUEST_COLUMNS)]
    pd.testing.assert_frame_equal(rows[list(REQUEST_COLUMNS)], requests)
    predicted = watched.model.predict(requests).to_numpy()
    assert answers[list(ANSWER)].to_numpy() == pytest.approx(predicted, abs=1e-5)
    assert at is not None and at.tolist() == every(1, 1_000).tolist()
    # and they survive the way between two blocks
    assert StagedWindow.model_validate(staged[0].model_dump(mode="json")) == staged[0]


def test_what_the_servers_own_log_writes_is_collected(watched: Any, home: Settings) -> None:
    # given single requests and a list, by the log of a worker
    log = PredictionLog(home, "0-1")
    columns = {name: watched.live[name].to_numpy() for name in REQUEST_COLUMNS}
    answer = {"caller": "me", "endpoint": "predict", "version": 1, "role": "champion"}
    minutes = watched.model.predict(watched.live[:1_000]).to_numpy()
    for place in range(400):
        trip = {name: (values[place].item(),) for name, values in columns.items()}
        trip[PICKUP_AT] = (watched.live[PICKUP_AT][place].to_pydatetime(),)
        one = tuple(map(tuple, minutes[place : place + 1].tolist()))
        log.append(request_id=f"r{place}", **answer, columns=trip, miles=(1.0,), minutes=one)
    rest = {name: values[400:1_000] for name, values in columns.items()}
    log.append(request_id="list", **answer, columns=rest, miles=np.ones(600), minutes=minutes[400:])
    log.close()

    staged = collect(home, datetime.now(timezone.utc) + timedelta(minutes=1))

    assert [window.rows for window in staged] == [1_000]
    rows, answers, _ = read_staged(staged[0])
    assert answers[list(ANSWER)].to_numpy() == pytest.approx(minutes, abs=1e-5)
    assert rows[PICKUP_AT].tolist() == watched.live[PICKUP_AT][:1_000].tolist()


def test_windows_are_the_same_whenever_and_however_often_they_are_cut(
    watched: Any, home: Settings, tmp_path: Path
) -> None:
    # given two workers' answers over three days, looked at after each day
    whole = watched.home(tmp_path / "whole")
    stepwise: list[StagedWindow] = []
    for day in range(3):
        begin = BEGIN + timedelta(days=day)
        trips = watched.live[day * 1_500 : (day + 1) * 1_500].reset_index(drop=True)
        at = every(50, 1_500, begin)
        for settings in (home, whole):
            watched.log(settings, trips[::2], at[::2], worker="0")
            watched.log(settings, trips[1::2], at[1::2], worker="1")
        compact_log(home, at_least=1)
        found = collect(home, begin + timedelta(days=1))
        assert spans(collect(home, begin + timedelta(days=1))) == spans(found)
        remember(home, found)
        stepwise += found

    at_once = collect(whole, BEGIN + timedelta(days=3))

    assert len(stepwise) == 4
    assert spans(stepwise) == spans(at_once)
    for one, other in zip(stepwise, at_once, strict=True):
        assert_same(read_staged(one), read_staged(other))


@pytest.fixture
def log_database(postgresql: Any) -> Iterator[str]:
    """Return the address of a PostgreSQL server that has no log, before and after."""
    yield postgresql.url
    connection = psycopg2.connect(postgresql.url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS prediction_log, prediction_log_parts")
    connection.close()


def test_a_log_in_a_database_makes_the_same_windows(
    watched: Any, home: Settings, log_database: str
) -> None:
    # given the same answers in files and in PostgreSQL
    trips = watched.live[:2_000].reset_index(drop=True)
    trips.loc[::3, "trip_distance"] = np.nan
    watched.log(home, trips, every(1, 2_000), caller="")
    table = read_parquet(home.prediction_log_folder, BEGIN, LATER, SCHEMA.names)
    PostgresqlSink(log_database).write("part", table)
    other = {"sink": "postgresql", "database_url": SecretStr(log_database)}
    database = home.model_copy(update={"prediction_log": PredictionLogSettings(**other)})

    for one, same in zip(collect(home, LATER), collect(database, LATER), strict=True):
        assert spans([one]) == spans([same])
        assert_same(read_staged(one), read_staged(same))


def test_what_is_just_being_written_waits(watched: Any, home: Settings) -> None:
    watched.log(home, watched.live[:1_000], every(1, 1_000))
    last = BEGIN + timedelta(seconds=999)

    assert collect(home, last + timedelta(seconds=1)) == ()
    assert len(collect(home, last + timedelta(seconds=60))) == 1


def test_labels_are_joined_when_their_month_arrives_and_again_when_it_changes(
    watched: Any, tmp_path: Path
) -> None:
    # given windows that were measured before the source had their month
    settings = watched.home(tmp_path)
    watched.log(settings, watched.live[:2_000], every(1, 2_000))
    first = collect(settings, LATER)
    assert [w.labelled for w in first] == [0, 0]
    assert all(w.labels_from == {"2024-02": ""} for w in first)
    remember(settings, first)
    assert collect(settings, LATER) == ()

    # when it arrives
    watched.home(tmp_path, "2024-02")
    month = LATER + timedelta(days=30)
    found = collect(settings, month)

    # then the same windows come again with their labels, once
    labelled = [w for w in found if w.origin == "served"]
    assert spans(labelled) == spans(first)
    assert [w.labelled for w in labelled] == [1_000, 1_000]
    actual = watched.live[TARGET][:1_000].to_numpy()
    assert read_staged(labelled[0]).rows[TARGET].to_numpy() == pytest.approx(actual)
    remember(settings, found)
    assert collect(settings, month) == ()

    # and when the file is corrected, they come again
    path = Path(settings.source.location) / "green_tripdata_2024-02.parquet"
    corrected = pd.read_parquet(path).iloc[:-1]
    path.unlink()
    corrected.to_parquet(path, index=False)
    assert spans(collect(settings, month)) == spans(first)
    # but not after labels were waited for long enough
    waited = timedelta(days=settings.monitoring.label_wait_days + 1)
    assert collect(settings, LATER + waited) == ()


def test_a_source_that_cannot_be_asked_only_leaves_labels_out(
    watched: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = {"source.location": "http://127.0.0.1:1/nothing"}
    settings = watched.home(tmp_path, **nowhere)
    watched.log(settings, watched.live[:1_000], every(1, 1_000))

    staged = collect(settings, LATER)

    assert [(w.rows, w.labelled) for w in staged] == [(1_000, 0)]
    assert "no labels can be requested now" in capsys.readouterr().out


def test_a_month_that_cannot_be_read_leaves_only_its_labels_out(
    watched: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given answers, and their month published without a column that it must have
    settings = watched.home(tmp_path, "2024-02")
    watched.log(settings, watched.live[:1_000], every(1, 1_000))
    path = Path(settings.source.location) / "green_tripdata_2024-02.parquet"
    whole = pd.read_parquet(path)
    path.unlink()
    whole.drop(columns="lpep_dropoff_datetime").to_parquet(path, index=False)
    month = LATER + timedelta(days=30)

    # then the answers are looked at all the same, once
    staged = collect(settings, month)
    assert [(w.origin, w.rows, w.labelled) for w in staged] == [("served", 1_000, 0)]
    assert "lpep_dropoff_datetime" in capsys.readouterr().out
    remember(settings, staged)
    assert collect(settings, month) == ()

    # and their labels are joined when the file is mended
    whole.to_parquet(path, index=False)
    again = [w for w in collect(settings, month) if w.origin == "served"]
    assert [(w.name, w.labelled) for w in again] == [(staged[0].name, 1_000)]


def test_without_answers_the_champion_is_asked_about_new_months(
    watched: Any, tmp_path: Path
) -> None:
    # given a source with a month after the champion's test, and no log
    settings = watched.home(tmp_path, "2024-02")
    now = datetime(2024, 3, 5, tzinfo=timezone.utc)

    staged = collect(settings, now)

    # then that month is cut by pickup, to its end, labelled and predicted
    assert {w.origin for w in staged} == {"source"}
    assert [w.rows for w in staged[:-1]] == [1_000] * (len(staged) - 1)
    assert staged[-1].end == datetime(2024, 3, 1, 5, tzinfo=timezone.utc)  # New York's midnight
    rows = pd.concat([read_staged(w).rows for w in staged])
    assert len(rows) > 5_900 and rows[TARGET].notna().all()
    assert rows[PICKUP_AT].is_monotonic_increasing
    predicted = watched.model.predict(rows).to_numpy()
    answers = pd.concat([read_staged(w).answers for w in staged])
    assert answers[list(ANSWER)].to_numpy() == pytest.approx(predicted, abs=1e-4)
    # and once only
    remember(settings, staged)
    assert collect(settings, now) == ()


def test_windows_of_another_registrys_version_of_that_number_are_measured_anew(
    watched: Any, tmp_path: Path
) -> None:
    # given windows of the champion, version 1, with the model they were measured with
    settings = watched.home(tmp_path, "2024-02")
    now = datetime(2024, 3, 5, tzinfo=timezone.utc)
    staged = collect(settings, now)
    measured = measure(settings, staged[0], now)
    champion = Registry(settings).champion()
    assert champion is not None and measured.model_id == champion.model_id
    remember(settings, staged)
    write_window(settings, measured)
    assert collect(settings, now) == () and len(read_windows(settings)) == len(staged)

    # when the same home is used with a registry whose version 1 is another model
    others = [w.model_copy(update={"model_id": "another"}) for w in read_windows(settings)]
    for window in others:
        write_window(settings, window)

    # then what was found of that one is not taken for this one's, and is measured again
    assert read_windows(settings) == read_windows(settings, 1) == ()
    assert spans(collect(settings, now)) == spans(staged)
    # but what was found of a version that is gone is still told
    gone = others[0].model_copy(update={"version": 9, "window": "v9-source-20240201T050000"})
    write_window(settings, gone)
    assert read_windows(settings) == (gone,)


def test_months_that_callers_asked_about_make_no_second_windows(
    watched: Any, tmp_path: Path
) -> None:
    # given answers about the first days of a month that the source has by now
    settings = watched.home(tmp_path, "2024-02")
    asked = watched.live[:2_000]
    watched.log(settings, asked, every(10, 2_000))
    now = datetime(2024, 3, 5, tzinfo=timezone.utc)

    staged = collect(settings, now)

    served = [w for w in staged if w.origin == "served"]
    others = [w for w in staged if w.origin == "source"]
    assert sum(w.rows for w in served) == 2_000
    assert 0 < sum(w.rows for w in others) < len(watched.live) - 2_000
    assert min(read_staged(w).rows[PICKUP_AT].min() for w in others) > asked[PICKUP_AT].max()
    remember(settings, staged)
    assert collect(settings, now) == ()


def test_a_stray_pickup_hides_no_months_that_nobody_asked_about(
    watched: Any, tmp_path: Path
) -> None:
    # given answers, of which two are about trips of other years
    settings = watched.home(tmp_path, "2024-02")
    asked = watched.live[:2_000].copy()
    strays = asked.index[[5, 1_500]]
    asked.loc[strays, PICKUP_AT] = [datetime(2008, 1, 1), datetime(2031, 1, 1)]
    watched.log(settings, asked, every(10, 2_000))
    now = datetime(2024, 3, 5, tzinfo=timezone.utc)

    staged = collect(settings, now)

    # then the rest of the month makes windows all the same, now and once these are on record
    others = [w for w in staged if w.origin == "source"]
    assert sum(w.rows for w in others) > 1_000
    known = asked.drop(strays)[PICKUP_AT]
    assert min(read_staged(w).rows[PICKUP_AT].min() for w in others) > known.max()
    remember(settings, [w for w in staged if w.origin == "served"])
    assert spans(collect(settings, now)) == spans(others)


@pytest.mark.parametrize(
    "overrides",
    [
        {"source.taxi": "yellow"},  # not what the champion learned from
        {"source.kind": "sample"},
        {"tracking.model_name": "another"},  # has no champion
        {"prediction_log.sink": "none"},
    ],
)
def test_there_may_be_nothing_to_look_at(
    watched: Any, tmp_path: Path, overrides: dict[str, str]
) -> None:
    assert collect(watched.home(tmp_path, **overrides), LATER) == ()


def test_windows_of_a_log_that_is_kept_no_more_stay_as_they_are(
    watched: Any, tmp_path: Path
) -> None:
    settings = watched.home(tmp_path)
    watched.log(settings, watched.live[:1_000], every(1, 1_000))
    remember(settings, collect(settings, LATER))

    watched.home(tmp_path, "2024-02")  # labels arrive
    # Of a day's answers a part is gone, then all
    [part] = settings.prediction_log_folder.glob("date=*/*.parquet")
    pq.write_table(pq.ParquetFile(part).read()[:600], part)
    assert not [w for w in collect(settings, LATER) if w.origin == "served"]
    part.unlink()
    assert not [w for w in collect(settings, LATER) if w.origin == "served"]
    off = PredictionLogSettings(sink="none")
    without = settings.model_copy(update={"prediction_log": off})
    assert not [w for w in collect(without, LATER) if w.origin == "served"]


def test_a_growing_month_is_cut_as_far_as_it_goes(watched: Any, tmp_path: Path) -> None:
    # given a file of the present month that grows every day
    settings = watched.home(tmp_path)
    month = pq.read_table(watched.folder / "green_tripdata_2024-02.parquet")
    month = month.sort_by("lpep_pickup_datetime")
    pickups = month["lpep_pickup_datetime"].to_pandas()
    path = Path(settings.source.location) / "green_tripdata_2024-02.parquet"
    found: list[StagedWindow] = []
    for day in (8, 16, 24):
        pq.write_table(month[: pickups.searchsorted(datetime(2024, 2, day))], path)
        new = collect(settings, datetime(2024, 2, day, 12, tzinfo=timezone.utc))
        remember(settings, new)
        found += new

    pq.write_table(month, path)
    found += collect(settings, datetime(2024, 3, 2, tzinfo=timezone.utc))

    # then it has the windows of the whole month
    whole = watched.home(tmp_path / "whole", "2024-02")
    assert spans(found) == spans(collect(whole, datetime(2024, 3, 2, tzinfo=timezone.utc)))
    assert len(read_windows(settings)) >= 3


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_damaged_window_and_those_after_it_are_collected_again(
    watched: Any, home: Settings, place: int
) -> None:
    # given windows of a log on record, one of which cannot be read any more
    watched.log(home, watched.live[:4_500].reset_index(drop=True), every(50, 4_500))
    now = BEGIN + timedelta(days=3)
    stored = collect(home, now)
    assert len(stored) >= 3
    remember(home, stored)
    assert collect(home, now) == ()
    path = home.monitored / "windows" / f"{stored[place].name}.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])

    again = collect(home, now)

    # then they are the same windows as before, and take the place of what is damaged
    assert spans(again) == spans(stored[place:])
    assert [window.name for window in again] == [window.name for window in stored[place:]]
    remember(home, again)
    assert path.read_bytes() == whole
    assert collect(home, now) == ()


def test_damage_that_cannot_be_collected_again_is_told_and_left(
    home: Settings, make_window: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # given windows on record, and damaged ones: a stranger's, one whose answers are given up, and
    # one of now
    now = datetime(2024, 3, 3, tzinfo=timezone.utc)
    given_up = now - timedelta(days=home.monitoring.label_wait_days + 1)
    records = [make_window(hour, version=1) for hour in range(4)]
    for record in records:
        write_window(home, record)
    names = ("stranger", name_of(1, "served", given_up), records[2].window)
    for name in names:
        (home.monitored / "windows" / f"{name}.json").write_text("{")

    found = _sound_windows(home, now)

    # then those before the last one stay, and each is told
    assert [record.window for record in found] == [record.window for record in records[:2]]
    lines = capsys.readouterr().out.splitlines()
    for name in names:
        said = [line for line in lines if f"{name}.json: the file is damaged" in line]
        again = "it and the later windows are measured again"
        assert [line.endswith(again) for line in said] == [name == names[2]]
