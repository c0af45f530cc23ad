"""The same log in a real PostgreSQL server, through outages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.definition import FeatureDeclaration
from mlops.errors import ConfigurationError, MlopsError
from mlops.serving.log.postgresql import PostgresqlSink, read_postgresql, table_of
from mlops.serving.log.prediction_log import PredictionLog
from mlops.serving.log.reading import read_log
from mlops.serving.log.rows import SCHEMA, Answers, table_log, to_table
from mlops.settings import Settings, load_settings

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
LONG_AGO = datetime(1960, 1, 1, tzinfo=timezone.utc)
HEREAFTER = datetime(2200, 1, 1, tzinfo=timezone.utc)


def trips(rows: int) -> dict[str, Any]:
    return {
        "pickup_at": np.datetime64("2024-03-01T08:30:00.120000", "us") + np.arange(rows),
        "pickup_zone": np.arange(rows) % 265 + 1,
        "dropoff_zone": np.arange(rows) % 265 + 1,
        "trip_distance": np.where(np.arange(rows) % 2, 1.5, np.nan),
    }


def answers(request_id: str, rows: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "caller": 'a "quoted", name',
        "endpoint": "predict",
        "version": 3,
        "role": "canary",
        "columns": trips(rows),
        "miles": np.full(rows, 2.5),
        "minutes": np.arange(rows * 3, dtype=float).reshape(rows, 3) / 7,
        **changes,
    }


@pytest.fixture
def url(postgresql: Any) -> Iterator[str]:
    """Return the address of a running server without a log."""
    import psycopg2

    plain = postgresql.url.replace("+psycopg2", "")
    yield postgresql.url
    connection = psycopg2.connect(plain)
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS prediction_log, prediction_log_parts")
    connection.close()


def settings_of(url: str, **log: Any) -> Settings:
    named = {f"prediction_log.{name}": value for name, value in log.items()}
    return load_settings(
        {
            "prediction_log.sink": "postgresql",
            "prediction_log.database_url": url,
            "prediction_log.flush_seconds": 3_600,
            **named,
        }
    )


def ids_in(url: str) -> list[str]:
    table = read_postgresql(url, LONG_AGO, HEREAFTER, ["request_id"])
    return [str(value) for value in table["request_id"].to_pylist()]


def execute(url: str, statement: str) -> None:
    import psycopg2

    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def test_rows_are_the_same_as_in_parquet(url: str, tmp_path: Any) -> None:
    # Given the same answers in both sinks
    parquet = load_settings({"home": tmp_path, "prediction_log.flush_seconds": 3_600})
    start = datetime.now(timezone.utc)
    frames = []
    for settings in (settings_of(url), parquet):
        assert settings.prediction_log.sink in ("postgresql", "parquet")
        log = PredictionLog(settings, "worker-0")
        log.append(**answers("many"))
        log.append(**answers("one", 1, role="shadow"))
        log.close()
        assert (log.written, log.dropped) == (4, 0)
        frames.append(read_log(settings, start, datetime.now(timezone.utc) + timedelta(minutes=1)))
    # Then they read the same, but for the moment
    database, files = (frame.drop(columns="at") for frame in frames)
    assert frames[0].dtypes["at"] == frames[1].dtypes["at"]
    pd.testing.assert_frame_equal(database, files, check_categorical=False)


def test_a_span_has_its_start_and_not_its_end(url: str) -> None:
    hours = [NOON + timedelta(hours=hour) for hour in range(4)]
    sink = PostgresqlSink(url)
    assert read_postgresql(url, NOON, HEREAFTER, ["at"]).num_rows == 0, "no table yet"
    for number, at in enumerate(hours):
        one = Answers(at_ns=int(at.timestamp()) * 10**9, **answers(str(number), 1))
        sink.write(f"part-{number}", to_table([one]))
    sink.close()
    table = read_postgresql(url, hours[1], hours[3], SCHEMA.names)
    assert table["request_id"].to_pylist() == ["1", "2"]
    assert table["at"].to_pylist() == hours[1:3]


def test_a_part_given_twice_is_stored_once(url: str) -> None:
    # Given a part whose commit the writer never heard of
    table = to_table([Answers(at_ns=0, **answers("r"))])
    PostgresqlSink(url).write("part-1", table)
    # When it comes again, from a new connection
    sink = PostgresqlSink(url)
    sink.write("part-1", table)
    sink.write("part-2", table)
    sink.close()
    assert len(ids_in(url)) == 6


def test_many_workers_may_start_at_once(url: str) -> None:
    table = to_table([Answers(at_ns=0, **answers("r", 1))])
    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            sink = PostgresqlSink(url)
            sink.write(f"part-{number}", table)
            sink.close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(ids_in(url)) == 6


def test_a_broken_connection_is_made_again(url: str) -> None:
    log = PredictionLog(settings_of(url), "worker-0")
    log.append(**answers("before", 1))
    assert log.flush()
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()",
    )
    log.append(**answers("meanwhile", 1))
    log.flush()
    assert log.flush()
    log.close()
    assert ids_in(url) == ["before", "meanwhile"] and log.dropped == 0


def test_an_outage_costs_no_more_than_what_the_queue_cannot_hold(url: str, postgresql: Any) -> None:
    # Given a log whose database goes away
    log = PredictionLog(settings_of(url, queue_trips=5), "worker-0")
    log.append(**answers("before", 1))
    assert log.flush()
    postgresql.stop()
    try:
        for number in range(8):
            log.append(**answers(f"during-{number}", 1))
            assert not log.flush()
        # Then the queue stays bounded, and reading says what is wrong without a password
        assert log.waiting == 5 and log.dropped == 3
        with pytest.raises(MlopsError, match="cannot be read") as raised:
            read_log(settings_of(url.replace("mage@", "mage:hush@")), LONG_AGO, HEREAFTER)
        assert "hush" not in str(raised.value)
    finally:
        postgresql.start()
    # And when it is back, what waited is stored, once and in order
    assert log.flush()
    log.close()
    assert ids_in(url) == ["before", *(f"during-{number}" for number in range(5))]


def test_text_that_the_database_refuses_does_not_block_the_log(url: str) -> None:
    log = PredictionLog(settings_of(url), "worker-0")
    log.append(**answers("nul \0", 1))
    assert log.flush()
    log.append(**answers("good", 1))
    log.close()
    assert ids_in(url) == ["good"] and (log.written, log.dropped) == (1, 1)


def test_what_is_no_address_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="database_url") as raised:
        PredictionLog(settings_of("postgresql://me:hush@[host/log"), "worker-0")
    assert "hush" not in str(raised.value) and raised.value.__suppress_context__


def test_a_declared_dataset_has_a_table_of_its_own_columns(url: str) -> None:
    columns = {
        "dep delay": FeatureDeclaration(type="number"),
        'a "quoted" %s': FeatureDeclaration(type="category"),
        "late": FeatureDeclaration(type="flag"),
        "row": FeatureDeclaration(type="time"),
    }
    values = {
        "dep delay": [1.5, None, float("inf")],
        'a "quoted" %s': ["NA", None, "é, x"],
        "late": [True, None, False],
        "row": [datetime(2024, 3, 1), None, datetime(2013, 1, 1, 5, 17)],
    }
    layout, table = table_log(columns), table_of("flights")
    given = Answers("r", 1, "", "predict", 3, "champion", values, None, np.ones((3, 3)))
    try:
        # Given a table that an earlier definition with fewer columns made
        fewer = table_log({"dep delay": columns["dep delay"]})
        for part, each in (("old", fewer), ("new", layout)):
            sink = PostgresqlSink(url, table, each.schema)
            sink.write(part, to_table([given], each))
            sink.close()
        # When it is read
        read = read_postgresql(
            url, LONG_AGO, HEREAFTER, layout.schema.names, table, layout.schema
        ).to_pylist()
    finally:
        execute(url, f"DROP TABLE IF EXISTS {table}, {table}_parts")
    # Then the newer rows hold all that was asked, and the older ones what there was
    new = [row for row in read if row["row_"] is not None or row["late"] is not None]
    assert len(read) == 6
    assert [row['a "quoted" %s'] for row in new] == ["NA", "é, x"]
    assert [row["late"] for row in new] == [True, False]
    assert [row["row_"] for row in new] == [values["row"][0], values["row"][2]]
    assert sorted(str(row["dep delay"]) for row in read) == sorted(["1.5", "None", "inf"] * 2)
