"""The reference profile of each model version: an artifact of its run, and a copy at hand.

Whoever watches a version needs its profile every few minutes; it never changes, so one download
is enough.
"""

from __future__ import annotations

from pathlib import Path

from mlops.errors import MlopsError, RegistryError
from mlops.monitoring.profile import FILE_NAME, ReferenceProfile
from mlops.registry.connection import connect, registry_errors
from mlops.registry.models import read_artifact
from mlops.registry.versions import Registry, VersionInfo
from mlops.settings import Settings


def store_profile(settings: Settings, run_id: str, profile: ReferenceProfile) -> None:
    """Log a profile as an artifact of the run that logged the version's model.

    Args:
        settings: Say where the registry is, and where local copies lie.
        run_id: Of the version, as `VersionInfo.run_id` has it.
        profile: Of the version.

    Raises:
        RegistryError: If it cannot be written.
    """
    client = connect(settings)
    with registry_errors(settings):
        client.log_text(run_id, profile.model_dump_json(), FILE_NAME)
    profile.save(_copy(settings, run_id))


def load_profile(settings: Settings, version: int | str) -> ReferenceProfile:
    """Return the profile of a version.

    Args:
        settings: Say where the registry is, and where local copies lie.
        version: A number or an alias.

    Raises:
        RegistryError: If there is no such version, it has no profile, or the registry cannot be
            reached.
    """
    info = Registry(settings).get(version)
    if info is None:
        raise RegistryError(
            f"the model {settings.tracking.model_name} has no version {version!r}",
            "list the versions with: mlops models",
        )
    copy = _copy(settings, info.run_id)
    if copy.exists():
        try:
            return ReferenceProfile.load(copy)
        except MlopsError:
            pass  # of another version of the project, or damaged: the artifact may be better
    return _fetched(settings, info)


def _fetched(settings: Settings, info: VersionInfo) -> ReferenceProfile:
    from mlflow.exceptions import MlflowException

    try:
        text = read_artifact(connect(settings), info.run_id, FILE_NAME)
        profile = ReferenceProfile.model_validate_json(text)
    except (MlflowException, OSError, ValueError) as error:
        raise RegistryError(
            f"version {info.version} has no reference profile that this code can read"
            f" ({FILE_NAME} of run {info.run_id})",
            "register a model again: mlops run",
        ) from error
    profile.save(_copy(settings, info.run_id))
    return profile


def _copy(settings: Settings, run_id: str) -> Path:
    return settings.monitored / "profiles" / f"{run_id}.json"
