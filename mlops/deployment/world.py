"""What a deployment needs of the world: the artifact, the running server, and notifications.

Everything else in this package is bookkeeping and judgement; tests put another world in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.deployment.artifact import artifact_verdict
from mlops.deployment.canary import CanaryWatch
from mlops.deployment.checks import none_of, verdict
from mlops.deployment.endpoint import Endpoint
from mlops.deployment.golden import golden_answers
from mlops.deployment.records import DeploymentRecord, now
from mlops.deployment.smoke import smoke_test
from mlops.evaluation.verdict import Verdict
from mlops.notifications import events
from mlops.registry.rollout import Rollout
from mlops.registry.versions import Registry, VersionInfo
from mlops.settings import Settings

Mode = Literal["canary", "shadow"]
_MARGIN_SECONDS = 60  # a rollout outlives its watch by no more


class DeploymentWorld(Protocol):
    """What can be asked; a text instead of a verdict says why it was not."""

    def artifact(self, registry: Registry, version: int) -> Verdict:
        """Test a stored artifact."""
        ...

    def rollout(
        self,
        registry: Registry,
        record: DeploymentRecord,
        champion: int,
        mode: Mode,
        still_ours: Callable[[], None],
    ) -> Verdict | str:
        """Let a version work beside the champion for a while, and compare them."""
        ...

    def smoke(
        self, registry: Registry, record: DeploymentRecord, still_ours: Callable[[], None]
    ) -> Verdict | str:
        """Ask the running endpoint for what the artifact of the new champion predicts."""
        ...

    def tell(self, record: DeploymentRecord) -> None:
        """Notify people of how it ended."""
        ...


@dataclass(frozen=True)
class RealWorld:
    """The artifact store, the online server over HTTP, and the notifications.

    Args:
        settings: Say where they are, and hold the limits.
    """

    settings: Settings

    def artifact(self, registry: Registry, version: int) -> Verdict:
        """Test a stored artifact, as it is and as the server will run it."""
        return artifact_verdict(self.settings, registry, version, _compiled)

    def rollout(
        self,
        registry: Registry,
        record: DeploymentRecord,
        champion: int,
        mode: Mode,
        still_ours: Callable[[], None],
    ) -> Verdict | str:
        """Start a rollout, wait for the server, compare, and end it whatever happens."""
        limits = self.settings.deployment
        minutes = limits.canary_minutes if mode == "canary" else limits.shadow_minutes
        if not minutes:
            return f"no {mode}: {mode}_minutes is 0"
        endpoint = Endpoint(self.settings)
        missing = self._missing(endpoint)
        if missing:
            if limits.require_server:
                return verdict([none_of("server", 1, missing)], "")
            return f"no {mode}: {missing}"
        golden = golden_answers(self.settings, registry, record.version)
        seconds = 60 * minutes + 2 * limits.swap_seconds + _MARGIN_SECONDS
        rollout = Rollout(
            deployment=record.id,
            version=record.version,
            mode=mode,
            percent=limits.canary_percent if mode == "canary" else 100,
            started_at=now(),
            expires_at=now() + timedelta(seconds=seconds),
            by=record.by,
            reason=record.reason,
        )
        watch = CanaryWatch(endpoint, limits, golden.bodies, still_ours)
        registry.start_rollout(rollout)
        try:
            return watch.follow(rollout) or watch.compare(rollout, champion, minutes)
        finally:
            present = registry.rollout()
            if present and present.deployment == record.id:
                registry.end_rollout()

    def _missing(self, endpoint: Endpoint) -> str:
        if endpoint.scrape() is None:
            unread = f"the server's metrics cannot be read at {self.settings.serving_metrics_url}"
            return endpoint.absence() or unread
        return endpoint.absence()

    def smoke(
        self, registry: Registry, record: DeploymentRecord, still_ours: Callable[[], None]
    ) -> Verdict | str:
        """Ask the endpoint; a server that was there for the canary must still be there."""
        limits = self.settings.deployment
        endpoint = Endpoint(self.settings)
        if missing := endpoint.absence():
            was_there = any(step.event == "canary_passed" for step in record.steps)
            if limits.require_server or was_there:
                return verdict([none_of("server", 1, missing)], "")
            return f"no smoke test: {missing}"
        golden = golden_answers(self.settings, registry, record.version)
        return smoke_test(endpoint, golden, record.version, limits, still_ours)

    def tell(self, record: DeploymentRecord) -> None:
        """Send a notification; nothing to tell if nothing changed."""
        settings, id_ = self.settings, record.id
        match record.kind, record.state:
            case "deployment", "kept":
                events.promoted(
                    settings,
                    record.version,
                    record.from_version,
                    record.reason,
                    record.by,
                    deployment=id_,
                )
            case "deployment", "rolled_back":
                events.rolled_back(
                    settings,
                    record.version,
                    record.from_version,
                    record.summary,
                    "deployment",
                    deployment=id_,
                )
            case "deployment", "refused" | "unproven":
                what = f"version {record.version}"
                events.refused(settings, what, record.summary, "deployment", deployment=id_)
            case "rollback", _ if (taken_back := _taken_back(record)) is not None:
                events.rolled_back(
                    settings,
                    taken_back,
                    record.version,
                    f"{record.reason} ({record.summary})",
                    record.by,
                    deployment=id_,
                )


def _taken_back(record: DeploymentRecord) -> int | None:
    """Return the version that a rollback took away: from users, or from a deployment."""
    if record.state != "unchanged":
        return record.from_version
    stopped = record.steps[-1].evidence.get("stopped")
    return None if stopped is None else int(stopped)


def _compiled(model: Any, info: VersionInfo) -> Callable[[pd.DataFrame], npt.NDArray[np.float64]]:
    from mlops.serving.model.compilation import compile_model

    bundle = compile_model(model, info.version)
    return lambda requests: bundle.predict(requests)
