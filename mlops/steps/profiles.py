"""Last step of `model_selection`: remember the world that a new version was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from threadpoolctl import threadpool_limits

from mlops import progress
from mlops.errors import DataQualityError
from mlops.monitoring.measures.building import build_for
from mlops.registry.profiles import store_profile
from mlops.registry.versions import Registry
from mlops.settings import DEFAULT_DATASET, load_settings
from mlops.steps.training import Variables, threads


def profile_version(registered: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Build and store the reference profile of the version that was registered, if one was.

    A version whose training set is too short for a profile is registered all the same: it can
    answer, but monitoring has nothing to compare it with, and says so.

    Args:
        registered: What `mlops.steps.model_selection.register` returned.
        variables: Of the run.

    Returns:
        ``version`` and ``profiled``, and a ``summary`` in words.
    """
    version = registered["version"]
    if version is None:
        return {"version": None, "profiled": False, "summary": "there is no new version to profile"}
    settings = load_settings(variables, strict=False)
    if settings.dataset != DEFAULT_DATASET:
        summary = f"version {version} is not monitored: monitoring is for {DEFAULT_DATASET} only"
        progress.report(summary)
        return {"version": version, "profiled": False, "summary": summary}
    try:
        with threadpool_limits(threads(settings)):
            profile = build_for(settings, version)
    except DataQualityError as error:
        summary = f"version {version} cannot be monitored: {error.message}"
        progress.report(summary)
        return {"version": version, "profiled": False, "summary": summary}
    info = Registry(settings).get(version)
    assert info is not None  # it has just been loaded
    store_profile(settings, info.run_id, profile)
    summary = (
        f"version {version} will be compared with {profile.rows:,} trips of"
        f" {profile.start:%Y-%m-%d} to {profile.end:%Y-%m-%d}"
    )
    progress.report(summary)
    return {"version": version, "profiled": True, "summary": summary}
