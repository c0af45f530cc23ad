"""What is refused because of what the registry holds, and what is wrong with its champion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Final

from mlops.errors import (
    ConfigurationError,
    MlopsError,
    RegistryError,
    UntrustedArtifactError,
)
from mlops.registry.standing import Standing, in_mlflow, look_up
from mlops.registry.trail import CHALLENGER, CHAMPION, Promotion, Trail
from mlops.registry.trust import find_trusted
from mlops.settings import Settings

_MOVING: Final = timedelta(minutes=1)  # in which an alias may lag behind the trail


def require_version(settings: Settings, asked: str) -> None:
    """Make sure that a version exists, as far as the registry can be asked at once.

    Args:
        settings: Say where the registry is.
        asked: A number or an alias.

    Raises:
        ConfigurationError: Naming the versions and aliases there are, or because no version was
            promoted yet.
        RegistryError: If the alias of the champion names a version that was not promoted here.
    """
    standing = look_up(settings)
    if asked == CHAMPION:
        _require_champion(settings, standing)
    if standing is not None and standing.number(asked) is None:
        raise no_version(standing, asked)


def require_champion(settings: Settings) -> None:
    """Make sure that there is a champion, as far as the registry can be asked at once.

    Raises:
        ConfigurationError: If no version was promoted yet.
        RegistryError: If the alias of the champion names a version that was not promoted here.
    """
    _require_champion(settings, look_up(settings))


def _require_champion(settings: Settings, standing: Standing | None) -> None:
    if standing is not None and standing.number(CHAMPION) is None:
        way_on = "deploy a version: mlops deploy VERSION" if standing.versions else "run: mlops run"
        raise champion_trouble(settings) or ConfigurationError("there is no champion yet", way_on)


def no_version(standing: Standing, asked: str) -> ConfigurationError:
    """Return the error for a version that does not exist."""
    if not standing.versions:
        return ConfigurationError(
            f"there is no version {asked!r}: no model has been registered yet",
            "train and register one: mlops run",
        )
    numbers = ", ".join(map(str, sorted(standing.versions)))
    aliases = "".join(f", {alias}" for alias in sorted(standing.aliases))
    return ConfigurationError(
        f"there is no version {asked!r}; there are {numbers}{aliases}",
        "a version that passes the gate beside a champion is the challenger; train one: mlops run"
        if asked == CHALLENGER
        else "list the versions with: mlops models",
    )


def champion_trouble(settings: Settings) -> MlopsError | None:
    """Return why the version that people see as champion in MLflow is not ours, or is not loaded.

    Returns:
        The error, which says what counts and what to do; None if nothing is wrong, or if the
        registry cannot be asked at once.
    """
    try:
        standing = in_mlflow(settings)
        if standing is None:
            return None
        sources = {number: version.source for number, version in standing.versions.items()}
        last = Trail(settings).in_force(sources.get)
        stray = stray_alias(settings, standing.aliases.get(CHAMPION), sources.get, last)
        if stray or last is None or find_trusted(settings, last.source):
            return stray
    except (
        MlopsError
    ) as error:  # something is damaged: every action on it fails and reports that as well
        return error
    return UntrustedArtifactError(
        f"version {last.version} is champion, but its model was not logged from this home, so "
        "it is not loaded",
        f"if you know where it comes from: mlops adopt {last.version}",
    )


def stray_alias(
    settings: Settings,
    named: int | None,
    source_of: Callable[[int], str | None],
    last: Promotion | None,
) -> RegistryError | None:
    """Return what is wrong with the alias ``champion`` in MLflow, or None.

    Args:
        settings: Name the home.
        named: The version that the alias names, if there is one.
        source_of: Returns the source of a version's model; None if there is no such version.
        last: The last change of the champion that this home made.

    Raises:
        DamagedFileError: If what is known of the version's model is damaged.
    """
    if named is None or (last and named == last.version):
        return None  # where none is named, only a copy for people is missing
    if last and named == last.previous and datetime.now(timezone.utc) - last.at < _MOVING:
        return None  # it is about to follow the trail
    stays = f"version {last.version} stays champion" if last else "there is no champion"
    source = source_of(named)
    known = source is not None and find_trusted(settings, source) is not None
    accept = f"mlops deploy {named}" if known else f"mlops adopt {named} && mlops deploy {named}"
    correct = f"; to correct the alias: mlops deploy {last.version}" if last else ""
    return RegistryError(
        f"the alias {CHAMPION!r} in MLflow names version {named}, which was not promoted from "
        f"this home: {stays}, because anybody who can write to MLflow can move an alias",
        f"to trust version {named}: {accept}{correct}",
    )
