"""Where windows lie in time: instants follow each other as the wall clock does, strays aside."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlops.data.trips import PICKUP_AT, REQUEST_COLUMNS
from mlops.errors import DamagedFileError
from mlops.monitoring.staging import from_wall_clock, read_staged, stage, to_wall_clock
from mlops.settings import load_settings

SPRING = datetime(2024, 3, 10, 2, 30)  # the clocks go from two to three
AUTUMN = datetime(2024, 11, 3, 1, 30)  # and from two to one
moments = st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31))
near = st.timedeltas(timedelta(0), timedelta(hours=3))


@given(moments, near)
@example(SPRING, timedelta(minutes=45))
@example(SPRING - timedelta(hours=1), timedelta(hours=1))
@example(AUTUMN, timedelta(hours=1))
def test_what_is_later_by_the_clock_is_never_earlier(moment: datetime, later: timedelta) -> None:
    assert from_wall_clock(moment) <= from_wall_clock(moment + later)


@given(moments)
@example(SPRING)
@example(AUTUMN)
def test_who_goes_on_from_an_instant_passes_over_no_trip(moment: datetime) -> None:
    back = to_wall_clock(from_wall_clock(moment))

    assert back == moment or (
        moment.hour == 2 and back == moment.replace(hour=3, minute=0, second=0, microsecond=0)
    )


def test_an_hour_that_is_skipped_is_the_moment_at_which_it_is() -> None:
    assert from_wall_clock(SPRING) == datetime(2024, 3, 10, 7, tzinfo=timezone.utc)
    assert from_wall_clock(AUTUMN) == datetime(2024, 11, 3, 5, 30, tzinfo=timezone.utc)


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

    staged = stage(load_settings({"home": tmp_path}), 3, "served", span, rows.assign(**others), {})

    assert staged.pickups == between


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and nothing else"])
def test_a_damaged_window_is_named_with_the_command_that_stages_it_again(
    tmp_path: Path, content: bytes | None
) -> None:
    rows = pd.DataFrame({PICKUP_AT: pd.Series([SPRING], dtype="datetime64[us]")})
    others = {name: 1 for name in REQUEST_COLUMNS if name != PICKUP_AT}
    span = (datetime(2024, 3, 10, tzinfo=timezone.utc), datetime(2024, 3, 11, tzinfo=timezone.utc))
    staged = stage(load_settings({"home": tmp_path}), 3, "served", span, rows.assign(**others), {})
    file = Path(staged.uri)
    file.unlink() if content is None else file.write_bytes(content)

    with pytest.raises(DamagedFileError, match=re.escape(staged.uri)) as found:
        read_staged(staged)

    assert found.value.hint.endswith("mlops monitor")
