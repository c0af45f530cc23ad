"""Windows are complete, disjoint, and the same whenever they are cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlops.monitoring.windows.cutting import DAY_US, Instants, Span, cut
from mlops.settings import MonitoringSettings

SETTINGS = MonitoringSettings(window_trips=1_000, min_window_trips=500, window_days=1)
EVER = 2**62


def bursts(sizes: list[tuple[int, float]]) -> Instants:
    """Arrivals: so many, each so many days after the ones before."""
    at, moments = 0, []
    for count, days in sizes:
        at += int(days * DAY_US)
        moments.append(at + np.arange(count))
    return np.concatenate([np.zeros(0, np.int64), *moments])


arrivals = st.lists(
    st.tuples(st.integers(1, 900), st.floats(0.01, 3)), min_size=0, max_size=12
).map(bursts)


@given(arrivals, st.floats(0, 20))
def test_windows_are_complete_disjoint_and_in_order(at: Instants, day: float) -> None:
    until = int(day * DAY_US)

    spans = cut(at, until, SETTINGS)

    ends = [0]
    for span in spans:
        inside = at[(at >= span.start) & (at < span.end)]
        assert span.start == inside[0] and span.start >= ends[-1]
        # nothing between two windows is lost
        assert not ((at >= ends[-1]) & (at < span.start)).any()
        full = len(inside) == SETTINGS.window_trips
        old = span.end - span.start >= DAY_US and len(inside) >= SETTINGS.min_window_trips
        assert full or old
        assert len(inside) <= SETTINGS.window_trips and span.end <= until
        ends.append(span.end)


@given(arrivals, st.floats(0, 20), st.floats(0, 20))
def test_cutting_later_with_more_arrivals_only_adds_windows(
    at: Instants, day: float, later: float
) -> None:
    first, second = sorted((int(day * DAY_US), int(later * DAY_US)))

    before = cut(at[at < first], first, SETTINGS)
    after = cut(at, second, SETTINGS)

    assert after[: len(before)] == before


@given(arrivals, st.data())
def test_cutting_on_from_the_end_of_any_window_gives_the_others(
    at: Instants, data: st.DataObject
) -> None:
    spans = cut(at, EVER, SETTINGS)
    done = data.draw(st.integers(0, len(spans)))

    since = spans[done - 1].end if done else 0

    assert cut(at[at >= since], EVER, SETTINGS) == spans[done:]


def test_what_arrived_at_one_instant_stays_together() -> None:
    # given a batch caller's 3 000 trips in one request, and one trip a second later
    at = np.array([7] * 3_000 + [1_000_007])

    assert cut(at, EVER, SETTINGS) == [Span(7, 8)]


def test_few_trips_wait_until_they_say_something() -> None:
    # given 400 trips, and 99 more ten days later
    at = bursts([(400, 0), (99, 10)])
    assert cut(at, EVER, SETTINGS) == []

    # when another comes
    at = bursts([(400, 0), (100, 10)])

    # then the 500 are a window, which ends with the last of them
    assert cut(at, EVER, SETTINGS) == [Span(0, 10 * DAY_US + 100)]


def test_a_window_is_not_complete_before_all_of_its_time_is_known() -> None:
    at = bursts([(600, 0)])

    assert cut(at, DAY_US - 1, SETTINGS) == []
    assert cut(at, DAY_US, SETTINGS) == [Span(0, DAY_US)]
