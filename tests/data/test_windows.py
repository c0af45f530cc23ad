"""Windows never overlap, leave no gap, and refuse what makes no sense by name."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops.data.months import month_bounds, next_month
from mlops.data.windows import plan_windows
from mlops.errors import ConfigurationError
from mlops.settings import WindowSettings

MONTHS = ("2023-12", "2024-01", "2024-02")


def consecutive(count: int) -> list[str]:
    months = ["2023-01"]
    while len(months) < count:
        months.append(next_month(months[-1]))
    return months


@given(
    count=st.integers(1, 30),
    test_months=st.integers(1, 5),
    test_days=st.integers(0, 100),
    validation_days=st.integers(1, 60),
    test_start=st.none() | st.dates(date(2022, 12, 1), date(2025, 12, 31)),
    validation_start=st.none() | st.dates(date(2022, 12, 1), date(2025, 12, 31)),
)
def test_windows_never_overlap_and_cover_all_months(
    count: int,
    test_months: int,
    test_days: int,
    validation_days: int,
    test_start: date | None,
    validation_start: date | None,
) -> None:
    # Given any months and any settings that are accepted
    months = consecutive(count)
    settings = WindowSettings(
        test_months=test_months,
        test_days=test_days,
        validation_days=validation_days,
        test_start=test_start,
        validation_start=validation_start,
    )
    try:
        train, validation, test = plan_windows(months, settings)
    except ConfigurationError:
        assume(False)
        raise
    # Then each is at least a day long, each begins where the one before ends, and all are covered
    assert train.start == month_bounds(months[0])[0]
    assert train.end == validation.start
    assert validation.end == test.start
    assert test.end == month_bounds(months[-1])[1]
    assert all(end - start >= timedelta(days=1) for start, end in (train, validation, test))
    # And a date wins over days, days over months
    if test_start is not None:
        assert test.start.date() == test_start
    elif test_days:
        assert test.end - test.start == timedelta(days=test_days)


def test_by_default_the_last_month_is_test_and_the_week_before_it_validation() -> None:
    train, validation, test = plan_windows(MONTHS, WindowSettings())
    assert train == (datetime(2023, 12, 1), datetime(2024, 1, 25))
    assert validation == (datetime(2024, 1, 25), datetime(2024, 2, 1))
    assert test == (datetime(2024, 2, 1), datetime(2024, 3, 1))


def test_the_reference_split_is_one_configuration() -> None:
    windows = WindowSettings(validation_start=date(2024, 2, 1), test_start=date(2024, 2, 15))
    train, validation, test = plan_windows(("2024-02", "2024-01"), windows)
    assert (train.end, validation.end, test.end) == (
        datetime(2024, 2, 1),
        datetime(2024, 2, 15),
        datetime(2024, 3, 1),
    )


def test_a_single_month_is_tested_on_its_last_quarter() -> None:
    train, validation, test = plan_windows(["2024-01"], WindowSettings())
    assert train == (datetime(2024, 1, 1), datetime(2024, 1, 18))
    assert validation == (datetime(2024, 1, 18), datetime(2024, 1, 25))
    assert test == (datetime(2024, 1, 25), datetime(2024, 2, 1))


def test_the_last_days_may_be_test_so_that_most_of_the_last_month_is_learned_from() -> None:
    train, validation, test = plan_windows(MONTHS, WindowSettings(test_days=7))
    assert train == (datetime(2023, 12, 1), datetime(2024, 2, 16))
    assert validation == (datetime(2024, 2, 16), datetime(2024, 2, 23))
    assert test == (datetime(2024, 2, 23), datetime(2024, 3, 1))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (WindowSettings(test_start=date(2024, 3, 1)), "windows.test_start"),
        (WindowSettings(test_start=date(2023, 12, 1)), "windows.test_start"),
        (WindowSettings(test_days=91), "windows.test_days"),
        (WindowSettings(test_days=90, test_start=date(2024, 3, 1)), "windows.test_start"),
        (WindowSettings(validation_days=62), "windows.validation_days"),
        (WindowSettings(validation_start=date(2024, 2, 1)), "windows.validation_start"),
        (WindowSettings(validation_start=date(2023, 11, 1)), "windows.validation_start"),
        (WindowSettings(validation_start=date(2023, 12, 1)), "windows.validation_start"),
    ],
)
def test_an_empty_or_disordered_window_is_refused_by_its_setting(
    settings: WindowSettings, field: str
) -> None:
    with pytest.raises(ConfigurationError, match=field):
        plan_windows(MONTHS, settings)


def test_no_months_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"source\.months"):
        plan_windows([], WindowSettings())


def test_as_many_months_as_are_tested_leave_a_quarter_of_their_days() -> None:
    _, _, test = plan_windows(MONTHS, WindowSettings(test_months=3))
    assert test == (datetime(2024, 3, 1) - timedelta(days=22), datetime(2024, 3, 1))  # of 91 days
    _, _, test = plan_windows(MONTHS, WindowSettings(test_months=2))
    assert test.start == datetime(2024, 1, 1)


def test_a_refusal_says_how_far_the_data_goes() -> None:
    with pytest.raises(ConfigurationError) as refused:
        plan_windows(MONTHS, WindowSettings(test_days=91))
    assert "from 2023-12-01 on" in refused.value.message
    assert "goes from 2023-12-01 to 2024-02-29" in refused.value.message
    assert "fewer days" in refused.value.hint
    with pytest.raises(ConfigurationError) as refused:
        plan_windows(MONTHS, WindowSettings(test_start=date(2024, 3, 1)))
    assert "a date inside" in refused.value.hint
