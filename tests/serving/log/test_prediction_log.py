"""The log takes what it can, counts what it cannot, and never disturbs whoever calls it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.trips import REQUEST_COLUMNS
from mlops.errors import ConfigurationError
from mlops.serving.log import prediction_log
from mlops.serving.log.prediction_log import PredictionLog
from mlops.serving.log.reading import read_log
from mlops.serving.log.rows import SCHEMA, Answers, to_table
from mlops.settings import Settings, load_settings

NEVER = 3_600


class MemorySink:
    """Keeps parts in memory; refuses, fails or blocks when told to."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.closed = False

    def write(self, part: str, table: Any) -> None:
        self.open.wait(60)
        if self.error:
            raise self.error
        self.parts[part] = table

    def close(self) -> None:
        self.closed = True

    def ids(self) -> list[str]:
        return [i for table in self.parts.values() for i in table["request_id"].to_pylist()]


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> MemorySink:
    sink = MemorySink()
    monkeypatch.setattr(prediction_log, "_sink", lambda settings, layout: sink)
    return sink


def settings_of(home: Path, **log: Any) -> Settings:
    named = {f"prediction_log.{name}": value for name, value in log.items()}
    return load_settings({"home": home, "prediction_log.flush_seconds": NEVER, **named})


def one_trip(request_id: str = "r", **changes: Any) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "caller": "someone",
        "endpoint": "predict",
        "version": 3,
        "role": "champion",
        "columns": {
            "pickup_at": (datetime(2024, 1, 1, 8, 30),),
            "pickup_zone": (74,),
            "dropoff_zone": (75,),
            "trip_distance": (None,),
        },
        "miles": (2.5,),
        "minutes": ((12.0, 8.0, 18.0),),
        **changes,
    }


def many_trips(rows: int, request_id: str = "r", **changes: Any) -> dict[str, Any]:
    zones = np.arange(rows, dtype=np.int64) % 265 + 1
    trips = {
        "pickup_at": np.datetime64("2024-01-01T08:30:00", "us") + np.arange(rows),
        "pickup_zone": zones,
        "dropoff_zone": zones[::-1],
        "trip_distance": np.where(zones % 2, zones / 7, np.nan),
    }
    minutes = np.arange(rows * 3, dtype=np.float64).reshape(rows, 3)
    return one_trip(
        request_id,
        columns=trips,
        miles=np.full(rows, 1.5),
        minutes=minutes,
        role="shadow",
        **changes,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.01)


def test_everything_of_an_answer_is_read_back(tmp_path: Path) -> None:
    # Given a log with one trip and a list of trips
    settings = settings_of(tmp_path)
    log = PredictionLog(settings, "worker-0")
    start = datetime.now(timezone.utc)
    log.append(**one_trip("single"))
    log.append(**many_trips(3, "list"))
    # When it is closed and read
    log.close()
    frame = read_log(settings, start, datetime.now(timezone.utc) + timedelta(seconds=1))
    # Then there is a row per trip, by time
    assert list(frame.columns) == SCHEMA.names
    assert frame["request_id"].tolist() == ["single", "list", "list", "list"]
    assert frame["row"].tolist() == [0, 0, 1, 2]
    assert frame["role"].tolist() == ["champion", "shadow", "shadow", "shadow"]
    assert set(frame["caller"]) == {"someone"} and set(frame["endpoint"]) == {"predict"}
    assert frame["at"].between(start, datetime.now(timezone.utc)).all()
    first, last = frame.iloc[0], frame.iloc[-1]
    assert first["pickup_at"] == pd.Timestamp("2024-01-01 08:30") and first["miles_used"] == 2.5
    assert pd.isna(first["trip_distance"]) and pd.isna(first["passenger_count"])
    answered = ["prediction_minutes", "lower_minutes", "upper_minutes"]
    assert first[answered].tolist() == [12, 8, 18] and last[answered].tolist() == [6, 7, 8]
    assert (log.written, log.dropped, log.waiting) == (4, 0, 0)


