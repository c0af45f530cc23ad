"""The smoke test: right version, right answers, in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlops.deployment import smoke
from mlops.deployment.endpoint import EndpointAnswer
from mlops.settings import DeploymentSettings

EXPECTED = [10.0, 20.0, 30.0]
TRIPS = [{"trip": number} for number in range(3)]


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
    return smoke.smoke_test(endpoint, TRIPS, EXPECTED, 2, limits, lambda: None)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_POLL_SECONDS", 0)


def test_right_answers_pass() -> None:
    found = run(FakeEndpoint(lambda _, trip: EndpointAnswer(2, EXPECTED[trip] + 5e-4)))

    assert found.passed
    assert "serves version 2: 6 golden trips" in found.summary


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
