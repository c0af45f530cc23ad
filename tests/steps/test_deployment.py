"""What a deployment is asked through a trigger's variables, and what it answers to nonsense."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import ConfigurationError
from mlops.steps import deployment


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "version: not given"),
        ({"version": "", "alias": None}, "version: empty"),
        ({"version": "2", "alias": "challenger"}, "version, alias: both are given"),
        ({"version": "challenger"}, "version: 'challenger' is not a number"),
        ({"version": "1.5"}, "version: '1.5' is not a number"),
        ({"alias": 3}, "alias: '3' is not an alias"),
        ({"version": 2}, "version: there is no version '2'"),
        ({"version": "2", "canary_percent": 200}, "canary_percent: .* less than or equal to 100"),
        ({"version": "2", "canary_minutes": "soon"}, "canary_minutes: .* number"),
    ],
)
def test_what_makes_no_sense_is_named(variables: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        deployment.resolve_version(variables)


def test_a_rollback_needs_a_number_and_something_to_go_back_to() -> None:
    with pytest.raises(ConfigurationError, match="to_version: 'the last' is not"):
        deployment.stop_deployments({"to_version": "the last"})
    with pytest.raises(ConfigurationError, match="no champion yet"):
        deployment.stop_deployments({})


def test_settings_may_be_given_by_their_short_names() -> None:
    settings = deployment._settings(
        {"canary_percent": "5", "shadow_minutes": 2, "canary_minutes": None, "version": "2"}
    )

    assert settings.deployment.canary_percent == 5
    assert settings.deployment.shadow_minutes == 2
    assert settings.deployment.canary_minutes == 1


@pytest.mark.parametrize(
    ("variables", "by"),
    [
        ({"by": "ann", "trigger_name": "deploy"}, "ann"),
        ({"trigger_name": "api", "pipeline_uuid": "deployment"}, "trigger api"),
        ({}, "the editor"),
    ],
)
def test_who_asked_is_known(variables: dict[str, Any], by: str) -> None:
    assert deployment._by(variables) == by


def test_a_process_that_is_gone_holds_no_claim() -> None:
    assert deployment._lives(os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not deployment._lives(child)
