"""The smoke test: right version, right answers, in time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.deployment import smoke
from mlops.deployment.endpoint import EndpointAnswer
from mlops.deployment.golden import GoldenAnswers
from mlops.settings import DeploymentSettings

EXPECTED = [10.0, 20.0, 30.0]
GOLDEN = GoldenAnswers([{"trip": number} for number in range(3)], EXPECTED, 1e-3, "min")


class FakeEndpoint:
    """Answers by a function of how often it was asked and of the trip."""

    def __init__(self, answer: Callable[[int, int], EndpointAnswer]) -> None:
        self._answer = answer
        self.asked = 0

    def ask(self, trip: Any) -> EndpointAnswer:
        self.asked += 1
        return self._answer(self.asked, trip["trip"])


def run(endpoint: Any, seconds: float = 30, requests: int = 6) -> Any:
    limits = DeploymentSettings(smoke_requests=requests, swap_seconds=seconds)
    return smoke.smoke_test(endpoint, GOLDEN, 2, limits, lambda: None)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_POLL_SECONDS", 0)


def test_right_answers_pass() -> None:
    found = run(FakeEndpoint(lambda _, trip: EndpointAnswer(2, EXPECTED[trip] + 5e-4)))

    assert found.passed
    assert "serves version 2: 6 golden requests" in found.summary


def test_the_server_may_take_its_time_and_hiccup_meanwhile() -> None:
    def late(asked: int, trip: int) -> EndpointAnswer:
        if asked < 10:
            return EndpointAnswer(1, 5.0)
        return EndpointAnswer(problem="503") if asked == 15 else EndpointAnswer(2, EXPECTED[trip])

    endpoint = FakeEndpoint(late)

    assert run(endpoint).passed
    assert endpoint.asked >= 16


def test_wrong_answers_of_the_right_version_fail_at_once() -> None:
    endpoint = FakeEndpoint(lambda _, trip: EndpointAnswer(2, EXPECTED[trip] + 0.01))

    found = run(endpoint)

    assert found.refused_by == ("parity",)
    assert endpoint.asked == 6


def test_not_a_number_is_a_wrong_answer() -> None:
    assert run(FakeEndpoint(lambda *_: EndpointAnswer(2, float("nan")))).refused_by == ("parity",)


@pytest.mark.parametrize(
    ("answer", "refused_by", "named"),
    [
        (EndpointAnswer(1, 5.0), ("version",), "6 answers came from version 1"),
        (EndpointAnswer(problem="401: no key"), ("answers",), "401: no key"),
    ],
)
def test_a_server_that_never_follows_fails(
    answer: EndpointAnswer, refused_by: tuple[str, ...], named: str
) -> None:
    found = run(FakeEndpoint(lambda *_: answer), seconds=0.01)

    assert found.refused_by == refused_by
    assert named in found.summary


def test_a_server_that_is_gone_is_asked_once_per_attempt() -> None:
    endpoint = FakeEndpoint(lambda *_: EndpointAnswer(problem="refused"))

    run(endpoint, seconds=1e-9)

    assert endpoint.asked == 1


@pytest.mark.parametrize(("seconds", "attempts"), [(8, 3), (7.9, 3), (8.1, 4)])
def test_it_asks_again_until_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, seconds: float, attempts: int
) -> None:
    now, checked = [50.0], []
    clock = SimpleNamespace(
        monotonic=lambda: now[0], sleep=lambda pause: now.__setitem__(0, now[0] + pause)
    )
    monkeypatch.setattr(smoke, "time", clock)
    monkeypatch.setattr(smoke, "_POLL_SECONDS", 4)
    endpoint = FakeEndpoint(lambda *_: EndpointAnswer(1, 5.0))
    limits = DeploymentSettings(smoke_requests=2, swap_seconds=seconds)

    found = smoke.smoke_test(
        endpoint,  # type: ignore[arg-type]
        *(GOLDEN, 2, limits),
        lambda: checked.append(now[0]),
    )

    assert len(checked) == attempts and endpoint.asked == 2 * attempts
    assert f"after {4 * (attempts - 1):.1f} s 2 answers came from version 1" in found.summary


def test_requests_go_through_the_trips_in_turn() -> None:
    asked: list[int] = []

    def note(_: int, trip: int) -> EndpointAnswer:
        asked.append(trip)
        return EndpointAnswer(2, EXPECTED[trip])

    assert run(FakeEndpoint(note), requests=5).passed
    assert asked == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(("difference", "passed"), [(0.999e-3, True), (1.001e-3, False)])
def test_answers_may_be_rounded_and_no_more(difference: float, passed: bool) -> None:
    answers = [EndpointAnswer(2, 10.0 - difference), EndpointAnswer(2, 20.0)]

    found = smoke.judge(answers, GOLDEN, 2, 1.0)

    assert found.passed == passed
    assert found.rules[-1].value == pytest.approx(difference)


def test_answers_of_others_and_none_are_counted_apart() -> None:
    answers = [
        EndpointAnswer(2, 10.0),
        EndpointAnswer(1, 99.0),
        EndpointAnswer(problem="503: busy"),
        EndpointAnswer(problem="504: late"),
    ]

    found = smoke.judge(answers, GOLDEN, 2, 1.0)

    assert [rule.value for rule in found.rules] == [2, 1, 0]
    assert "2 of 4 requests got no answer, e.g. 503: busy" in found.rules[0].why
