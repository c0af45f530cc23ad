"""Versions with their evidence, listed without importing MLflow, which takes seconds.

What cannot be read in this way is left to MLflow, which says what is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from mlops.records.files import find_or_report
from mlops.registry.catalogue import RECORD_FILE, Record, VersionInfo, version_info
from mlops.registry.connection import is_server, note_loss
from mlops.registry.standing import Standing, look_up
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.registry.versions import Registry

_WAY_OUT: Final = "restore {path} from a backup, or train that model again: mlops run"


def list_versions(settings: Settings) -> tuple[VersionInfo, ...]:
    """Return all versions of the model with their evidence, newest first.

    Raises:
        RegistryError: If the registry cannot be read.
    """
    standing = _readable(settings)
    if standing is None:
        return _registry(settings).versions()
    return tuple(_info(standing, number) for number in sorted(standing.versions, reverse=True))


def find_version(settings: Settings, wanted: int | str) -> VersionInfo | None:
    """Return a version by number or alias, or None if there is no such one.

    Raises:
        RegistryError: If the registry cannot be read.
    """
    standing = _readable(settings)
    if standing is None:
        return _registry(settings).get(wanted)
    number = standing.number(str(wanted))
    return None if number is None else _info(standing, number)


def _registry(settings: Settings) -> Registry:
    from mlops.registry.versions import Registry

    return Registry(settings)


def _readable(settings: Settings) -> Standing | None:
    """Return the versions, or None if only MLflow can read them or their evidence."""
    note_loss(settings)
    standing = None if is_server(settings.tracking_uri) else look_up(settings)
    stored = standing.versions.values() if standing else ()
    local = all(urlsplit(version.artifacts).scheme in ("", "file") for version in stored)
    return standing if local else None


def _info(standing: Standing, number: int) -> VersionInfo:
    stored, record = standing.versions[number], None
    if stored.artifacts:
        folder = Path(unquote(urlsplit(stored.artifacts).path))
        record = find_or_report(folder / RECORD_FILE, Record, _WAY_OUT)
    return version_info(number, stored, standing.aliases, record)
