"""What a deployment or a rollback is asked: read from variables, and refused before it begins.

The steps look again, at all the evidence; this is what can be known at once, from any door.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlops.deployment.claim import Claims
from mlops.errors import ConfigurationError, GateRefusalError
from mlops.registry.lookup import no_version
from mlops.registry.standing import look_up
from mlops.registry.trail import CHAMPION, REFUSED, VERDICT, Trail, require_target
from mlops.settings import Settings

_EXAMPLE: Final = "give a version or an alias, e.g. version=12 or alias=challenger"
# Variables of a run that are short names of settings.
SETTINGS: Final = ("canary_percent", "canary_minutes", "shadow_minutes", "require_server")


def asked_version(variables: Mapping[str, Any]) -> str:
    """Return the ``version`` or ``alias`` that is to be deployed.

    Raises:
        ConfigurationError: If neither or both are given, or one is not what its name says.
    """
    given = {name: text for name in ("version", "alias") if (text := text_of(variables, name))}
    if len(given) != 1:
        empty = [name for name in ("version", "alias") if variables.get(name) is not None]
        if given:
            problem = "version, alias: both are given"
        else:
            problem = f"{' and '.join(empty)}: empty" if empty else "version: not given"
        raise ConfigurationError(problem, _EXAMPLE)
    ((name, text),) = given.items()
    if text.isdecimal() == (name == "alias"):
        kind = "a number" if name == "version" else "an alias"
        raise ConfigurationError(f"{name}: {text!r} is not {kind}", _EXAMPLE)
    return text


def asked_target(variables: Mapping[str, Any]) -> int | None:
    """Return the ``to_version`` that a rollback is asked to restore, or None.

    Raises:
        ConfigurationError: If it is not a number.
    """
    to = text_of(variables, "to_version")
    if to and not to.isdecimal():
        raise ConfigurationError(f"to_version: {to!r} is not a version number", "give one, e.g. 7")
    return int(to) if to else None


def text_of(variables: Mapping[str, Any], name: str) -> str:
    """Return a variable as text; empty if it is not given."""
    value = variables.get(name)
    return "" if value is None else str(value).strip()


def settings_among(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that short names among the variables stand for."""
    return {
        f"deployment.{name}": variables[name]
        for name in SETTINGS
        if variables.get(name) not in (None, "")
    }


def check_deployment(settings: Settings, variables: Mapping[str, Any]) -> None:
    """Make sure that there is a version to deploy, and that the gate has not refused it.

    Raises:
        ConfigurationError: If there is no such version.
        GateRefusalError: If the gate refused it.
    """
    asked = asked_version(variables)
    standing = look_up(settings)
    if standing is None:
        return
    version = standing.number(asked)
    if version is None:
        raise no_version(standing, asked)
    if standing.versions[version].tags.get(VERDICT) == REFUSED:
        raise GateRefusalError(
            f"version {version} cannot be deployed: the gate refused it",
            f"see every rule: mlops models {version}",
        )


def check_rollback(settings: Settings, variables: Mapping[str, Any]) -> None:
    """Make sure that there is something to restore, or a deployment to stop.

    Raises:
        ConfigurationError: If ``to_version`` is not a version or never was champion, or if there
            is nothing to go back to.
    """
    to = asked_target(variables)
    standing = look_up(settings)
    if standing is None:
        return
    if to is not None and to not in standing.versions:
        raise no_version(standing, str(to))
    if standing.number(CHAMPION) is None:
        raise ConfigurationError(
            "there is no champion yet: nothing to roll back",
            "deploy a version: mlops deploy VERSION",
        )
    if to is not None or Claims(settings.deployments, lambda claim: True).holder() is None:
        tags = {number: version.tags for number, version in standing.versions.items()}
        sources = {number: version.source for number, version in standing.versions.items()}
        require_target(Trail(settings).here(sources.get), tags, to)
