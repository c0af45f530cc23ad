"""The canary's judgement, and how its evidence is gathered: no sleep, no server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mlops.deployment.canary import CanaryWatch, _gained, clearly_failing, judge, missing
from mlops.deployment.traffic import Scrape, Traffic
from mlops.errors import DeploymentError
from mlops.registry.rollout import Rollout
from mlops.settings import DeploymentSettings

LIMITS = DeploymentSettings(canary_min_requests=50, swap_seconds=10)
NOW = datetime(2024, 3, 1, tzinfo=timezone.utc)
ROLLOUT = Rollout(
    deployment="d",
    version=2,
    mode="canary",
    percent=10,
    started_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    by="ann",
    reason="to see",
)


def traffic(answers: int, errors: int = 0, milliseconds: float = 1.0) -> Traffic:
    """Traffic all of whose answers took the same time."""
    bounds = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    buckets = {bound / 1e3: float(answers * (milliseconds <= bound)) for bound in bounds}
    return Traffic(answers, errors, {**buckets, math.inf: float(answers)})


@pytest.mark.parametrize(
    ("canary", "champion", "refused_by"),
    [
        (traffic(50), traffic(450), ()),
        (traffic(49), traffic(450), ("requests",)),
        (traffic(95, 5), traffic(900), ("errors",)),
        (traffic(95, 5), traffic(950, 50), ()),  # the champion fails as often
        (traffic(100, 0, 8.0), traffic(900, 0, 1.0), ("latency",)),
        (traffic(100, 0, 2.0), traffic(900, 0, 0.5), ()),  # both faster than anybody notices
        (traffic(100, 0, 16.0), traffic(3), ()),  # nothing to compare with
        (traffic(100, 9), traffic(3, 3), ("errors",)),  # nor to excuse errors
        (Traffic(), traffic(900), ("requests",)),
        (traffic(99, 1, 16.0), traffic(49), ()),  # 1 % may fail; 49 compare nothing
        (traffic(100, 0, 16.0), traffic(50), ("latency",)),  # 50 do
    ],
)
def test_a_version_is_judged_by_requests_errors_and_latency(
    canary: Traffic, champion: Traffic, refused_by: tuple[str, ...]
) -> None:
    found = judge("canary", canary, champion, LIMITS)

    assert found.refused_by == refused_by
    assert found.passed == (not refused_by)


def test_the_judgement_is_said_in_words() -> None:
    found = judge("canary", traffic(95, 5), traffic(900), LIMITS)

    assert found.summary == (
        "refused by errors: 5.0% of its requests failed, 0.0% of the champion's"
    )
    assert (
        "canary: 100 requests against 900 of the champion"
        in judge("canary", traffic(100), traffic(900), LIMITS).summary
    )


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 100))
def test_what_clearly_fails_early_would_fail_in_the_end(
    answers: int, errors: int, champions: int
) -> None:
    canary, champion = traffic(answers, errors), traffic(1_000, champions)

    if clearly_failing(canary, champion, LIMITS):
        assert "errors" in judge("canary", canary, champion, LIMITS).refused_by


def test_latency_is_judged_against_the_champion_or_the_floor() -> None:
    # 95 % of the answers took at most 3.9 ms (interpolated from 2 to 4), of the champion's 0.975
    at_limit = LIMITS.model_copy(update={"max_latency_ratio": 2.0, "latency_floor_ms": 1.95})
    below = at_limit.model_copy(update={"latency_floor_ms": 1.94})
    slow, fast = traffic(100, 0, 4.0), traffic(100)

    rule = judge("canary", slow, fast, at_limit).rules[-1]
    assert rule.passed and rule.value == pytest.approx(3.9) == pytest.approx(rule.limit)
    assert judge("canary", slow, fast, below).refused_by == ("latency",)
    by_champion = below.model_copy(update={"latency_floor_ms": 0.1})
    assert judge("canary", slow, fast, by_champion).rules[-1].limit == pytest.approx(1.95)


@pytest.mark.parametrize(
    ("more", "champion", "clear"),
    [(-1e-5, 0, True), (1e-5, 0, False), (-1e-5, 1, True), (1e-5, 1, False)],
)
def test_clear_is_what_wilsons_interval_excludes(more: float, champion: int, clear: bool) -> None:
    lower = binomtest(5, 50).proportion_ci(0.95, "wilson").low
    limits = LIMITS.model_copy(update={"max_error_share": lower - champion / 100 + more})

    assert clearly_failing(traffic(45, 5), traffic(100 - champion, champion), limits) == clear


def test_one_error_is_no_clear_failure() -> None:
    assert not clearly_failing(traffic(0, 4), traffic(90), LIMITS)
    assert clearly_failing(traffic(0, 5), traffic(90), LIMITS)
    assert not clearly_failing(traffic(9, 1), traffic(90), LIMITS)
    assert clearly_failing(traffic(0, 10), traffic(90), LIMITS)


@given(st.integers(0, 99), st.integers(0, 99), st.floats(1, 100))
def test_enough_requests_are_made_for_both(canary: int, champion: int, percent: float) -> None:
    made = missing(50, traffic(canary), traffic(champion), percent)

    share = percent / 100
    assert canary + made * share >= 50 - 1e-6
    if share < 1:
        assert champion + made * (1 - share) >= 50 - 1e-6


@pytest.mark.parametrize(
    ("canary", "champion", "percent", "lacking"),
    [
        (40, 450, 10, 100),
        (50, 450, 10, 0),
        (51, 50, 10, 0),
        (50, 41, 10, 10),
        (0, 0, 50, 100),
        (0, 0, 100, 50),  # the champion gets nothing, whatever is made
    ],
)
def test_no_more_requests_are_made_than_are_lacking(
    canary: int, champion: int, percent: float, lacking: int
) -> None:
    assert missing(50, traffic(canary), traffic(champion), percent) == lacking


@dataclass
class FakeServer:
    """An endpoint in another world, whose clock moves only when somebody sleeps."""

    seconds: float = 0.0
    own_per_second: float = 0.0  # requests of others
    error_share: float = 0.0  # of the canary's
    serves_after: float = 0.0
    deaf_until: float = 0.0  # no metrics before
    asked: int = 0
    unheard: bool = False  # its metrics count nobody's requests
    looks: list[float] = field(default_factory=list)
    trips: list[Any] = field(default_factory=list)

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def ask(self, trip: Any) -> None:
        self.asked += not self.unheard
        self.trips.append(trip)

    def problem(self) -> str:
        return "the bundle is broken"

    def scrape(self) -> Scrape | None:
        self.looks.append(self.seconds)
        if self.seconds < self.deaf_until:
            return None
        made = self.asked + self.own_per_second * self.seconds
        canary = round(0.1 * made)
        errors = round(self.error_share * canary)
        serving = {(1, "champion")}
        if self.seconds >= self.serves_after:
            serving.add((2, "canary"))
        return Scrape(
            {
                (1, "champion"): traffic(1_000 + round(0.9 * made)),
                (2, "canary"): traffic(canary - errors, errors),
            },
            frozenset(serving),
        )

    def watch(self, **limits: Any) -> CanaryWatch:
        return CanaryWatch(
            self,  # type: ignore[arg-type]
            LIMITS.model_copy(update=limits),
            [{"trip": 0}, {"trip": 1}, {"trip": 2}],
            lambda: None,
            self.clock,
            self.sleep,
        )


def test_busy_traffic_needs_no_probes() -> None:
    server = FakeServer(own_per_second=100)

    found = server.watch().compare(ROLLOUT, champion=1, minutes=1)

    assert found.passed
    assert server.asked <= 60  # at the very beginning nothing has been counted yet
    assert server.seconds == pytest.approx(60, abs=6)


def test_thin_traffic_is_filled_up() -> None:
    server = FakeServer()

    found = server.watch().compare(ROLLOUT, champion=1, minutes=1)

    assert found.passed
    assert 450 <= server.asked <= 900
    assert server.seconds <= 60 + LIMITS.swap_seconds


def test_a_clear_failure_ends_the_canary_early() -> None:
    server = FakeServer(own_per_second=100, error_share=0.5)

    found = server.watch().compare(ROLLOUT, champion=1, minutes=10)

    assert found.refused_by == ("errors",)
    assert server.seconds < 60


def test_metrics_that_were_away_for_a_while_are_not_counted_as_gained() -> None:
    server = FakeServer(own_per_second=100, deaf_until=10)

    found = server.watch().compare(ROLLOUT, champion=1, minutes=1)

    assert found.passed
    assert found.rules[0].value is not None
    assert found.rules[0].value < 600


def test_without_metrics_before_and_after_nothing_is_gained() -> None:
    told: Any = "some metrics"
    assert _gained(None, told, 2, "canary") == _gained(told, None, 2, "canary") == Traffic()


def test_metrics_that_stay_away_refuse_for_want_of_requests() -> None:
    server = FakeServer(deaf_until=math.inf)

    found = server.watch().compare(ROLLOUT, champion=1, minutes=0.1)

    assert found.refused_by == ("requests",)


def test_the_server_is_given_time_to_follow_but_not_for_ever() -> None:
    assert FakeServer(serves_after=9).watch().follow(ROLLOUT) is None

    late = FakeServer(serves_after=11).watch().follow(ROLLOUT)

    assert late is not None
    assert not late.passed
    assert "version 2 as canary within 10 s: the bundle is broken" in late.summary


def test_a_deployment_that_was_stopped_does_not_go_on_watching() -> None:
    server = FakeServer(own_per_second=100)
    watch = server.watch()

    def stopped() -> None:
        if server.seconds > 20:
            raise DeploymentError("stopped")

    stopping = CanaryWatch(**{**vars(watch), "still_ours": stopped})
    with pytest.raises(DeploymentError):
        stopping.compare(ROLLOUT, champion=1, minutes=10)
    assert server.seconds < 30
    with pytest.raises(DeploymentError):  # nor waiting
        stopping.follow(ROLLOUT)


def test_a_canary_does_not_end_with_too_few_requests_while_there_is_time() -> None:
    # Given metrics that come back only after the canary's time
    server = FakeServer(deaf_until=61)

    found = server.watch().compare(ROLLOUT, champion=1, minutes=1)

    assert found.passed
    assert 61 < server.seconds < 60 + LIMITS.swap_seconds


def test_a_canary_nobody_can_reach_ends_soon_after_its_time() -> None:
    server = FakeServer(unheard=True)

    found = server.watch().compare(ROLLOUT, champion=1, minutes=1)

    assert found.refused_by == ("requests",)
    assert server.seconds == 60 + LIMITS.swap_seconds + 2  # laps of 3 s: 70 is within the 24th
    # the requests lacking are spread over the laps that are left, and never a load test
    assert [trip["trip"] for trip in server.trips[:4]] == [0, 1, 2, 0]
    assert server.trips.count({"trip": 1}) <= 500 * 24


@pytest.mark.parametrize(("minutes", "lap"), [(0.01, 0.25), (1, 3), (10, 5)])
def test_it_looks_twenty_times_but_neither_all_the_time_nor_rarely(
    minutes: float, lap: float
) -> None:
    server = FakeServer(own_per_second=1_000)

    server.watch().compare(ROLLOUT, champion=1, minutes=minutes)

    first, second, *_ = server.looks
    assert second - first == pytest.approx(lap)
    assert server.seconds == pytest.approx(max(60 * minutes, lap), abs=lap)


def test_the_requests_lacking_are_spread_over_the_time_left_and_limited() -> None:
    spread, limited = FakeServer(unheard=True), FakeServer(unheard=True)
    spread.watch().compare(ROLLOUT, champion=1, minutes=1)
    limited.watch(canary_min_requests=10_000).compare(ROLLOUT, champion=1, minutes=0.01)

    # 500 lack. 19 laps are left after the first, then 18 …; all of them in the last and after it
    laps = [math.ceil(500 / left) for left in range(19, 0, -1)] + [500] * 4
    assert len(spread.trips) == sum(laps)
    assert len(limited.trips) == 500 * (len(limited.looks) - 2)


def test_a_server_that_already_follows_is_asked_once_and_one_that_does_not_until_the_end() -> None:
    soon, late = FakeServer(), FakeServer(serves_after=math.inf)

    assert soon.watch().follow(ROLLOUT) is None and soon.looks == [0.0]
    assert late.watch().follow(ROLLOUT) is not None
    assert late.seconds == LIMITS.swap_seconds and late.looks[1] == 0.25