def test_requests_come_back_as_they_were_so_that_they_encode_to_the_same_features(
    tmp_path: Path, make_trips: Callable[..., pd.DataFrame]
) -> None:
    # Given requests with gaps
    requests = make_trips(500)[list(REQUEST_COLUMNS)]
    requests.loc[::3, "trip_distance"] = np.nan
    requests.loc[::5, ["passenger_count", "rate_code"]] = np.nan
    settings = settings_of(tmp_path)
    log = PredictionLog(settings, "worker-0")
    # When they are logged as arrays, and once more one by one
    trips = {name: requests[name].to_numpy() for name in REQUEST_COLUMNS}
    log.append(**{**many_trips(500, "list"), "columns": trips, "role": "champion", "version": 1})
    for row in requests.itertuples(index=False):
        values = {name: (getattr(row, name),) for name in REQUEST_COLUMNS}
        log.append(**one_trip("single", columns=values))
    log.close()
    # Then each value and type is what it was
    now = datetime.now(timezone.utc)
    frame = read_log(settings, now - timedelta(hours=1), now + timedelta(hours=1))
    for request_id in ("list", "single"):
        logged = frame[frame["request_id"] == request_id].reset_index(drop=True)
        pd.testing.assert_frame_equal(logged[list(REQUEST_COLUMNS)], requests)


def test_the_thread_flushes_by_itself(tmp_path: Path, sink: MemorySink) -> None:
    log = PredictionLog(settings_of(tmp_path, flush_seconds=0.05), "worker-0")
    log.append(**one_trip())
    wait_until(lambda: log.written == 1)
    log.close()
    assert sink.ids() == ["r"] and sink.closed


def test_a_crowded_queue_is_stored_before_its_time(tmp_path: Path, sink: MemorySink) -> None:
    log = PredictionLog(settings_of(tmp_path, queue_trips=100), "worker-0")
    log.append(**many_trips(50))
    wait_until(lambda: log.written == 50)
    log.close()


def test_overload_drops_whole_requests_and_counts_their_trips(
    tmp_path: Path, sink: MemorySink
) -> None:
    # Given a sink that does not come back, and a queue of ten trips
    sink.open.clear()
    log = PredictionLog(settings_of(tmp_path, queue_trips=10, flush_seconds=0.01), "worker-0")
    # When more come than fit
    for number in range(4):
        log.append(**many_trips(3, f"r{number}"))
    log.append(**one_trip("last"))
    # Then nobody waited, the queue is full, and what did not fit is counted
    assert log.waiting == 10 and log.dropped == 3
    # And when the sink comes back there is room again
    sink.open.set()
    wait_until(lambda: log.waiting == 0)
    log.append(**one_trip("later"))
    log.close()
    assert sorted(sink.ids()) == ["last", "later", *["r0"] * 3, *["r1"] * 3, *["r2"] * 3]
    assert (log.written, log.dropped) == (11, 3)


