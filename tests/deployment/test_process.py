"""Deployments from the question to the champion: kept, refused, taken back, taken over."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.deployment.ledger import Asked
from mlops.deployment.records import Records, RunKey
from mlops.errors import BusyError, ConfigurationError, DeploymentError, GateRefusalError
from mlops.registry.versions import Registry


def test_a_version_becomes_champion_and_every_step_is_on_record(running: Any) -> None:
    record = running.deploy(2)

    assert (running.champion, running.previous) == (2, 1)
    assert record.state == "kept"
    assert [step.event for step in record.steps] == [
        "artifact_passed",
        "canary_passed",
        "promoted",
        "smoke_passed",
        "kept",
    ]
    assert (record.by, record.reason, record.from_version, record.run.id) == (
        "ann",
        "to see",
        1,
        "1",
    )
    assert Registry(running.settings).rollout() is None
    assert running.ledger().claims.holder() is None
    assert running.world.told == ["kept"]


def test_an_alias_is_resolved_once(office: Any) -> None:
    registry = Registry(office.settings)
    registry._client.set_registered_model_alias("trip-duration", "challenger", "3")

    record = office.deploy("challenger")

    assert (record.asked, record.version, office.champion) == ("challenger", 3, 3)


def test_deploying_the_champion_changes_nothing_and_says_so(running: Any) -> None:
    before = Registry(running.settings).trail()

    record = running.deploy(1)

    assert record.state == "unchanged"
    assert [step.event for step in record.steps] == ["already_champion"]
    assert Registry(running.settings).trail() == before


@pytest.mark.parametrize(
    ("failure", "state", "champion"),
    [
        ({"artifact_passes": False}, "refused", 1),
        ({"rollout_passes": False}, "refused", 1),
        ({"smoke_passes": False}, "rolled_back", 1),
    ],
)
def test_what_fails_leaves_the_champion_that_was(
    running: Any, failure: dict[str, bool], state: str, champion: int
) -> None:
    vars(running.world).update(failure)

    with pytest.raises(DeploymentError, match="as told"):
        running.deploy(2)

    assert running.champion == champion
    assert running.record().state == state
    assert running.world.told[-1] == state
    assert Registry(running.settings).rollout() is None
    # and the next deployment finds nobody in its way
    vars(running.world).update(dict.fromkeys(failure, True))
    assert running.deploy(2).state == "kept"


def test_a_first_champion_that_answers_wrong_stays_for_want_of_another(office: Any) -> None:
    office.world.smoke_passes = False

    with pytest.raises(DeploymentError, match="no earlier champion to restore"):
        office.deploy(1)

    assert office.champion == 1
    # once the cause is mended, deploying it again proves it
    office.world.smoke_passes = True
    assert office.deploy(1).state == "kept"


def test_without_a_server_canary_and_smoke_test_are_skipped_on_record(running: Any) -> None:
    running.world.rollout_passes = running.world.smoke_passes = None

    record = running.deploy(2)

    assert [step.event for step in record.steps][1::2] == ["canary_skipped", "smoke_skipped"]
    assert record.steps[1].decision == "no server"


@pytest.mark.parametrize(
    ("asked", "error", "named"),
    [
        ("99", ConfigurationError, "version: there is no version '99'"),
        ("nobody", ConfigurationError, "alias: there is no version 'nobody'"),
        ("4", GateRefusalError, "did not pass the gate"),
        ("5", GateRefusalError, "no receipt and no verdict"),
        ("6", GateRefusalError, "its receipt lacks code_commit"),
    ],
)
def test_a_version_without_evidence_is_refused_before_anything_happens(
    office: Any, asked: str, error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        office.deploy(asked)

    assert office.champion is None
    assert Records(office.settings.deployments).all() == []
    assert office.ledger().claims.holder() is None


def test_a_second_deployment_is_refused_by_name_while_the_first_runs(running: Any) -> None:
    refusals = []

    def second() -> None:
        running.world.meanwhile = lambda: None
        with pytest.raises(BusyError) as refusal:
            running.deploy(3)
        refusals.append(str(refusal.value))

    running.world.meanwhile = second
    running.deploy(2)

    assert running.champion == 2
    assert "version 2 is in progress (pipeline run 1" in refusals[0]
    assert "mlops rollback" in refusals[0]
    assert [record.version for record in Records(running.settings.deployments).all()] == [2]


def test_a_champion_made_by_somebody_else_is_not_overwritten(running: Any) -> None:
    running.world.meanwhile = lambda: Registry(running.settings).promote(3, "by hand", "eve")

    with pytest.raises(DeploymentError, match="version 3 became champion meanwhile"):
        running.deploy(2)

    assert running.champion == 3


def test_an_error_that_says_nothing_about_the_version_can_be_repeated(running: Any) -> None:
    def broken() -> None:
        raise OSError("the disk is full")

    running.world.meanwhile = broken
    with pytest.raises(OSError, match="disk"):
        running.deploy(2)
    assert running.record().state == "watching"
    assert running.record().summary == "OSError: the disk is full"

    running.world.meanwhile = lambda: None
    record = running.deploy(2, run="1")

    assert record.state == "kept"
    assert [step.event for step in record.steps].count("artifact_passed") == 1


def test_a_run_that_is_repeated_after_its_end_ends_the_same_way(running: Any) -> None:
    kept = running.deploy(2)
    assert running.deploy(2, run=kept.run.id) == kept

    running.world.artifact_passes = False
    with pytest.raises(DeploymentError) as first:
        running.deploy(3)
    running.world.artifact_passes = True
    with pytest.raises(DeploymentError) as again:
        running.deploy(3, run=running.record().run.id)

    assert str(first.value) == str(again.value)
    assert running.champion == 2


@pytest.mark.parametrize("content", [b"", b'{"deployment": "2024', b"\xff\x00"])
def test_a_damaged_claim_is_read_off_the_records(running: Any, content: bytes) -> None:
    # Given a deployment whose run is alive, and a claim that cannot be read
    ledger = running.ledger()
    ledger.open("deployment", 2, 1, Asked("2", "ann", "to see", RunKey(id="7", partition="3/7")))
    held = ledger.claims.holder()
    (ledger.claims.folder / "claim.json").write_bytes(content)

    found = ledger.claims.holder()

    assert (found.deployment, found.version, found.run) == (held.deployment, 2, held.run)


def test_a_damaged_claim_of_nobody_is_nobodys(running: Any) -> None:
    running.deploy(2)
    ledger = running.ledger()
    (ledger.claims.folder / "claim.json").write_bytes(b"{")

    assert ledger.claims.holder() is None
    # and the next deployment goes on
    assert running.deploy(3).state == "kept"
