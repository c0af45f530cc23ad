"""Reads what reports are written from: the registry, the store, and the records of the home.

Whatever cannot be read is named in the report, with the reason; only the subject of a report must
be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from mlops.data.references import TrainingSetManifest
from mlops.data.store.manifests import load_manifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.opening import dataset_of
from mlops.deployment.records import Records
from mlops.errors import ConfigurationError, MlopsError, RegistryError
from mlops.monitoring.findings.records import (
    WindowRecord,
    find_window,
    read_decisions,
    read_windows,
)
from mlops.registry.searches import load_insight
from mlops.registry.selections import read_selection
from mlops.registry.versions import Registry, VersionInfo
from mlops.reports.examination import examine
from mlops.reports.facts import CardFacts, RunFacts, WindowFacts
from mlops.settings import Settings


def gather_card(settings: Settings, version: int | str) -> CardFacts:
    """Gather what the card of a version says.

    Args:
        settings: Say where everything is.
        version: A number or an alias.

    Raises:
        ConfigurationError: If there is no such version.
        RegistryError: If the registry cannot be reached.
    """
    dataset, registry = dataset_of(settings), Registry(settings)
    info = registry.get(version)
    if info is None:
        raise ConfigurationError(f"there is no version {version!r}", "list them with: mlops models")
    missing: list[str] = []
    manifest = _manifest(settings, info, missing)
    examination = None
    try:
        if manifest is not None:
            model, _ = registry.load(info.version)
            dataset = dataset.as_learned(model.encoder)
            examination = examine(model, read_window(manifest, "test"), info.version, dataset)
    except Exception as error:  # a model's file or a snapshot may be damaged in any way
        missing.append(
            f"The model could not be evaluated again ({_said(error)}): the values stored at"
            " registration are shown instead."
        )
    return CardFacts(
        model_name=settings.tracking.model_name,
        info=info,
        words=dataset.words,
        made_at=datetime.now(timezone.utc),
        manifest=manifest,
        examination=examination,
        missing=tuple(missing),
        trail=registry.trail(),
        deployments=tuple(
            each for each in Records(settings.deployments).all() if each.version == info.version
        ),
        windows=read_windows(settings, info.version, whole=0),
        min_rows=settings.gate.min_slice_rows,
    )


def gather_selection(settings: Settings, run: str = "") -> RunFacts:
    """Gather what the report of a model selection says.

    Args:
        settings: Say where everything is.
        run: Number of its pipeline run; by default the last selection.

    Raises:
        ConfigurationError: If there is no such selection, or none yet.
        RegistryError: If the registry cannot be reached.
    """
    selection = read_selection(settings, run)
    if selection is None:
        known = sorted((path.stem for path in settings.selections.glob("*.json")), key=len)
        if run and known:
            raise ConfigurationError(
                f"there is no model selection {run!r} on record",
                f"choose one of: {', '.join(known)}",
            )
        raise ConfigurationError(
            "no model selection is on record yet", "create one with: mlops run"
        )
    missing: list[str] = []
    manifest = None
    try:
        manifest = load_manifest(selection.receipt.data_hash, settings)
    except (MlopsError, OSError, ValueError) as error:
        missing.append(f"The training set cannot be read from the store ({_said(error)}).")
    found = {each.family: load_insight(settings, each.run_id) for each in selection.candidates}
    silent = [family for family, insight in found.items() if insight is None]
    if silent:
        missing.append(f"There is no record of the search of {', '.join(silent)}.")
    return RunFacts(
        selection=selection,
        words=dataset_of(settings).words,
        made_at=datetime.now(timezone.utc),
        manifest=manifest,
        insights={family: insight for family, insight in found.items() if insight is not None},
        missing=tuple(missing),
        min_rows=settings.gate.min_slice_rows,
    )


def gather_window(settings: Settings, name: str = "") -> WindowFacts:
    """Gather what the report of a monitored window says.

    Args:
        settings: Say where everything is.
        name: Of the window; by default the one that ends last.

    Raises:
        ConfigurationError: If there is no such window, or none yet.
    """
    dataset = dataset_of(settings)
    windows = read_windows(settings, whole=1)
    record = find_window(settings, name) or _window(windows, name)
    missing: list[str] = []
    info = None
    try:
        info = Registry(settings).get(record.version)
    except RegistryError as error:
        missing.append(f"The registry cannot be reached ({error.message}).")
    if info is None and not missing:
        missing.append(f"The registry no longer has version {record.version}.")
    deciding = [
        each
        for each in read_decisions(settings)
        if any(outcome.window == record.window for outcome in each.decision.windows)
    ]
    return WindowFacts(
        record=record,
        words=dataset.words,
        made_at=datetime.now(timezone.utc),
        watched={each.name: each.meaning for each in dataset.watching(settings).features},
        info=info,
        history=tuple(
            each
            for each in windows
            if each.version == record.version
            and each.origin == record.origin
            and each.end <= record.end
        ),
        decision=deciding[-1] if deciding else None,
        missing=tuple(missing),
    )


def _window(windows: Sequence[WindowRecord], name: str) -> WindowRecord:
    if not windows:
        raise ConfigurationError(
            "no window has been monitored yet", "measure one with: mlops monitor"
        )
    if not name:
        return windows[-1]
    found = next((window for window in windows if window.window == name), None)
    if found is None:
        names = ", ".join(window.window for window in windows[-8:])
        raise ConfigurationError(
            f"there is no monitored window {name!r}", f"the last ones are: {names}"
        )
    return found


def _manifest(
    settings: Settings, info: VersionInfo, missing: list[str]
) -> TrainingSetManifest | None:
    if info.receipt is None:
        missing.append(
            "The version was registered by hand, without evidence: its data, its code and its"
            " quality are not known."
        )
        return None
    try:
        return load_manifest(info.receipt.data_hash, settings)
    except (MlopsError, OSError, ValueError) as error:
        missing.append(
            f"The training set {info.receipt.data_hash[:12]} cannot be read from the store"
            f" ({_said(error)}): errors by group, their intervals and explanations could not be"
            " computed again, and what was stored at registration is shown instead."
        )
        return None


def _said(error: Exception) -> str:
    return error.message if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}"