def test_what_the_sink_refused_for_now_is_stored_later_in_order(
    tmp_path: Path, sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-0")
    sink.error = OSError("No space left on device")
    for number in range(3):
        log.append(**one_trip(f"r{number}"))
        assert not log.flush()
    assert log.waiting == 3 and log.dropped == 0
    assert len(caplog.records) == 1, "an outage is told once, not at each flush"
    sink.error = None
    assert log.flush()
    assert sink.ids() == ["r0", "r1", "r2"]
    log.close()


def test_what_the_sink_refuses_for_good_does_not_block_the_others(
    tmp_path: Path, sink: MemorySink
) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-0")
    log.append(**one_trip("bad"))
    sink.error = ValueError("invalid byte sequence")
    assert log.flush()
    sink.error = None
    log.append(**one_trip("good"))
    log.close()
    assert sink.ids() == ["good"] and (log.written, log.dropped) == (1, 1)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"minutes": None},
        {"minutes": ((1.0, 2.0),)},
        {"miles": (1.0, 2.0)},
        {"miles": ("far",)},
        {"version": "three"},
        {"columns": {"pickup_zone": (1,)}, "miles": 5},
        {"columns": {**one_trip()["columns"], "pickup_zone": (2**40,)}},
        {"request_id": 7},
    ],
)
def test_nonsense_is_counted_and_costs_the_others_nothing(
    tmp_path: Path,
    sink: MemorySink,
    nonsense: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-0")
    log.append(**one_trip("before"))
    log.append(
        **one_trip("nonsense", **{k: v for k, v in nonsense.items() if k != "request_id"})
        | {k: v for k, v in nonsense.items() if k == "request_id"}
    )
    log.append(**one_trip("after"))
    log.close()
    assert sink.ids() == ["before", "after"]
    assert (log.written, log.dropped, log.waiting) == (2, 1, 0)
    assert len(caplog.records) == 1, "a person is told"


def test_lengths_that_only_add_up_over_two_requests_are_refused() -> None:
    # Given two requests whose surplus and lack would make up for each other
    first = Answers(at_ns=0, **one_trip("a", miles=(1.0, 2.0)))
    second = Answers(at_ns=0, **one_trip("b", miles=()))
    # Then they are not mixed into each other's rows
    with pytest.raises(ValueError, match="different lengths"):
        to_table([first, second])


def test_answers_after_the_end_are_dropped(tmp_path: Path, sink: MemorySink) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-0")
    log.close()
    log.close()
    log.append(**one_trip())
    assert log.flush() and (log.written, log.dropped, sink.parts) == (0, 1, {})


def test_what_was_given_up_at_the_end_is_not_stored_later(tmp_path: Path, sink: MemorySink) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-0")
    log.append(**one_trip())
    sink.error = OSError("away")
    log.close()
    sink.error = None

    assert not log.flush()
    assert (log.written, log.dropped, sink.parts) == (0, 1, {})


def test_a_number_that_is_missing_is_stored_as_missing() -> None:
    nan = (float("nan"),)
    single = one_trip(columns={**one_trip()["columns"], "trip_distance": nan})

    for answer, missing in ((many_trips(3), 1), (single, 1), (one_trip(), 1)):
        assert to_table([Answers(at_ns=0, **answer)])["trip_distance"].null_count == missing


def test_no_sink_costs_and_writes_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, sink="none")
    log = PredictionLog(settings, "worker-0")
    log.append(**one_trip())
    log.close()
    assert (log.written, log.dropped, log.waiting) == (0, 0, 0)
    assert not settings.prediction_log_folder.exists()
    with pytest.raises(ConfigurationError, match="sink"):
        read_log(settings, datetime.now(timezone.utc), datetime.now(timezone.utc))


def test_missing_settings_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="database_url"):
        PredictionLog(settings_of(tmp_path, sink="postgresql"), "worker-0")
    now = datetime.now(timezone.utc)
    with pytest.raises(ConfigurationError, match="nothing_such"):
        read_log(settings_of(tmp_path), now, now, ["at", "nothing_such"])


def test_many_threads_may_append(tmp_path: Path, sink: MemorySink) -> None:
    log = PredictionLog(settings_of(tmp_path, flush_seconds=0.01), "worker-0")

    def append(thread: int) -> None:
        for number in range(200):
            log.append(**one_trip(f"{thread}-{number}"))

    threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(sink.ids()) == sorted(f"{t}-{n}" for t in range(4) for n in range(200))


# (what, trips): a request of so many trips, or something that happens to the log
Steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["values", "arrays"]), st.integers(0, 6)),
        st.tuples(st.sampled_from(["flush", "sink fails", "sink recovers"]), st.just(0)),
    ),
    max_size=25,
)


