"""Writes down what the online server answers, without the server noticing.

The request only puts a reference into a bounded queue. A thread lays what waits there out as Arrow
columns several times a second, so that it never keeps the interpreter for long, and hands them to
the sink once per flush. What the sink cannot take, because a disk is full or a database away, waits
in compact form; what then finds the queue full is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

import pyarrow as pa

from mlops.counting import counted
from mlops.errors import ConfigurationError
from mlops.serving.log.parquet import ParquetSink
from mlops.serving.log.rows import DEFAULT_LOG, Answers, Column, LogLayout, to_table
from mlops.settings import Settings

Role = Literal["champion", "canary", "shadow"]

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.1
# Written before its time when this share of the queue waits.
_EARLY_SHARE: Final = 0.25


class Sink(Protocol):
    """Where parts of the log go."""

    def write(self, part: str, table: Any) -> None:
        """Store a part of `SCHEMA` once, however often it is given under the same name.

        Raises:
            ValueError: If the part itself is at fault, so that a retry is pointless.
            Exception: If it could not be stored now.
        """

    def close(self) -> None:
        """Let go of files and connections."""


class PredictionLog:
    """The log of one worker process. Make it after the fork: it has a thread.

    Args:
        settings: `settings.prediction_log` and the home.
        worker: Name of the process, unique among those that live.
        layout: Of the dataset's answers.

    Attributes:
        dropped: Rows not logged because the queue was full, the log closed, or a value wrong.
        written: Rows stored.

    Raises:
        ConfigurationError: If the sink needs a setting that is missing.
    """

    def __init__(self, settings: Settings, worker: str, layout: LogLayout = DEFAULT_LOG) -> None:
        self._settings = settings.prediction_log
        self._worker = worker
        self._layout = layout
        self._sink = _sink(settings, layout)
        self.dropped = 0
        self.written = 0
        self._waiting = 0  # rows in the queue and in parts
        self._queue: list[Answers] = []
        self._tables: list[Any] = []
        self._parts: list[tuple[str, Any]] = []
        self._counting = threading.Lock()  # held for nanoseconds
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._complained = False
        to_table([_WARM_UP], layout)  # pyarrow imports pandas at first use: not during a request
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        if self._sink:
            self._thread.start()

    def append(
        self,
        *,
        request_id: str,
        caller: str,
        endpoint: str,
        version: int,
        role: Role,
        columns: Mapping[str, Column],
        miles: Column | None,
        minutes: Column,
    ) -> None:
        """Log the answers of one model to one request. Takes microseconds, never waits or raises.

        Nothing is copied: do not change what was given. For a list of rows give numpy arrays; for
        one row, tuples of plain values are cheaper than arrays.

        Args:
            request_id: As returned to the caller.
            caller: Name of the API key's holder.
            endpoint: E.g. ``predict``.
            version: Of the model that answered.
            role: Of that model; a shadow's answers were not returned.
            columns: The layout's columns as the caller gave them, each of length n; columns may be
                missing, and values None or NaN.
            miles: The distance used, of length n: the caller's, or the one put in its place. None
                where the layout has no such number.
            minutes: Shape ``(n, 3)``: prediction, lower and upper bound.
        """
        if self._sink is None:
            return
        try:
            rows = len(minutes)
            answers = Answers(
                request_id, time.time_ns(), caller, endpoint, version, role, columns, miles, minutes
            )
            with self._counting:
                if self._closing.is_set() or self._waiting + rows > self._settings.queue_trips:
                    self.dropped += rows
                else:
                    self._waiting += rows
                    self._queue.append(answers)
        except Exception:
            self.dropped += 1
            self._complain("malformed answers were not logged")

    @property
    def waiting(self) -> int:
        """Rows not yet stored."""
        return self._waiting

    def flush(self) -> bool:
        """Store what waits, now; tell whether all of it could be stored."""
        if self._sink is None or self._closing.is_set():
            return self._waiting == 0
        with self._writing:
            self._drain()
            return self._store(self._sink)

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Store what waits and stop; from now on answers are dropped.

        Args:
            timeout_seconds: To wait for a write in progress. What cannot be stored is counted as
                dropped.
        """
        with self._counting:
            if self._closing.is_set():
                return
            self._closing.set()
        if self._sink is None:
            return
        self._thread.join(timeout_seconds)
        with self._counting:
            self.dropped += self._waiting

    def _run(self) -> None:
        assert self._sink is not None
        next_store = time.monotonic() + self._settings.flush_seconds
        tick = min(_TICK_SECONDS, self._settings.flush_seconds)
        while not self._closing.wait(tick):
            with self._writing:
                self._drain()
                early = self._waiting > _EARLY_SHARE * self._settings.queue_trips
                # While the sink is failing, a crowded queue is no reason to try more often.
                if time.monotonic() >= next_store or (early and not self._parts):
                    self._store(self._sink)
                    next_store = time.monotonic() + self._settings.flush_seconds
        with self._writing:
            self._drain()
            self._store(self._sink)
            self._sink.close()

    def _drain(self) -> None:
        """Turn what waits in the queue into Arrow columns: a fraction of its size in memory."""
        with self._counting:
            answers, self._queue = self._queue, []
        if answers:
            self._lay_out(answers)

    def _lay_out(self, answers: list[Answers]) -> None:
        try:
            self._tables.append(to_table(answers, self._layout))
        except Exception:
            if len(answers) == 1:
                self._complain("answers of wrong types or lengths are not logged")
                self._give_up(answers[0].rows)
            else:  # one of them is at fault: the others must not suffer
                for one in answers:
                    self._lay_out([one])

    def _store(self, sink: Sink) -> bool:
        """Hand the parts to the sink in order; what it cannot take now waits for the next time."""
        if self._tables:
            name = f"part-{self._worker}-{time.time_ns()}"
            self._parts.append((name, pa.concat_tables(self._tables)))
            self._tables = []
        while self._parts:
            name, table = self._parts[0]
            try:
                sink.write(name, table)
            except ValueError:
                self._complain("answers that the sink refuses are not logged")
                self._give_up(table.num_rows)
            except Exception:
                waiting = counted(self._waiting, "answer")
                self._complain(f"the prediction log cannot be written: {waiting} not logged yet")
                return False
            else:
                self._complained = False
                with self._counting:
                    self._waiting -= table.num_rows
                    self.written += table.num_rows
            del self._parts[0]
        return True

    def _give_up(self, rows: int) -> None:
        with self._counting:
            self.dropped += rows
            self._waiting -= rows

    def _complain(self, what: str) -> None:
        """Log an error once, until something is stored again."""
        if not self._complained:
            self._complained = True
            logger.warning("%s", what, exc_info=True)


def _sink(settings: Settings, layout: LogLayout) -> Sink | None:
    log = settings.prediction_log
    if log.sink == "none":
        return None
    if log.sink == "parquet":
        return ParquetSink(settings.prediction_log_folder)
    if not log.database_url:
        raise ConfigurationError(
            "prediction_log.database_url: needed when prediction_log.sink is postgresql",
            "set it to postgresql://user:password@host:port/database",
        )
    from mlops.serving.log.postgresql import PostgresqlSink, table_of

    url = log.database_url.get_secret_value()
    return PostgresqlSink(url, table_of(settings.dataset), layout.schema)


_WARM_UP: Final = Answers(
    "",
    0,
    "",
    "",
    0,
    "champion",
    {},
    (1.0,),
    ((1.0, 1.0, 1.0),),
)
