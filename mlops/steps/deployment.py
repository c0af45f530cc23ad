"""Steps of `deployment` and `rollback`: from what was asked to a champion that answers right."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mlops.deployment.asking import asked_target, asked_version, settings_among, text_of
from mlops.deployment.claim import NOBODY, Claim, Claims
from mlops.deployment.ledger import Asked, Ledger
from mlops.deployment.process import Deployer
from mlops.deployment.records import DeploymentRecord, Records, RunKey
from mlops.deployment.rollback import Rollback
from mlops.deployment.world import RealWorld
from mlops.orchestration.runs.liveness import run_is_alive
from mlops.registry.versions import Registry
from mlops.settings import Settings, load_settings
from mlops.steps.reports import leave_report

Variables = Mapping[str, Any]


def resolve_version(variables: Variables) -> dict[str, Any]:
    """Open the deployment of ``version`` or ``alias``; returns a reference to its record.

    Raises:
        ConfigurationError: If none or both are given, or there is no such version.
        GateRefusalError: If its receipt or verdict is missing or against it.
        BusyError: If another deployment is in progress.
    """
    asked = Asked(
        what=asked_version(variables),
        by=_by(variables),
        reason=text_of(variables, "reason") or "asked to",
        run=_run(variables),
        allow_mismatch=_settings(variables).allow_mismatch,
    )
    return _reference(_deployer(variables).open(asked))


def test_artifact(deployment: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Test the stored artifact; raises a `DeploymentError` that ends the deployment if it fails."""
    return _reference(_deployer(variables).test_artifact(deployment["deployment"]))


def canary(deployment: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Let it work beside the champion; raises a `DeploymentError` if it does worse."""
    return _reference(_deployer(variables).watch(deployment["deployment"]))


def promote(deployment: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Make it the champion."""
    return _reference(_deployer(variables).promote(deployment["deployment"]))


def smoke_test(deployment: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Ask the running endpoint; what it finds decides the next step."""
    return _reference(_deployer(variables).smoke_test(deployment["deployment"]))


def keep_or_roll_back(deployment: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Keep it, or restore the previous champion and raise a `DeploymentError` that says why."""
    record = _deployer(variables).keep_or_roll_back(deployment["deployment"])
    if record.kind == "deployment" and record.state == "kept":
        leave_report(_settings(variables), "model", str(record.version))
    return _reference(record)


def stop_deployments(variables: Variables) -> dict[str, Any]:
    """Open the rollback to ``to_version`` or the previous champion, ending what is in progress.

    Raises:
        ConfigurationError: If ``to_version`` is not a number, or there is nothing to go back to.
        BusyError: If another rollback is in progress.
    """
    to = asked_target(variables)
    asked = Asked(
        what="previous champion" if to is None else str(to),
        by=_by(variables),
        reason=text_of(variables, "reason") or "asked to",
        run=_run(variables),
    )
    return _reference(_rollback(variables).take_over(asked, to))


def restore_champion(rollback: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Move the alias back."""
    return _reference(_rollback(variables).restore(rollback["deployment"]))


def roll_back_at_once(variables: Variables) -> dict[str, Any]:
    """Do all of the rollback in this process, without a pipeline run."""
    reference = restore_champion(stop_deployments(variables), variables)
    return keep_or_roll_back(smoke_test(reference, variables), variables)


def _deployer(variables: Variables) -> Deployer:
    settings = _settings(variables)
    return Deployer(_ledger(settings), RealWorld(settings))


def _rollback(variables: Variables) -> Rollback:
    settings = _settings(variables)
    return Rollback(_ledger(settings), RealWorld(settings))


def _settings(variables: Variables) -> Settings:
    return load_settings({**variables, **settings_among(variables)}, strict=False)


def _ledger(settings: Settings) -> Ledger:
    def is_alive(claim: Claim) -> bool:
        return run_is_alive(settings, claim.run.id) if claim.run.id else _lives(claim.pid)

    folder = settings.deployments
    return Ledger(Registry(settings), Records(folder), Claims(folder, is_alive))


def _lives(pid: int) -> bool:
    if pid == NOBODY:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _by(variables: Variables) -> str:
    trigger = text_of(variables, "trigger_name")
    return text_of(variables, "by") or (f"trigger {trigger}" if trigger else "the editor")


def _run(variables: Variables) -> RunKey:
    return RunKey(
        id=text_of(variables, "pipeline_run_id"),
        partition=text_of(variables, "execution_partition"),
    )


def _reference(record: DeploymentRecord) -> dict[str, Any]:
    """Return what blocks hand on: which record, and for people how it stands."""
    return {
        "deployment": record.id,
        "version": record.version,
        "from_version": record.from_version,
        "state": record.state,
        "summary": record.summary,
    }
