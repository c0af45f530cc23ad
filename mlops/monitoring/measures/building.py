"""The reference profile of a registered version, built from the training set it was made of.

What a version learned last and what it was tested on is the world it was let into; the rows that
validation set aside belong to that world, too, or the share of bad rows would look like a change.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from mlops import progress
from mlops.data.months import month_bounds
from mlops.data.references import TrainingSetManifest
from mlops.data.store.content import STAGED_ANEW
from mlops.data.store.manifests import load_manifest
from mlops.datasets.opening import dataset_of
from mlops.datasets.watching import Watching
from mlops.errors import MlopsError, RegistryError
from mlops.monitoring.findings.records import last_change, read_decisions, read_windows
from mlops.monitoring.measures.learning import build_profile
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.windows.features import RowWindow
from mlops.records.parquet import read_table
from mlops.registry.versions import Registry, VersionInfo
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.training.artifact import TabularModel

# A reference needs this much history, even if some of it is of the world before a change: three
# weeks have each weekday three times, so that a week can be compared with what came before it.
LEAST_HISTORY: Final = timedelta(days=21)


def build_for(settings: Settings, version: int | str) -> ReferenceProfile:
    """Build the profile of a version from its training set, wherever it was registered.

    Args:
        settings: Registry, store, length of the reference and allowed share of false alarms.
        version: A number or an alias.

    Raises:
        ConfigurationError: If there is no such version, or its dataset cannot be watched.
        RegistryError: If it was registered without a receipt, or its training set is gone.
        DataQualityError: If the training set is too short to tell noise from change.
    """
    watching = dataset_of(settings).watching(settings)
    model, info = Registry(settings).load(version)
    manifest = _training_set(info, settings)
    # What was decided after it was registered is no reason to see its world otherwise.
    decisions = [d for d in read_decisions(settings) if d.decision.at <= info.created_at]
    changed_at = last_change(decisions, read_windows(settings, whole=0))
    start, why = reference_start(manifest, changed_at, settings.monitoring.reference_days)
    progress.report(why, days=(reference_end(manifest) - start).days)
    return build_profile(
        read_history(manifest, start, model, watching),
        str(info.version),
        manifest.test.begins,
        (model.shortest, model.longest),
        settings.monitoring,
    )


def reference_end(manifest: TrainingSetManifest) -> datetime:
    """Return when the reference of a training set's versions ends: with its last month.

    Flagged rows dated far in the future must not move it, hence not the last event.
    """
    return month_bounds(manifest.extraction.months[-1])[1]


def reference_start(
    manifest: TrainingSetManifest, changed_at: datetime | None, days: int
) -> tuple[datetime, str]:
    """Choose where the reference begins.

    It begins no earlier than the last change because of which monitoring wanted a retraining: with
    the old world in it, the new one would stay an alarm for ever.

    Args:
        manifest: The training set.
        changed_at: Begin of that change; None if there was none.
        days: Length of a reference without a change.

    Returns:
        The begin, and why in words.
    """
    first, end = month_bounds(manifest.extraction.months[0])[0], reference_end(manifest)
    start = max(first, end - timedelta(days=days))
    if changed_at is None or changed_at <= start:
        return start, "reference of the usual length"
    if changed_at >= end:
        return start, f"the change of {changed_at:%Y-%m-%d} came after the training set"
    if end - changed_at >= LEAST_HISTORY:
        return changed_at, f"reference since the change of {changed_at:%Y-%m-%d}"
    return (
        max(start, end - LEAST_HISTORY),
        f"the change of {changed_at:%Y-%m-%d} is too recent: the reference begins earlier",
    )


def read_history(
    manifest: TrainingSetManifest, start: datetime, model: TabularModel, watching: Watching
) -> RowWindow:
    """Return the rows of a training set as they came, kept and set aside, with predictions.

    Args:
        manifest: The training set.
        start: Of the reference.
        model: Of the version; what it knows of the past says what is usual.
        watching: Of the dataset.

    Returns:
        In the order of their events; rows without one inside the reference are left out.
    """
    paths = [part.uri for part in manifest.parts]
    set_aside = manifest.quality.quarantine_uri
    if set_aside:
        paths += sorted(str(path) for path in Path(set_aside).glob("*.parquet"))
    event, columns = watching.event, [*watching.asked, *watching.labels]
    inside = [(event, ">=", start), (event, "<", reference_end(manifest))]
    tables = [read_table(path, STAGED_ANEW, columns, inside) for path in paths]
    rows = pd.concat([table.to_pandas() for table in tables], ignore_index=True)
    rows = rows.sort_values(event, kind="stable", ignore_index=True)
    predictions = model.predict(rows[list(watching.asked)])
    return RowWindow.of(rows, predictions, watching, model.encoder)


def _training_set(info: VersionInfo, settings: Settings) -> TrainingSetManifest:
    if info.receipt is None:
        raise RegistryError(
            f"version {info.version} has no receipt, so its training set is not known",
            "register a model by a run: mlops run",
        )
    try:
        return load_manifest(info.receipt.data_hash, settings)
    except MlopsError as error:
        raise RegistryError(
            f"the training set of version {info.version}, {info.receipt.data_hash[:12]}, is not in"
            f" {settings.store}",
            "rebuild it from the same months (mlops pipeline run data_preparation), or register"
            " another version: mlops run",
        ) from error
