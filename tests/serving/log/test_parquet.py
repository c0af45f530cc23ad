"""Every visible file of the log is whole, and every row is in it once: whatever was killed when."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlops.errors import DamagedFileError
from mlops.records import atomic
from mlops.records.atomic import TEMPORARY_PREFIX
from mlops.serving.log import parquet as log_parquet
from mlops.serving.log.parquet import ParquetSink, compact, read_parquet
from mlops.serving.log.reading import compact_log
from mlops.serving.log.rows import SCHEMA, Answers, to_table
from mlops.settings import load_settings

DAY = datetime(2024, 3, 1, tzinfo=timezone.utc)
NIGHT = timedelta(days=1)


def table_of(*answers: tuple[str, datetime]) -> Any:
    """Return a table with one row per id and time."""
    return to_table(
        [
            Answers(
                request_id,
                int(at.timestamp()) * 10**9,
                "someone",
                "predict",
                1,
                "champion",
                {"pickup_at": (datetime(2024, 3, 1),), "pickup_zone": (1,), "dropoff_zone": (2,)},
                (1.0,),
                ((3.0, 2.0, 4.0),),
            )
            for request_id, at in answers
        ]
    )


def write_parts(folder: Path, parts: int, rows: int = 2) -> list[str]:
    """Write parts of one day; return the ids of their rows."""
    sink = ParquetSink(folder)
    ids = []
    for part in range(parts):
        names = [f"{part}-{row}" for row in range(rows)]
        ids += names
        sink.write(
            f"part-worker-0-{part}",
            table_of(*((name, DAY + timedelta(minutes=part)) for name in names)),
        )
    return sorted(ids)


def ids_in(folder: Path, start: datetime = DAY, end: datetime = DAY + NIGHT) -> list[str]:
    read: list[str] = read_parquet(folder, start, end, ["request_id"])["request_id"].to_pylist()
    return sorted(read)


def test_rows_lie_in_the_folder_of_their_day(tmp_path: Path) -> None:
    # Given a part that spans midnight
    midnight = DAY + NIGHT
    late, early = midnight - timedelta(seconds=1), midnight
    # When it is written, twice as after an outage
    for _ in range(2):
        ParquetSink(tmp_path).write("part-w-1", table_of(("late", late), ("early", early)))
    # Then each day has its rows, once
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.parquet")) == [
        "date=2024-03-01/part-w-1.parquet",
        "date=2024-03-02/part-w-1.parquet",
    ]
    assert ids_in(tmp_path) == ["late"]
    assert ids_in(tmp_path, midnight, midnight + NIGHT) == ["early"]


def test_the_start_of_a_span_is_in_it_and_its_end_is_not(tmp_path: Path) -> None:
    noon = DAY + timedelta(hours=12)
    answers = [(str(hour), DAY + timedelta(hours=hour)) for hour in range(24)]
    ParquetSink(tmp_path).write("part-w-1", table_of(*answers))
    assert ids_in(tmp_path, noon, noon + timedelta(hours=2)) == ["12", "13"]
    assert ids_in(tmp_path, noon, noon) == []


def test_rows_are_read_by_time(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path)
    sink.write("part-b-1", table_of(("second", DAY + timedelta(hours=2))))
    sink.write("part-c-1", table_of(("first", DAY + timedelta(hours=1))))
    read = read_parquet(tmp_path, DAY, DAY + NIGHT, ["request_id", "caller"])
    assert read["request_id"].to_pylist() == ["first", "second"]
    assert read.column_names == ["request_id", "caller"]


def test_an_empty_log_has_the_same_columns(tmp_path: Path) -> None:
    read = read_parquet(tmp_path / "none", DAY, DAY + NIGHT, ["at", "version"])
    assert (
        read.num_rows == 0 and read.schema == SCHEMA.empty_table().select(["at", "version"]).schema
    )


def test_compaction_makes_one_file_with_the_same_rows(tmp_path: Path) -> None:
    ids = write_parts(tmp_path, 5)
    day = tmp_path / "date=2024-03-01"
    before = read_parquet(tmp_path, DAY, DAY + NIGHT, SCHEMA.names)
    # When it is compacted, and again after more came
    assert compact(day) == 5
    assert [file.name.split("-")[0] for file in day.iterdir()] == ["joined"]
    assert ids_in(tmp_path) == ids
    assert read_parquet(tmp_path, DAY, DAY + NIGHT, SCHEMA.names).to_pylist() == before.to_pylist()
    ParquetSink(tmp_path).write("part-worker-1-7", table_of(("more", DAY)))
    assert compact(day) == 0, "one part is not worth it"
    assert compact(day, at_least=1) == 1
    assert ids_in(tmp_path) == sorted([*ids, "more"])


def test_a_part_written_again_after_it_was_joined_is_not_read_twice(tmp_path: Path) -> None:
    # Given a writer that does not know that its part was stored, and joined meanwhile
    ids = write_parts(tmp_path, 2)
    compact(tmp_path / "date=2024-03-01")
    # When it writes the same part again
    assert write_parts(tmp_path, 1) == ["0-0", "0-1"]
    # Then it counts once, before and after the next compaction
    assert ids_in(tmp_path) == ids
    compact(tmp_path / "date=2024-03-01", at_least=1)
    assert ids_in(tmp_path) == ids
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_only_days_with_many_files_are_joined(tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path})
    write_parts(settings.prediction_log_folder, 4)
    ParquetSink(settings.prediction_log_folder).write("part-w-1", table_of(("next", DAY + NIGHT)))
    assert compact_log(settings, at_least=5) == 0
    assert compact_log(settings, at_least=4) == 4
    assert compact_log(load_settings({"home": tmp_path, "prediction_log.sink": "none"}), 1) == 0


class _Killer:
    """Ends the process, without any clean-up, before the n-th line of the code under test."""

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._files = {log_parquet.__file__, atomic.__file__}

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            self._left -= 1
            if self._left < 0:
                os._exit(9)
        return self


def die_at_line(lines: int, action: Any) -> bool:
    """Fork, do something, die before the n-th line of it; tell whether it died."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.settrace(_Killer(lines))
            action()
            sys.settrace(None)
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), "neither killed nor done"
    return status == 9


