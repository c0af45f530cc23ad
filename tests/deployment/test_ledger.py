"""The books: a step is taken once, by whoever has the claim, and what went wrong is noted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mlops.deployment.claim import Claim
from mlops.deployment.ledger import Asked, Ledger
from mlops.deployment.process import Deployer
from mlops.deployment.records import DeploymentRecord, RunKey, now
from mlops.errors import DeploymentError
from mlops.registry.rollout import Rollout

ASKED = Asked(what="2", by="ann", reason="to see", run=RunKey(id="7"))


@pytest.fixture
def ledger(running: Any) -> Ledger:
    """The books of a home whose champion is version 1."""
    made: Ledger = running.ledger()
    return made


def opened(ledger: Ledger, version: int = 2) -> DeploymentRecord:
    with ledger.claims.locked():
        return ledger.open("deployment", version, 1, ASKED)


def lose(ledger: Ledger, record: DeploymentRecord) -> None:
    """Let another deployment take the claim."""
    other = record.model_copy(update={"id": "20990101T000000-v3", "version": 3})
    with ledger.claims.locked():
        ledger.claims.take(Claim.of(other))


def rollout_of(record: DeploymentRecord) -> Rollout:
    at = now()
    return Rollout(
        **{"deployment": record.id, "version": record.version, "mode": "canary", "percent": 10},
        **{"started_at": at, "expires_at": at + timedelta(hours=1), "by": "ann", "reason": "r"},
    )


def test_a_deployment_has_the_claim_before_it_has_a_record(ledger: Ledger) -> None:
    record = opened(ledger)

    holder = ledger.claims.holder()
    assert holder is not None and holder.deployment == record.id
    assert ledger.records.load(record.id) == record
    assert (record.version, record.from_version, record.state) == (2, 1, "testing")
    assert ledger.is_mine(holder, ASKED.run)
    assert not ledger.is_mine(holder, RunKey(id="8"))
    assert ledger.is_mine(holder, RunKey()), "outside Mage it is its process's"
    assert not ledger.is_mine(holder.model_copy(update={"pid": 1}), RunKey())


def test_an_error_is_noted_and_raised_and_the_step_can_be_repeated(ledger: Ledger) -> None:
    record = opened(ledger)

    def fail(_: DeploymentRecord) -> None:
        raise ValueError("the disk is full\nat byte 7")

    with pytest.raises(ValueError, match="disk is full"):
        ledger.step(record.id, "testing", fail)
    last = ledger.records.load(record.id).steps[-1]
    assert (last.event, last.decision) == ("interrupted", "ValueError: the disk is full")

    done = ledger.step(
        record.id, "testing", lambda r: ledger.note(r.id, "artifact_passed", "it works")
    )
    assert (done.state, done.steps[-1].decision) == ("watching", "it works")
    # in a later state it is done already
    assert ledger.step(record.id, "testing", fail) == done


def test_whoever_lost_the_claim_does_nothing_more(ledger: Ledger, running: Any) -> None:
    record = opened(ledger)
    lose(ledger, record)
    done: list[DeploymentRecord] = []

    with pytest.raises(DeploymentError, match="took its place"):
        ledger.step(record.id, "testing", done.append)
    with pytest.raises(DeploymentError, match="took its place"):
        ledger.note(record.id, "artifact_passed", "it works")
    with pytest.raises(DeploymentError, match="took its place"):
        Deployer(ledger, running.world)._promote(record)

    assert done == []
    assert ledger.records.load(record.id).steps == ()
    assert ledger.champion() == 1


def test_a_deployment_lets_go_of_its_own_rollout_and_claim_only(ledger: Ledger) -> None:
    first, second = opened(ledger), opened(ledger, version=3)
    ledger.registry.start_rollout(rollout_of(second))

    ledger.settle(first)
    rollout, holder = ledger.registry.rollout(), ledger.claims.holder()
    assert rollout is not None and rollout.deployment == second.id
    assert holder is not None and holder.deployment == second.id

    for _ in range(2):
        ledger.settle(second)
        assert ledger.registry.rollout() is None and ledger.claims.holder() is None


def test_only_a_record_that_has_not_ended_is_unfinished(ledger: Ledger) -> None:
    record = opened(ledger)
    claim = Claim.of(record)

    assert ledger.unfinished(claim) == record
    assert ledger.unfinished(None) is None
    assert ledger.unfinished(claim.model_copy(update={"deployment": "20990101T0-v1"})) is None
    ledger.append(record.id, "stopped", "by bob", by="bob")
    assert ledger.unfinished(claim) is None
    assert ledger.records.load(record.id).steps[-1].by == "bob"
