"""Last step of `model_selection`: remember the world that a new version was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from threadpoolctl import threadpool_limits

from mlops import progress
from mlops.datasets.opening import dataset_of
from mlops.errors import MlopsError, cause_of
from mlops.monitoring.measures.building import build_for
from mlops.registry.profiles import store_profile
from mlops.registry.versions import Registry
from mlops.settings import load_settings
from mlops.steps.training import Variables, threads


def profile_version(registered: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Build and store the reference profile of the version that was registered, if one was.

    A version that cannot be profiled, say because its training set is too short or its rows have no
    time, is registered all the same: it can answer, but monitoring has nothing to compare it with,
    and says so.

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
    try:
        with threadpool_limits(threads(settings)):
            profile = build_for(settings, version)
        info = Registry(settings).require(version)
        store_profile(settings, info.run_id, profile)
    except Exception as error:  # the champion must not depend on it
        unforeseen = f"{type(error).__name__}: {cause_of(error)}"
        why = error.message if isinstance(error, MlopsError) else unforeseen
        summary = f"version {version} cannot be monitored: {why}"
        progress.report(summary)
        return {"version": version, "profiled": False, "summary": summary}
    summary = (
        f"version {version} will be compared with {profile.rows:,}"
        f" {dataset_of(settings).watching(settings).plural} of"
        f" {profile.start:%Y-%m-%d} to {profile.end:%Y-%m-%d}"
    )
    progress.report(summary)
    return {"version": version, "profiled": True, "summary": summary}