def every_line(action: Any, check: Any, step: int = 1) -> int:
    """Kill an action before each of its lines in turn, checking afterwards."""
    lines = 0
    while die_at_line(lines, action):
        check()
        lines += step
    check()
    return lines


def test_compaction_may_be_killed_at_any_line(tmp_path: Path) -> None:
    # Given parts, and a compaction that is killed ever later, with parts that arrive in between
    ids = write_parts(tmp_path, 3)
    day = tmp_path / "date=2024-03-01"
    kills = 0

    def check() -> None:
        nonlocal kills
        kills += 1
        # Then a reader finds every row once, and every visible file is whole
        assert ids_in(tmp_path) == sorted(ids)
        for file in day.iterdir():
            assert pq.ParquetFile(file).read(use_threads=False).num_rows > 0
        # And a part may arrive before the next attempt
        if kills in (15, 60):
            ParquetSink(tmp_path).write(f"part-x-{kills}", table_of((f"x{kills}", DAY)))
            ids.append(f"x{kills}")

    lines = every_line(lambda: compact(day), check)
    assert lines > 30, "the killer must have found the code under test"
    # And the next compaction cleans up
    compact(day, at_least=1)
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))
    assert all(file.name.startswith("joined-") for file in day.iterdir())
    assert ids_in(tmp_path) == sorted(ids)


def test_writing_may_be_killed_at_any_line(tmp_path: Path) -> None:
    # Given a part across midnight
    table = table_of(("late", DAY + NIGHT - timedelta(seconds=1)), ("early", DAY + NIGHT))
    parts = 0

    def write() -> None:
        ParquetSink(tmp_path).write(f"part-w-{parts}", table)

    def check() -> None:
        nonlocal parts
        parts += 1
        # Then every visible file is whole
        for file in tmp_path.rglob("date=*/*"):
            assert pq.ParquetFile(file).read(use_threads=False).num_rows == 1

    assert every_line(write, check) > 30
    # And the next writer removes what the dead ones left
    ParquetSink(tmp_path).write("part-z-1", table)
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


@pytest.mark.parametrize("missed_everything", [False, True])
def test_readers_are_not_disturbed_by_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missed_everything: bool
) -> None:
    # Given a reader that lists the parts just before they are joined, or so slowly that it sees
    # neither the parts nor the joined file: a folder's listing is no snapshot
    ids = write_parts(tmp_path, 3)
    files = log_parquet._files
    listed: list[int] = []

    def overtaken(day: Path) -> Any:
        found = files(day)
        if not listed:
            listed.append(len(found[1]))
            assert compact(day) == 3
            return (set(), []) if missed_everything else found
        return found

    monkeypatch.setattr(log_parquet, "_files", overtaken)
    # When it reads, then it finds every row once all the same
    assert ids_in(tmp_path) == ids and listed == [3]


def test_two_compactions_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a compaction at work
    ids = write_parts(tmp_path, 3)
    day = tmp_path / "date=2024-03-01"
    second: list[int] = []
    batches = log_parquet._batches

    def meet(*given: Any) -> Any:
        second.append(compact(day))
        return batches(*given)

    monkeypatch.setattr(log_parquet, "_batches", meet)
    # When another one starts
    assert compact(day) == 3
    # Then that one leaves it alone
    assert second == [0] and ids_in(tmp_path) == ids


def test_a_minute_of_a_day_is_found_in_it(tmp_path: Path) -> None:
    write_parts(tmp_path, 3, rows=1)

    assert ids_in(tmp_path, DAY, DAY + timedelta(minutes=1)) == ["0-0"]
    last = DAY + timedelta(minutes=2)
    assert ids_in(tmp_path, last, last + NIGHT) == ["2-0"]
    assert ids_in(tmp_path, last - timedelta(minutes=1), last) == ["1-0"]


def test_parts_are_joined_in_row_groups_of_about_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_parquet, "_ROW_GROUP", 4)
    write_parts(tmp_path, 5)
    (day,) = tmp_path.glob("date=*")

    assert compact(day, at_least=6) == 0
    assert compact(day, at_least=5) == 5

    (joined,) = day.glob("*.parquet")
    groups = pq.ParquetFile(joined).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [4, 4, 2]


def test_a_flipped_bit_in_a_joined_file_is_noticed(tmp_path: Path) -> None:
    write_parts(tmp_path, 2, rows=500)
    (day,) = tmp_path.glob("date=*")
    compact(day)
    (joined,) = day.glob("*.parquet")
    content = joined.read_bytes()
    start = pq.ParquetFile(joined).metadata.row_group(0).column(0).data_page_offset

    joined.write_bytes(
        content[: start + 60] + bytes([content[start + 60] ^ 1]) + content[start + 61 :]
    )

    with pytest.raises(DamagedFileError, match=joined.name):
        ids_in(tmp_path)
