"""What a deployment or a rollback makes of the one before it, whose run has died."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mlops.deployment.evidence import require_deployable
from mlops.deployment.ledger import Asked
from mlops.deployment.process import Deployer
from mlops.deployment.records import RunKey, now
from mlops.deployment.rollback import Rollback
from mlops.deployment.story import tell
from mlops.errors import BusyError, UntrustedArtifactError
from mlops.registry.rollout import Rollout


def asked(run: str, what: str = "2") -> Asked:
    return Asked(what=what, by="ann", reason="to see", run=RunKey(id=run))


def left_behind(office: Any, *events: str, version: int = 2, run: str = "dead-1") -> str:
    """Open a deployment, let events happen to it, and let its run die; return its id."""
    ledger = office.ledger()
    with ledger.claims.locked():
        record = ledger.open("deployment", version, office.champion, asked(run))
        for event in events:
            if event == "promoted":
                ledger.registry.promote(version, "to see", "ann")
            ledger.append(record.id, event, f"because of {event}")
    office.dead.add(run)
    return str(record.id)


def rollout_of(office: Any, id_: str) -> None:
    at = now()
    office.ledger().registry.start_rollout(
        Rollout(
            **{"deployment": id_, "version": 2, "mode": "canary", "percent": 10},
            **{"started_at": at, "expires_at": at + timedelta(hours=1), "by": "a", "reason": "r"},
        )
    )


def test_one_that_died_is_closed_and_its_rollout_ended_by_the_next(running: Any) -> None:
    dead = left_behind(running, "artifact_passed")
    rollout_of(running, dead)

    assert Deployer(running.ledger(), running.world).open(asked("new", "3")).version == 3

    last = running.ledger().records.load(dead).steps[-1]
    assert (last.event, last.by) == ("stopped", "ann")
    assert "when ann" in last.decision and "version 3" in last.decision
    assert running.ledger().registry.rollout() is None
    assert running.champion == 1


def test_one_that_died_after_a_failed_smoke_test_is_taken_back_by_the_next(running: Any) -> None:
    dead = left_behind(running, "artifact_passed", "canary_skipped", "promoted", "smoke_failed")
    assert running.champion == 2

    Deployer(running.ledger(), running.world).open(asked("new", "3"))

    assert running.ledger().records.load(dead).state == "rolled_back"
    assert running.champion == 1


@pytest.mark.parametrize("has_rollout", [True, False])
def test_a_rollback_only_stops_a_deployment_that_has_a_rollout(
    running: Any, has_rollout: bool
) -> None:
    running.deploy(2)
    dead = left_behind(running, "artifact_passed", version=3)
    if has_rollout:
        rollout_of(running, dead)

    record = running.roll_back()

    assert running.ledger().records.load(dead).state == "stopped"
    if has_rollout:
        assert (record.state, running.champion) == ("unchanged", 2)
        assert record.steps[0].evidence == {"stopped": 3}
    else:  # it was dead already: what is rolled back is the champion before
        assert (record.state, running.champion) == ("kept", 1)


def test_a_rollback_of_the_champion_itself_restores_the_one_before(running: Any) -> None:
    # Given a deployment in progress whose version is champion already
    id_ = left_behind(running, "artifact_passed", "canary_skipped", "promoted", run="alive-1")
    running.dead.clear()

    record = running.roll_back()

    assert running.ledger().records.load(id_).state == "stopped"
    assert (record.state, running.champion) == ("kept", 1)


def test_a_rollback_in_progress_is_busy_for_others_and_goes_on_for_itself(running: Any) -> None:
    running.deploy(2)
    rollback = Rollback(running.ledger(), running.world)
    first = rollback.take_over(asked("r1"))

    with pytest.raises(BusyError):
        rollback.take_over(asked("r2"))
    assert rollback.take_over(asked("r1")).id == first.id
    # another completes it once its run has died
    running.dead.add("r1")
    assert rollback.take_over(asked("r3")).version == 1


def test_how_to_undo_is_only_said_of_what_is_in_force(running: Any) -> None:
    deployed = running.deploy(2)
    assert tell(deployed, 2)[-1] == "Version 2 is champion. Undo: mlops rollback"
    restored = running.roll_back()
    assert tell(restored, 1)[-1] == "Version 1 is champion. Undo: mlops deploy 2"
    assert tell(restored, 1, dataset="flights")[-1].endswith("deploy 2 --dataset flights")
    assert tell(restored, 3)[-1] == "Version 3 is champion."
    assert tell(restored, 1, can_undo=False)[-1] == "Version 1 is champion."
    assert tell(deployed, None)[-1] == "No version is champion."


def test_after_a_shadow_that_passed_the_canary_is_next(running: Any) -> None:
    id_ = left_behind(running, "artifact_passed", "shadow_passed", run="again")
    running.dead.clear()

    record = Deployer(running.ledger(), running.world).watch(id_)

    assert [step.event for step in record.steps][-2:] == ["shadow_passed", "canary_passed"]
    assert record.state == "promoting"


def test_a_model_of_elsewhere_is_not_deployed(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = running.ledger().registry
    assert require_deployable(registry, "2").version == 2

    monkeypatch.setattr(registry, "is_trusted", lambda info: False)
    with pytest.raises(UntrustedArtifactError, match="mlops adopt 2"):
        require_deployable(registry, "2")