@given(steps=Steps, queue=st.integers(1, 40))
def test_no_row_is_lost_or_doubled_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], queue: int
) -> None:
    # Given a log with a small queue
    sink = MemorySink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_log, "_sink", lambda settings, layout: sink)
        home = tmp_path_factory.getbasetemp()
        log = PredictionLog(settings_of(home, queue_trips=queue), "worker-0")
    # When anything happens in any order
    accepted: list[tuple[str, int]] = []
    appended = 0
    for number, (what, trips) in enumerate(steps):
        if what == "flush":
            log.flush()
        elif what.startswith("sink"):
            sink.error = OSError("away") if what == "sink fails" else None
        else:
            dropped = log.dropped
            if what == "arrays":
                log.append(**many_trips(trips, f"r{number}"))
            else:
                for _ in range(trips):
                    log.append(**one_trip(f"r{number}"))
            appended += trips
            kept = trips - (log.dropped - dropped)
            accepted += [(f"r{number}", row if what == "arrays" else 0) for row in range(kept)]
        assert log.waiting <= queue
    sink.error = None
    log.close()
    # Then every accepted row is stored exactly once, and every other one counted
    stored = [
        row
        for table in sink.parts.values()
        for row in zip(table["request_id"].to_pylist(), table["row"].to_pylist(), strict=True)
    ]
    assert sorted(stored) == sorted(accepted)
    assert log.written == len(accepted) and log.written + log.dropped == appended


def test_the_schema_is_that_of_requests() -> None:
    table = to_table([Answers(at_ns=0, **one_trip())])
    assert table.schema.equals(SCHEMA)
    frame = table.select(list(REQUEST_COLUMNS)).to_pandas()
    assert frame.dtypes.astype(str).to_dict() == REQUEST_COLUMNS
    assert isinstance(table, pa.Table)


def test_what_cannot_be_stored_at_the_end_is_counted(tmp_path: Path, sink: MemorySink) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-0")
    sink.open.clear()
    log.append(**many_trips(3))
    log.close(timeout_seconds=0.05)
    assert (log.written, log.dropped) == (0, 3)
    sink.open.set()
    log._thread.join(60)
    assert sink.closed


def test_each_outage_is_told_once(
    tmp_path: Path, sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-0")
    for outage in (1, 2):
        log.append(**one_trip(f"r{outage}"))
        sink.error = OSError("away")
        assert not log.flush() and not log.flush()
        assert len(caplog.records) == outage
        assert "1 answer not logged yet" in caplog.text
        sink.error = None
        assert log.flush() and log.waiting == 0
    log.close()


def test_parts_have_names_of_their_own_and_hold_what_came_between_two_flushes(
    tmp_path: Path, sink: MemorySink
) -> None:
    log = PredictionLog(settings_of(tmp_path), "worker-7")
    for _ in range(3):
        log.append(**one_trip())
        log.append(**many_trips(2))
        assert log.waiting == 3
        assert log.flush()
    assert log.flush(), "nothing waits"
    log.close()
    assert [table.num_rows for table in sink.parts.values()] == [3, 3, 3]
    assert all(name.startswith("part-worker-7-") for name in sink.parts)
    assert log.flush(), "nothing is left"


@pytest.mark.parametrize(("rows", "early"), [(25, False), (26, True)])
def test_more_than_a_quarter_of_the_queue_does_not_wait_for_its_time(
    tmp_path: Path, sink: MemorySink, rows: int, early: bool
) -> None:
    log = PredictionLog(settings_of(tmp_path, queue_trips=100), "worker-0")
    log.append(**many_trips(rows))
    if early:
        wait_until(lambda: log.written == rows)
    else:
        # When the thread has looked several times, with the rows laid out
        looks: list[int] = []
        drain = log._drain
        log._drain = lambda: looks.append(log.waiting) or drain()  # type: ignore[method-assign]
        wait_until(lambda: len(looks) > 2)
        assert log.written == 0
    log.close()
    assert log.written == rows
