"""The reference profile of each model version: an artifact of its run, and a copy at hand.

Monitoring needs the profile of a version every few minutes; it never changes, so one download is
enough.
"""

from __future__ import annotations

from pathlib import Path

from mlops.monitoring.reference.profile import FILE_NAME, ReferenceProfile
from mlops.records.files import find_or_report
from mlops.registry.connection import connect, registry_errors
from mlops.registry.models import find_logged
from mlops.registry.versions import Registry
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
    profile.save(profile_copy(settings, run_id))


def load_profile(settings: Settings, version: int | str) -> ReferenceProfile:
    """Return the profile of a version; one registered without is profiled now.

    Args:
        settings: Say where the registry is, and where local copies lie.
        version: A number or an alias.

    Raises:
        ConfigurationError: If there is no such version.
        RegistryError: If the registry cannot be reached, or there is neither a profile nor the
            training set to build it from.
        DataQualityError: If the training set is too short to tell noise from change.
    """
    info = Registry(settings).require(version)
    profile = profile_at_hand(settings, info.run_id)
    if profile is not None:
        return profile
    # None if there is none that this code can read.
    profile = find_logged(connect(settings), info.run_id, FILE_NAME, ReferenceProfile)
    if profile is None:
        # Needs what learning needs; a stored profile is read without all that.
        from mlops.monitoring.measures.building import build_for

        profile = build_for(settings, info.version)
        store_profile(settings, info.run_id, profile)
    profile.save(profile_copy(settings, info.run_id))
    return profile


def profile_at_hand(settings: Settings, run_id: str) -> ReferenceProfile | None:
    """Return the local copy of the profile of a version's run, or None without one to be read."""
    path = profile_copy(settings, run_id)
    return find_or_report(path, ReferenceProfile, "it is fetched or built again when it is needed")


def profile_copy(settings: Settings, run_id: str) -> Path:
    """Return where the local copy of a profile lies, once there is one."""
    return settings.monitored / "profiles" / f"{run_id}.json"
