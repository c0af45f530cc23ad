"""What a deployment or a rollback is asked: read strictly, and refused before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops.deployment import asking
from mlops.deployment.claim import Claim, Claims
from mlops.deployment.records import DeploymentRecord, RunKey, now
from mlops.errors import ConfigurationError, GateRefusalError
from mlops.registry.standing import Standing, StoredVersion
from mlops.registry.trail import CHAMPION, REFUSED, VERDICT
from mlops.settings import Settings


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"version": 12}, "12"),
        ({"version": " 12 ", "alias": ""}, "12"),
        ({"alias": "challenger", "version": None}, "challenger"),
    ],
)
def test_one_version_is_asked_for(variables: dict[str, Any], text: str) -> None:
    assert asking.asked_version(variables) == text


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "^version: not given"),
        ({"version": " ", "alias": None}, "^version: empty"),
        ({"alias": ""}, "^alias: empty"),
        ({"version": "", "alias": ""}, "^version and alias: empty"),
        ({"version": 1, "alias": "challenger"}, "^version, alias: both are given"),
        ({"version": "challenger"}, "version: 'challenger' is not a number"),
        ({"version": "-1"}, "version: '-1' is not a number"),
        ({"alias": "12"}, "alias: '12' is not an alias"),
    ],
)
def test_what_is_not_one_version_is_refused(variables: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        asking.asked_version(variables)


def test_a_rollback_may_name_a_number() -> None:
    assert asking.asked_target({}) is None
    assert asking.asked_target({"to_version": ""}) is None
    assert asking.asked_target({"to_version": 7}) == asking.asked_target({"to_version": "7"}) == 7
    with pytest.raises(ConfigurationError, match="to_version: 'last'"):
        asking.asked_target({"to_version": "last"})


def test_short_names_stand_for_settings_if_they_are_given() -> None:
    given = {"canary_percent": 0, "canary_minutes": "", "shadow_minutes": None, "by": "ann"}

    assert asking.settings_among(given) == {"deployment.canary_percent": 0}


def stored(**tags: str) -> StoredVersion:
    return StoredVersion(run_id="r", source="s", created_ms=0, tags=tags)


STANDING = Standing(
    versions={1: stored(), 2: stored(**{VERDICT: REFUSED}), 3: stored(**{VERDICT: "passed"})},
    aliases={"challenger": 3, CHAMPION: 1},
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose registry stands as `STANDING`."""
    monkeypatch.setattr(asking, "look_up", lambda settings: STANDING)
    return Settings(home=tmp_path)


def test_only_a_version_that_is_there_and_was_not_refused_is_deployed(settings: Settings) -> None:
    for variables in ({"version": 1}, {"version": 3}, {"alias": "challenger"}):
        asking.check_deployment(settings, variables)
    with pytest.raises(GateRefusalError, match="version 2 cannot be deployed"):
        asking.check_deployment(settings, {"version": 2})
    for variables in ({"version": 9}, {"alias": "nobody"}):
        with pytest.raises(ConfigurationError):
            asking.check_deployment(settings, variables)


def test_a_rollback_needs_a_champion_and_something_before_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="there is no version '9'; there are"):
        asking.check_rollback(settings, {"to_version": 9})
    with pytest.raises(ConfigurationError):  # nothing was champion before
        asking.check_rollback(settings, {})
    with pytest.raises(ConfigurationError):
        asking.check_rollback(settings, {"to_version": 3})

    # a deployment in progress can always be stopped, but not by naming who never was champion
    record = DeploymentRecord(
        **{"id": "20240301T000000-v3", "kind": "deployment", "version": 3, "from_version": 1},
        **{"asked": "3", "by": "ann", "reason": "to see", "run": RunKey(), "started_at": now()},
    )
    Claims(settings.deployments, lambda claim: True).take(Claim.of(record))
    asking.check_rollback(settings, {})
    with pytest.raises(ConfigurationError):
        asking.check_rollback(settings, {"to_version": 3})

    monkeypatch.setattr(asking, "look_up", lambda settings: Standing(versions=STANDING.versions))
    with pytest.raises(ConfigurationError, match="no champion yet"):
        asking.check_rollback(settings, {})


def test_a_registry_that_cannot_be_read_at_once_is_asked_by_the_steps(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "look_up", lambda settings: None)

    asking.check_deployment(settings, {"version": 9})
    asking.check_rollback(settings, {"to_version": 9})
    with pytest.raises(ConfigurationError):
        asking.check_deployment(settings, {})
