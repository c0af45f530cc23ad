"""The books of deployments: opening, appending and closing records under the claim's lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlops.deployment.claim import Claim, Claims
from mlops.deployment.records import DeploymentRecord, Records, RunKey, now
from mlops.deployment.states import Event, Kind, State
from mlops.errors import ConfigurationError, DeploymentError
from mlops.registry.versions import Registry


@dataclass(frozen=True)
class Asked:
    """Who asks for something, and why.

    Attributes:
        what: The version as it was asked for: a number, an alias, or nothing.
        by: A person or a trigger.
        reason: In words.
        run: The pipeline run that will do it; empty outside Mage.
        allow_mismatch: Replace a champion that learned from other rows (`mlops.data.origins`).
    """

    what: str
    by: str
    reason: str
    run: RunKey = field(default_factory=RunKey)
    allow_mismatch: bool = False


@dataclass(frozen=True)
class Ledger:
    """Records, the claim, and the registry they are about.

    Args:
        registry: Where versions and their aliases are.
        records: Of this home.
        claims: Who may deploy.
    """

    registry: Registry
    records: Records
    claims: Claims

    def champion(self) -> int | None:
        """Return the champion's version, or None."""
        return self.registry.champion_version()

    def is_mine(self, claim: Claim, run: RunKey) -> bool:
        """Tell whether a claim was made by the run that asks, perhaps in an earlier life."""
        return claim.run == run if run.id else claim.pid == os.getpid()

    def unfinished(self, claim: Claim | None) -> DeploymentRecord | None:
        """Return the record behind a claim if it has not ended; a claim may have none yet."""
        with contextlib.suppress(ConfigurationError):
            record = self.records.load(claim.deployment) if claim else None
            return record if record and not record.is_over else None
        return None

    def open(
        self, kind: Kind, version: int, from_version: int | None, asked: Asked
    ) -> DeploymentRecord:
        """Claim, and open a record; only under the lock, even if the claim is taken."""
        record = DeploymentRecord(
            id=self.records.new_id(version),
            kind=kind,
            version=version,
            from_version=from_version,
            asked=asked.what,
            by=asked.by,
            reason=asked.reason,
            run=asked.run,
            started_at=now(),
        )
        # The claim first: a record without one would look as if somebody were at work.
        self.claims.take(Claim.of(record))
        self.records.save(record)
        return record

    def append(
        self,
        id_: str,
        event: Event,
        decision: str,
        evidence: dict[str, Any] | None = None,
        by: str = "",
    ) -> None:
        """Append a step to what is stored now; only under the lock.

        Raises:
            DeploymentError: If that cannot follow, e.g. because the deployment was stopped.
        """
        self.records.save(self.records.load(id_).after(event, decision, by, evidence))

    def note(
        self, id_: str, event: Event, decision: str, evidence: dict[str, Any] | None = None
    ) -> None:
        """Append a step if the deployment still has the claim; takes the lock."""
        with self.claims.locked():
            self.claims.require(id_)
            self.append(id_, event, decision, evidence)

    def still_ours(self, id_: str) -> Callable[[], None]:
        """Return a check that raises as soon as a deployment has lost its claim."""

        def check() -> None:
            with self.claims.locked():
                self.claims.require(id_)

        return check

    def end_rollout(self, id_: str) -> None:
        """End the rollout in force if it is a deployment's own."""
        rollout = self.registry.rollout()
        if rollout and rollout.deployment == id_:
            self.registry.end_rollout()

    def step(
        self, id_: str, when: State, do: Callable[[DeploymentRecord], None]
    ) -> DeploymentRecord:
        """Do what is to be done in one state; in a later one it is done already.

        An error that says nothing about the version is noted and raised: the step can be repeated.
        """
        record = self.records.load(id_)
        if record.state != when:
            return record
        self.still_ours(id_)()
        try:
            do(record)
        except Exception as error:
            cause = str(error).splitlines()[0] if str(error) else ""
            with contextlib.suppress(DeploymentError):  # it was stopped: its record says by whom
                self.note(id_, "interrupted", f"{type(error).__name__}: {cause}")
            raise
        return self.records.load(id_)

    def settle(self, record: DeploymentRecord) -> None:
        """Let go of what a finished deployment holds; harmless to repeat."""
        self.end_rollout(record.id)
        with self.claims.locked():
            self.claims.release(record.id)
