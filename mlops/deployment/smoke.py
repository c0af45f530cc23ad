"""The smoke test: the running endpoint serves the version and answers as its artifact does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mlops.counting import counted
from mlops.deployment.checks import at_most, none_of, verdict
from mlops.deployment.endpoint import Endpoint, EndpointAnswer
from mlops.evaluation.verdict import Verdict
from mlops.settings import DeploymentSettings

MAX_DIFFERENCE_MINUTES: Final = 1e-3  # answers may be rounded
_POLL_SECONDS: Final = 0.25


def judge(
    answers: Sequence[EndpointAnswer], expected: Sequence[float], version: int, seconds: float
) -> Verdict:
    """Hold answers of the endpoint to what the artifact says.

    Args:
        answers: Of the endpoint, one per request.
        expected: Minutes by the artifact for the same requests.
        version: That should have answered.
        seconds: Since the promotion was looked for, for the words.
    """
    problems = [answer.problem for answer in answers if answer.problem]
    others = Counter(a.version for a in answers if not a.problem and a.version != version)
    apart = [
        abs(answer.minutes - minutes)
        for answer, minutes in zip(answers, expected, strict=True)
        if answer.version == version
    ]
    difference = float(np.max(apart)) if apart else 0.0
    rules = (
        none_of(
            "answers",
            len(problems),
            f"{len(problems)} of {len(answers)} requests got no answer"
            + (f", e.g. {problems[0]}" if problems else ""),
        ),
        none_of(
            "version",
            others.total(),
            f"after {seconds:.1f} s "
            + (
                ", ".join(
                    f"{counted(n, 'answer')} came from version {v}" for v, n in others.items()
                )
                or "no answer came from another version"
            ),
        ),
        at_most(
            "parity",
            difference,
            MAX_DIFFERENCE_MINUTES,
            "min",
            f"endpoint and artifact differ by up to {difference:.1e} minutes",
        ),
    )
    return verdict(
        rules,
        f"the endpoint serves version {version}: {len(answers)} golden trips answered within "
        f"{difference:.1e} minutes of the artifact",
    )


def smoke_test(
    endpoint: Endpoint,
    trips: Sequence[Mapping[str, Any]],
    expected: Sequence[float],
    version: int,
    limits: DeploymentSettings,
    still_ours: Callable[[], None],
) -> Verdict:
    """Ask the endpoint until it answers as it should, or its time is over.

    Args:
        endpoint: The server.
        trips: Golden requests.
        expected: The artifact's answers to them, minutes.
        version: That should answer.
        limits: How many requests, and how long the server may take to follow the registry.
        still_ours: Called at each attempt; raises if the deployment was stopped.

    Returns:
        The judgement of the last attempt. A wrong prediction of the right version ends it at once:
        waiting makes that no better.
    """
    began = time.monotonic()
    which = [number % len(trips) for number in range(limits.smoke_requests)]
    while True:
        still_ours()
        answers = _ask(endpoint, [trips[number] for number in which])
        seconds = time.monotonic() - began
        found = judge(answers, [expected[n] for n in which[: len(answers)]], version, seconds)
        if found.passed or seconds >= limits.swap_seconds or "parity" in found.refused_by:
            return found
        time.sleep(_POLL_SECONDS)


def _ask(endpoint: Endpoint, trips: Sequence[Mapping[str, Any]]) -> list[EndpointAnswer]:
    """Ask one after the other; a server that hangs is not made to hang for each of them."""
    answers: list[EndpointAnswer] = []
    for trip in trips:
        answers.append(endpoint.ask(trip))
        if answers[-1].problem:
            break
    return answers
