"""Where windows lie in time: instants follow each other as the wall clock does, strays aside."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlops.datasets.answers import ANSWER
from mlops.datasets.taxi.trips import PICKUP_AT, REQUEST_COLUMNS
from mlops.datasets.taxi.watched.watching import TripWatching
from mlops.datasets.wall_clock import instant_of, wall_clock_of
from mlops.errors import DamagedFileError
from mlops.monitoring.windows.staging import (
    Answered,
    forget_old,
    name_of,
    named_by,
    read_staged,
    stage,
)
from mlops.settings import ValidationSettings, load_settings

SPRING = datetime(2024, 3, 10, 2, 30)  # the clocks go from two to three
AUTUMN = datetime(2024, 11, 3, 1, 30)  # and from two to one
moments = st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31))
NEW_YORK = ZoneInfo("America/New_York")
WATCHING = TripWatching(ValidationSettings())
near = st.timedeltas(timedelta(0), timedelta(hours=3))


def clock(moment: datetime, zone: ZoneInfo = NEW_YORK) -> datetime:
    return instant_of(moment, zone)


def back_to_clock(instant: datetime) -> datetime:
    return wall_clock_of(instant, NEW_YORK)


def asked(rows: pd.DataFrame) -> Answered:
    """Rows with answers that say the same of all."""
    answers = pd.DataFrame(5.0, index=rows.index, columns=list(ANSWER))
    return Answered(rows, answers, None)


@given(moments, near)
@example(SPRING, timedelta(minutes=45))
@example(SPRING - timedelta(hours=1), timedelta(hours=1))
@example(AUTUMN, timedelta(hours=1))
def test_what_is_later_by_the_clock_is_never_earlier(moment: datetime, later: timedelta) -> None:
    assert clock(moment) <= clock(moment + later)


@given(moments)
@example(SPRING)
@example(AUTUMN)
def test_who_goes_on_from_an_instant_passes_over_no_trip(moment: datetime) -> None:
    back = back_to_clock(clock(moment))

    assert back == moment or (
        moment.hour == 2 and back == moment.replace(hour=3, minute=0, second=0, microsecond=0)
    )


def test_an_hour_that_is_skipped_is_the_moment_at_which_it_is() -> None:
    for moment in (SPRING, SPRING.replace(second=59, microsecond=1)):
        assert clock(moment) == datetime(2024, 3, 10, 7, tzinfo=timezone.utc)
    assert clock(AUTUMN) == datetime(2024, 11, 3, 5, 30, tzinfo=timezone.utc)
    # in Beirut they skipped the first hour of a day, on Lord Howe Island they skip half an hour
    beirut, howe = ZoneInfo("Asia/Beirut"), ZoneInfo("Australia/Lord_Howe")
    assert clock(datetime(2022, 3, 27, 0, 30), beirut) == datetime(
        2022, 3, 26, 22, tzinfo=timezone.utc
    )
    assert clock(datetime(2023, 10, 1, 2, 15), howe) == datetime(
        2023, 9, 30, 15, 30, tzinfo=timezone.utc
    )


@pytest.mark.parametrize(
    ("pickups", "between"),
    [
        ([], None),
        ([pd.NaT, pd.NaT], None),
        ([pd.NaT, SPRING], (SPRING, SPRING)),
        (
            [datetime(2008, 1, 1), datetime(2031, 1, 1)],
            (datetime(2008, 1, 1), datetime(2031, 1, 1)),
        ),
        (
            [datetime(2031, 1, 1), *(SPRING + timedelta(minutes=n) for n in range(1_000)), pd.NaT],
            (SPRING, SPRING + timedelta(minutes=999)),
        ),
    ],
)
def test_a_window_knows_its_pickups_but_for_strays(
    tmp_path: Path, pickups: list[datetime], between: tuple[datetime, datetime] | None
) -> None:
    rows = pd.DataFrame({PICKUP_AT: pd.Series(pickups, dtype="datetime64[us]")})
    others = {name: 1 for name in REQUEST_COLUMNS if name != PICKUP_AT}
    span = (datetime(2024, 3, 10, tzinfo=timezone.utc), datetime(2024, 3, 11, tzinfo=timezone.utc))

    staged = stage(
        load_settings({"home": tmp_path}),
        3,
        "served",
        span,
        asked(rows.assign(**others)),
        WATCHING,
        {},
    )

    assert staged.pickups == between
    assert list(read_staged(staged).rows) == list(REQUEST_COLUMNS)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and nothing else"])
def test_a_damaged_window_is_named_with_the_command_that_stages_it_again(
    tmp_path: Path, content: bytes | None
) -> None:
    rows = pd.DataFrame({PICKUP_AT: pd.Series([SPRING], dtype="datetime64[us]")})
    others = {name: 1 for name in REQUEST_COLUMNS if name != PICKUP_AT}
    span = (datetime(2024, 3, 10, tzinfo=timezone.utc), datetime(2024, 3, 11, tzinfo=timezone.utc))
    staged = stage(
        load_settings({"home": tmp_path}),
        3,
        "served",
        span,
        asked(rows.assign(**others)),
        WATCHING,
        {},
    )
    file = Path(staged.uri)
    file.unlink() if content is None else file.write_bytes(content)

    with pytest.raises(DamagedFileError, match=re.escape(staged.uri)) as found:
        read_staged(staged)

    assert found.value.hint.endswith("mlops monitor")


@given(
    st.integers(1, 10**6),
    st.sampled_from(["served", "source"]),
    moments | moments.map(lambda moment: moment.replace(microsecond=0)),
)
def test_a_name_says_what_it_was_made_of(version: int, origin: Any, start: datetime) -> None:
    start = start.replace(tzinfo=timezone.utc)

    assert named_by(name_of(version, origin, start)) == (version, origin, start)
    assert named_by(f"x{name_of(version, origin, start)}") is None


def test_staged_windows_are_kept_for_two_days(tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path})
    folder = settings.staging / "monitoring"
    folder.mkdir(parents=True)
    now, day = time.time(), 86_400
    for name, age in (("new", 0), ("yesterdays", 2 * day - 60), ("old", 2 * day + 60)):
        (folder / f"{name}.parquet").touch()
        os.utime(folder / f"{name}.parquet", (now - age, now - age))

    forget_old(settings)

    assert sorted(path.stem for path in folder.iterdir()) == ["new", "yesterdays"]
