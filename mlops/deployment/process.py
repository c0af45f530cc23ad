"""A deployment, step by step, each step repeatable: what the blocks of the pipeline call.

Every step first looks where the record stands: what is done is not done again, so a run that was
killed and resumed goes on. The champion moves only under the lock of the claim and only while the
deployment has it, so that one that a rollback stopped cannot move it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from mlops import progress
from mlops.deployment.evidence import require_deployable
from mlops.deployment.ledger import Asked, Ledger
from mlops.deployment.records import DeploymentRecord
from mlops.deployment.states import Event, State
from mlops.deployment.world import DeploymentWorld
from mlops.evaluation.verdict import Verdict

# A version whose last deployment ended so may be champion without having been proven.
_UNPROVEN: Final[frozenset[State]] = frozenset({"stopped", "unproven"})
_STAGES: Final[tuple[tuple[Literal["shadow", "canary"], Event, Event], ...]] = (
    ("shadow", "shadow_passed", "shadow_failed"),
    ("canary", "canary_passed", "canary_failed"),
)


@dataclass(frozen=True)
class Deployer:
    """Carries deployments out, one at a time.

    Args:
        ledger: Records, the claim and the registry.
        world: The artifact, the server and the notifications; tests replace it.
    """

    ledger: Ledger
    world: DeploymentWorld

    def open(self, asked: Asked) -> DeploymentRecord:
        """Resolve the version, check its evidence, claim, and open the record.

        A run that is resumed gets its own record back. A claim whose run died is taken over.

        Raises:
            ConfigurationError: If there is no such version.
            GateRefusalError: If its evidence is missing or against it.
            BusyError: If another deployment is in progress.
            DeploymentError: If the run's own deployment has ended without success.
        """
        ledger = self.ledger
        record = ledger.records.of_run(asked.run)
        if record is None:
            info = require_deployable(
                ledger.registry, asked.what, allow_mismatch=asked.allow_mismatch
            )
            with ledger.claims.locked():
                self._clear_the_way(asked)
                before = self._from_version(info.version)
                record = ledger.open("deployment", info.version, before, asked)
        if not record.is_over and not record.steps and self._is_proven_champion(record):
            decision = f"version {record.version} is champion already: nothing changes"
            ledger.note(record.id, "already_champion", decision)
            ledger.registry.mend_aliases()
        return self._settled(record.id)

    def _clear_the_way(self, asked: Asked) -> None:
        """Refuse if another deployment is at work; close one that died."""
        ledger = self.ledger
        claim = ledger.claims.holder()
        if claim is None:
            return
        if not ledger.is_mine(claim, asked.run) and ledger.claims.is_alive(claim):
            raise claim.is_busy()
        dead = ledger.unfinished(claim)
        if dead and dead.state == "failing":
            self._restore_previous(dead)  # that much was decided already
        elif dead:
            decision = f"its run had ended when {asked.by} requested version {asked.what}"
            ledger.append(dead.id, "stopped", decision, by=asked.by)
        ledger.registry.mend_aliases()
        ledger.end_rollout(claim.deployment)

    def _from_version(self, version: int) -> int | None:
        """Return where this deployment would go back to."""
        champion = self.ledger.champion()
        if champion != version:
            return champion
        previous = self.ledger.registry.previous()
        return previous.version if previous else None

    def _is_proven_champion(self, record: DeploymentRecord) -> bool:
        if self.ledger.champion() != record.version:
            return False
        last = self.ledger.records.newest(
            lambda other: other.version == record.version and other.id != record.id
        )
        return last is None or last.state not in _UNPROVEN

    def test_artifact(self, id_: str) -> DeploymentRecord:
        """Test the artifact as it is stored and as it will be served."""

        def test(record: DeploymentRecord) -> None:
            found = self.world.artifact(self.ledger.registry, record.version)
            self._judge(record, found, "artifact_passed", "artifact_failed")

        return self._do(id_, "testing", test)

    def watch(self, id_: str) -> DeploymentRecord:
        """Let the version predict beside the champion, and then answer a share of the traffic."""
        return self._do(id_, "watching", self._watch)

    def _watch(self, record: DeploymentRecord) -> None:
        ledger = self.ledger
        champion = ledger.champion()
        if champion is None or champion == record.version:
            why = "there is no champion" if champion is None else "it already answers everything"
            ledger.note(record.id, "canary_skipped", f"no canary: {why}")
            return
        done = {step.event for step in record.steps}
        for mode, passed, failed in _STAGES:
            if passed in done:
                continue
            found = self.world.rollout(
                ledger.registry, record, champion, mode, ledger.still_ours(record.id)
            )
            if isinstance(found, Verdict):
                self._judge(record, found, passed, failed)
                if not found.passed:
                    return
            elif mode == "canary":
                ledger.note(record.id, "canary_skipped", found)

    def promote(self, id_: str) -> DeploymentRecord:
        """Move the alias, if the champion still is the one that the version was compared with."""
        return self._do(id_, "promoting", self._promote)

    def _promote(self, record: DeploymentRecord) -> None:
        ledger = self.ledger
        with ledger.claims.locked():
            ledger.claims.require(record.id)
            champion = ledger.champion()
            if champion not in (record.from_version, record.version):
                ledger.append(
                    record.id,
                    "champion_changed",
                    f"version {champion} became champion meanwhile, and version {record.version} "
                    f"was compared with {named(record.from_version)}",
                )
                return
            moved = ledger.registry.promote(record.version, record.reason, record.by)
            ledger.append(
                record.id,
                "promoted",
                f"version {record.version} is champion; before it: {named(moved.previous)}",
                moved.model_dump(mode="json"),
            )

    def smoke_test(self, id_: str) -> DeploymentRecord:
        """Ask the running endpoint for what the artifact predicts."""

        def ask(record: DeploymentRecord) -> None:
            found = self.world.smoke(
                self.ledger.registry, record, self.ledger.still_ours(record.id)
            )
            if isinstance(found, Verdict):
                self._judge(record, found, "smoke_passed", "smoke_failed")
            else:
                self.ledger.note(record.id, "smoke_skipped", found)

        return self._do(id_, "verifying", ask)

    def keep_or_roll_back(self, id_: str) -> DeploymentRecord:
        """Keep the new champion, or restore the previous one.

        Raises:
            DeploymentError: If it was not kept, with the reason.
        """

        def keep(record: DeploymentRecord) -> None:
            self.ledger.note(record.id, "kept", f"version {record.version} stays champion")

        def take_back(record: DeploymentRecord) -> None:
            with self.ledger.claims.locked():
                self.ledger.claims.require(record.id)
                self._restore_previous(record)

        if self.ledger.records.load(id_).state == "failing":
            return self._do(id_, "failing", take_back)
        return self._do(id_, "proven", keep)

    def _restore_previous(self, record: DeploymentRecord) -> None:
        """Undo a promotion that failed its smoke test; only under the lock."""
        ledger, before = self.ledger, record.from_version
        failure = f"the smoke test was {record.summary}"
        if record.kind == "rollback" or before in (None, record.version):
            ledger.append(
                record.id,
                "left_unproven",
                f"version {record.version} stays champion although {failure}; "
                "there is no earlier champion to restore",
            )
            return
        champion = ledger.champion()
        if champion not in (record.version, before):
            decision = f"version {champion} became champion meanwhile and stays"
        else:
            ledger.registry.rollback(f"deployment {record.id}: {failure}", "deployment", to=before)
            decision = f"version {before} is champion again"
        ledger.append(record.id, "rolled_back", f"{decision}: {failure}")

    def _do(
        self, id_: str, when: State, do: Callable[[DeploymentRecord], None]
    ) -> DeploymentRecord:
        before = len(self.ledger.records.load(id_).steps)
        record = self.ledger.step(id_, when, do)
        for step in record.steps[before:]:
            progress.report(step.decision)
        if record.is_over and len(record.steps) > before:
            self.ledger.settle(record)
            self.world.tell(record)
        return self._settled(id_)

    def _settled(self, id_: str) -> DeploymentRecord:
        """Return a record; raise if it has ended without success."""
        record = self.ledger.records.load(id_)
        if record.is_over:
            self.ledger.settle(record)
        record.require_success()
        return record

    def _judge(
        self, record: DeploymentRecord, found: Verdict, passed: Event, failed: Event
    ) -> None:
        print(found.table())
        event = passed if found.passed else failed
        self.ledger.note(record.id, event, found.summary, found.model_dump(mode="json"))


def named(version: int | None) -> str:
    """Return how to call a version that may not exist."""
    return "none" if version is None else f"version {version}"
