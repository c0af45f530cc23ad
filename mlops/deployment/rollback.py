"""The rollback: the champion from before the last change is champion again, at once.

A rollback undoes the latest change. If that is a deployment in progress that has not moved the
champion yet, stopping it is the rollback. Else the last promotion is undone. A rollback is never
undone by another: to restore a certain version, name it. It wins over a deployment that is
in progress or stuck: it takes its claim and ends its canary.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlops.deployment.ledger import Asked
from mlops.deployment.process import Deployer
from mlops.deployment.records import DeploymentRecord
from mlops.errors import ConfigurationError


@dataclass(frozen=True)
class _Plan:
    version: int  # that shall be champion in the end
    why_nothing: str = ""  # why that needs no change; empty if it does
    stopped: int | None = None  # version of the deployment that this takes out of the way


@dataclass(frozen=True)
class Rollback(Deployer):
    """Carries rollbacks out; `smoke_test` and `keep_or_roll_back` are a deployment's."""

    def take_over(self, asked: Asked, to: int | None = None) -> DeploymentRecord:
        """Stop whatever deployment is in progress and open the record.

        Args:
            asked: Who asks and why.
            to: A former champion; by default the one before the last promotion.

        Raises:
            BusyError: If another rollback is in progress.
            ConfigurationError: If there is nothing to go back to, or ``to`` never was champion.
        """
        ledger = self.ledger
        record = ledger.records.of_run(asked.run)
        if record is None:
            with ledger.claims.locked():
                plan = self._plan(asked, to)
                self._stop(asked)
                record = ledger.open("rollback", plan.version, ledger.champion(), asked)
                if plan.why_nothing:
                    evidence = {"stopped": plan.stopped}
                    ledger.append(record.id, "nothing_to_restore", plan.why_nothing, evidence)
            record = ledger.records.load(record.id)
            if record.is_over:
                self.world.tell(record)
        return self._settled(record.id)

    def _plan(self, asked: Asked, to: int | None) -> _Plan:
        ledger = self.ledger
        claim = ledger.claims.holder()
        alive = claim is not None and ledger.claims.is_alive(claim)
        if claim and claim.kind == "rollback" and alive and not ledger.is_mine(claim, asked.run):
            raise claim.is_busy()
        champion = ledger.champion()
        if champion is None:
            raise ConfigurationError(
                "there is no champion yet: nothing to roll back",
                "deploy a version: mlops deploy VERSION",
            )
        unfinished = ledger.unfinished(claim)
        if unfinished and to is None:
            if unfinished.kind == "rollback":
                return _Plan(unfinished.version)  # it died: this one completes it
            in_progress = alive or self._has_rollout(unfinished)
            if in_progress and unfinished.version != champion:
                return _Plan(
                    champion,
                    f"deployment {unfinished.id} of version {unfinished.version} was stopped; "
                    f"version {champion} stayed champion",
                    unfinished.version,
                )
        version = ledger.registry.rollback_target(to)
        same = f"version {version} is champion already" if version == champion else ""
        return _Plan(version, same)

    def _has_rollout(self, record: DeploymentRecord) -> bool:
        rollout = self.ledger.registry.rollout()
        return rollout is not None and rollout.deployment == record.id

    def _stop(self, asked: Asked) -> None:
        """End what is in progress: its record, its rollout."""
        stopped = self.ledger.unfinished(self.ledger.claims.holder())
        if stopped:
            decision = f"stopped by a rollback: {asked.reason}"
            self.ledger.append(stopped.id, "stopped", decision, by=asked.by)
            self.ledger.registry.mend_aliases()
        self.ledger.registry.end_rollout()

    def restore(self, id_: str) -> DeploymentRecord:
        """Move the alias back."""
        return self._do(id_, "restoring", self._restore)

    def _restore(self, record: DeploymentRecord) -> None:
        ledger = self.ledger
        with ledger.claims.locked():
            ledger.claims.require(record.id)
            moved = ledger.registry.rollback(record.reason, record.by, to=record.version)
            ledger.append(
                record.id,
                "restored",
                f"version {record.version} is champion again, in place of version {moved.previous}",
                moved.model_dump(mode="json"),
            )
