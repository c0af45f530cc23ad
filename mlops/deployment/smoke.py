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
from mlops.deployment.golden import GoldenAnswers
from mlops.evaluation.verdict import Verdict
from mlops.settings import DeploymentSettings

_POLL_SECONDS: Final = 0.25


def judge(
    answers: Sequence[EndpointAnswer], golden: GoldenAnswers, version: int, seconds: float
) -> Verdict:
    """Hold answers of the endpoint to what the artifact says.

    Args:
        answers: Of the endpoint, one per request, which went through the golden ones in turn.
        golden: What the artifact says.
        version: That should have answered.
        seconds: Since the promotion was looked for, for the words.
    """
    problems = [answer.problem for answer in answers if answer.problem]
    others = Counter(a.version for a in answers if not a.problem and a.version != version)
    apart = [
        abs(answer.prediction - golden.predictions[number % len(golden.predictions)])
        for number, answer in enumerate(answers)
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
            golden.tolerance,
            golden.unit,
            f"endpoint and artifact differ by up to {difference:.1e} {golden.unit}".rstrip(),
        ),
    )
    return verdict(
        rules,
        f"the endpoint serves version {version}: {len(answers)} golden requests answered within "
        f"{f'{difference:.1e} {golden.unit}'.rstrip()} of the artifact",
    )


def smoke_test(
    endpoint: Endpoint,
    golden: GoldenAnswers,
    version: int,
    limits: DeploymentSettings,
    still_ours: Callable[[], None],
) -> Verdict:
    """Ask the endpoint until it answers as it should, or its time is over.

    Args:
        endpoint: The server.
        golden: What is asked, and what the artifact answers.
        version: That should answer.
        limits: How many requests, and how long the server may take to follow the registry.
        still_ours: Called at each attempt; raises if the deployment was stopped.

    Returns:
        The judgement of the last attempt. A wrong prediction of the right version ends it at once:
        waiting makes that no better.
    """
    began = time.monotonic()
    bodies = [golden.bodies[n % len(golden.bodies)] for n in range(limits.smoke_requests)]
    while True:
        still_ours()
        answers = _ask(endpoint, bodies)
        seconds = time.monotonic() - began
        found = judge(answers, golden, version, seconds)
        if found.passed or seconds >= limits.swap_seconds or "parity" in found.refused_by:
            return found
        time.sleep(_POLL_SECONDS)


def _ask(endpoint: Endpoint, bodies: Sequence[Mapping[str, Any]]) -> list[EndpointAnswer]:
    """Ask one after the other; a server that hangs is not made to hang for each of them."""
    answers: list[EndpointAnswer] = []
    for body in bodies:
        answers.append(endpoint.ask(body))
        if answers[-1].problem:
            break
    return answers
