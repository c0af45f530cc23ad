"""Rollbacks: one call, never a ping-pong, and stronger than a deployment in progress."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.deployment.records import Records
from mlops.errors import BusyError, ConfigurationError, DeploymentError
from mlops.registry.versions import Registry


def test_one_call_restores_the_previous_champion(running: Any) -> None:
    running.deploy(2)

    record = running.roll_back()

    assert (running.champion, running.previous) == (1, 2)
    assert (record.kind, record.state, record.version, record.from_version) == (
        "rollback",
        "kept",
        1,
        2,
    )
    last = Registry(running.settings).trail()[0]
    assert (last.kind, last.by, last.reason) == ("rollback", "bob", "complaints")
    assert running.world.told[-1] == "kept"


def test_a_second_rollback_does_not_bring_the_bad_version_back(office: Any) -> None:
    for version in (3, 1, 2):
        office.deploy(version)
    office.roll_back()

    with pytest.raises(ConfigurationError, match="would bring version 2 back") as refusal:
        office.roll_back()

    assert office.champion == 1
    assert "(2, 3): mlops rollback --to 3" in str(refusal.value)  # not the champion itself
    # but whoever names a version gets it
    assert office.roll_back(to=3).version == office.champion == 3


def test_only_a_former_champion_can_be_restored(office: Any) -> None:
    with pytest.raises(ConfigurationError, match="no champion yet"):
        office.roll_back()
    office.deploy(1)
    with pytest.raises(ConfigurationError, match="no previous champion"):
        office.roll_back()
    with pytest.raises(ConfigurationError, match="to_version: version 2 never was champion"):
        office.roll_back(to=2)

    assert office.champion == 1
    assert office.roll_back(to=1).state == "unchanged"


def test_a_rollback_during_the_canary_stops_it_and_keeps_the_champion(office: Any) -> None:
    office.deploy(3)
    office.deploy(1)
    rolled_back = []
    office.world.meanwhile = lambda: rolled_back.append(office.roll_back())

    with pytest.raises(DeploymentError, match="was stopped"):
        office.deploy(2)

    assert office.champion == 1
    assert Registry(office.settings).rollout() is None
    assert rolled_back[0].state == "unchanged"
    assert "version 1 stayed champion" in rolled_back[0].summary
    stopped = Records(office.settings.deployments).newest(lambda r: r.version == 2)
    assert stopped is not None
    assert (stopped.state, stopped.steps[-1].by) == ("stopped", "bob")
    assert stopped.summary == "stopped by a rollback: complaints"


def test_a_version_that_is_named_wins_over_a_canary(office: Any) -> None:
    office.deploy(3)
    office.deploy(1)
    office.world.meanwhile = lambda: office.roll_back(to=3)

    with pytest.raises(DeploymentError, match="was stopped"):
        office.deploy(2)

    assert office.champion == 3


def test_a_rollback_in_progress_is_not_disturbed(running: Any) -> None:
    running.deploy(2)
    refusals = []
    smoke = running.world.smoke

    def during(*arguments: Any) -> Any:
        running.world.smoke = smoke
        for again in (running.roll_back, lambda: running.deploy(3)):
            with pytest.raises(BusyError, match=r"rollback .* of version 1 is in progress"):
                again()
            refusals.append(again)
        return smoke(*arguments)

    running.world.smoke = during
    running.roll_back()

    assert len(refusals) == 2
    assert running.champion == 1


def test_a_restored_champion_that_answers_wrong_is_said_to(running: Any) -> None:
    running.deploy(2)
    running.world.smoke_passes = False

    with pytest.raises(DeploymentError, match="stays champion although"):
        running.roll_back()

    assert running.champion == 1
    assert running.world.told[-1] == "unproven"
