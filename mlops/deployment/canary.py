"""The canary: a version takes a share of the traffic, and is compared with the champion.

The judgement is a pure function of two pieces of traffic; `watch` only gathers them, sending a few
requests of its own where there are too few to judge by.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlops import progress
from mlops.counting import counted
from mlops.deployment.checks import at_least, at_most, none_of, verdict
from mlops.deployment.endpoint import Endpoint
from mlops.deployment.traffic import Scrape, Traffic
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.registry.rollout import Rollout
from mlops.settings import DeploymentSettings

_P95: Final = 0.95
_LAPS: Final = 20  # looks at the metrics per canary
_LONGEST_LAP_SECONDS: Final = 5.0
_SHORTEST_LAP_SECONDS: Final = 0.25
_CLEAR_ERRORS: Final = 5
_MOST_PROBES: Final = 500  # per lap: a deployment is not a load test
_FOLLOW_POLL_SECONDS: Final = 0.25


def judge(mode: str, canary: Traffic, champion: Traffic, limits: DeploymentSettings) -> Verdict:
    """Decide whether a version that took part of the traffic may take all of it.

    Args:
        mode: ``canary`` or ``shadow``, for the words.
        canary: What the version did.
        champion: What the champion did meanwhile; too little of it is nothing to compare with, as
            when the canary takes everything.
        limits: How much worse the version may be.
    """
    enough = limits.canary_min_requests
    compared = champion.requests >= enough
    rules = [
        at_least(
            "requests",
            canary.requests,
            enough,
            "",
            f"{counted(canary.requests, 'request')} reached it, {enough} are needed to judge",
        ),
        _errors(canary, champion if compared else Traffic(), limits),
    ]
    if compared:
        rules.append(_latency(canary, champion, limits))
    against = f"{champion.requests} of the champion" if compared else "none of the champion"
    return verdict(
        rules,
        f"{mode}: {counted(canary.requests, 'request')} against {against}: "
        + "; ".join(rule.why for rule in rules[1:]),
    )


def _errors(canary: Traffic, champion: Traffic, limits: DeploymentSettings) -> RuleResult:
    return at_most(
        "errors",
        canary.error_share - champion.error_share,
        limits.max_error_share,
        "%",
        f"{canary.error_share:.1%} of its requests failed, {champion.error_share:.1%} of the "
        "champion's",
    )


def _latency(canary: Traffic, champion: Traffic, limits: DeploymentSettings) -> RuleResult:
    mine, others = (1_000 * (t.quantile_seconds(_P95) or 0.0) for t in (canary, champion))
    limit = limits.max_latency_ratio * max(others, limits.latency_floor_ms)
    return at_most(
        "latency",
        mine,
        limit,
        "ms",
        f"95 % of its answers took at most {mine:.2f} ms, of the champion's {others:.2f} ms",
    )


def clearly_failing(canary: Traffic, champion: Traffic, limits: DeploymentSettings) -> bool:
    """Tell whether errors are so many that waiting for more requests is no use.

    The lower end of Wilson's 95 % interval of the error share (E. B. Wilson, "Probable inference",
    JASA 22, 1927) lies above what is allowed, and it is not about a few accidents.
    """
    n = canary.requests
    if canary.errors < _CLEAR_ERRORS:
        return False
    z, share = 1.96, canary.error_share
    centre = share + z**2 / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    lower = (centre - spread) / (1 + z**2 / n)
    return lower - champion.error_share > limits.max_error_share


def missing(needed: int, canary: Traffic, champion: Traffic, percent: float) -> int:
    """Return how many requests must be made so that each version likely gets what it lacks."""
    share = percent / 100
    lack = max(needed - canary.requests, 0) / share
    if share < 1:
        lack = max(lack, max(needed - champion.requests, 0) / (1 - share))
    return math.ceil(lack)


@dataclass(frozen=True)
class CanaryWatch:
    """What it takes to watch a rollout.

    Attributes:
        endpoint: The server.
        limits: Of the comparison, and how long the server may take to follow.
        bodies: Of requests, sent when traffic is too thin.
        still_ours: Called at each look; raises if the deployment was stopped.
        clock: Seconds, monotonic.
        sleep: For so many seconds.
    """

    endpoint: Endpoint
    limits: DeploymentSettings
    bodies: Sequence[Mapping[str, Any]]
    still_ours: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self, rollout: Rollout) -> Verdict | None:
        """Wait until the server serves a rollout; return why it does not, or None if it does."""
        deadline = self.clock() + self.limits.swap_seconds
        while True:
            self.still_ours()
            scrape = self.endpoint.scrape()
            if scrape and (rollout.version, rollout.mode) in scrape.serving:
                return None
            if self.clock() >= deadline:
                problem = self.endpoint.problem() or "it does not say why"
                why = (
                    f"the server did not begin to serve version {rollout.version} as "
                    f"{rollout.mode} within {self.limits.swap_seconds:g} s: {problem}"
                )
                return verdict([none_of("served", 1, why)], "")
            self.sleep(_FOLLOW_POLL_SECONDS)

    def compare(self, rollout: Rollout, champion: int, minutes: float) -> Verdict:
        """Compare a rollout that is being served with the champion.

        Args:
            rollout: In force.
            champion: Version that answers the other requests.
            minutes: How long; a clear failure ends it early, thin traffic a little later.
        """
        began = self.clock()
        ends = began + 60 * minutes
        lap = min(max(60 * minutes / _LAPS, _SHORTEST_LAP_SECONDS), _LONGEST_LAP_SECONDS)
        first = last = self.endpoint.scrape()
        while True:
            self.sleep(lap)
            self.still_ours()
            last = self.endpoint.scrape() or last
            first = first or last
            mine = _gained(first, last, rollout.version, rollout.mode)
            others = _gained(first, last, champion, "champion")
            lacking = missing(self.limits.canary_min_requests, mine, others, rollout.percent)
            progress.report(
                f"{rollout.mode}", requests=mine.requests, champion_requests=others.requests
            )
            over = self.clock() >= ends and not lacking
            too_late = self.clock() >= ends + self.limits.swap_seconds
            if over or too_late or clearly_failing(mine, others, self.limits):
                return judge(rollout.mode, mine, others, self.limits)
            laps_left = max((ends - self.clock()) / lap, 1)
            self._probe(min(math.ceil(lacking / laps_left), _MOST_PROBES))

    def _probe(self, count: int) -> None:
        for number in range(count):
            self.endpoint.ask(self.bodies[number % len(self.bodies)])


def _gained(first: Scrape | None, last: Scrape | None, version: int, role: str) -> Traffic:
    if first is None or last is None:
        return Traffic()
    return last.of(version, role).since(first.of(version, role))
