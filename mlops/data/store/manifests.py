"""The manifests of training sets: which is the current one, and where its files are.

Commands that only say what there is read these and nothing that computes: no numeric library is
imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mlops.data.references import QualityReport, TrainingSetManifest, TripPart
from mlops.errors import MlopsError
from mlops.records.files import find_pointed, find_record
from mlops.settings import Settings

TRAINING_SETS: Final = "training_sets"
MANIFEST: Final = "manifest.json"
QUARANTINE: Final = "quarantine"
CURRENT: Final = "current"  # file holding the hash published last
# The sections of the settings that decide what a training set holds.
RECIPE: Final = ("source", "validation", "windows", "features")
_REBUILD: Final = "rebuild the training set, which rewrites {path}: mlops run --rebuild"


def load_manifest(reference: str | Path, settings: Settings | None = None) -> TrainingSetManifest:
    """Read the manifest of a training set.

    Args:
        reference: Folder of the snapshot; or its hash, or at least six digits of it, which needs
            ``settings``.
        settings: Where the store is.

    Returns:
        The manifest, its paths pointing into the folder where it was found, so that a store may be
        moved or mounted elsewhere.

    Raises:
        MlopsError: If there is no such training set, or it is ambiguous.
        DamagedFileError: If its manifest is damaged.
    """
    folder = Path(reference)
    if settings is not None and re.fullmatch(r"[0-9a-f]{6,64}", str(reference)):
        found = sorted((settings.store / TRAINING_SETS).glob(f"{reference}*/"))
        if len(found) > 1:
            raise MlopsError(f"{reference}: {len(found)} training sets match", "give more digits")
        folder = found[0] if found else folder
    manifest = find_record(folder / MANIFEST, TrainingSetManifest, _REBUILD)
    if manifest is None:
        raise MlopsError(
            f"{reference}: there is no training set here",
            "build one with: mlops pipeline run data_preparation",
        )
    return manifest.model_copy(
        update={
            "uri": str(folder),
            "parts": located(manifest.parts, folder),
            "quality": quality_at(manifest.quality, folder),
        }
    )


def current_training_set(settings: Settings) -> TrainingSetManifest | None:
    """Return the training set published last, or ``None`` before the first.

    Raises:
        DamagedFileError: If what names it, or its manifest, is damaged.
    """
    sha256 = current_hash(settings)
    return load_manifest(settings.store / TRAINING_SETS / sha256) if sha256 else None


def current_hash(settings: Settings) -> str | None:
    """Return the hash of the training set published last, or ``None`` before the first.

    Raises:
        DamagedFileError: If what names it is damaged.
    """
    folder = find_pointed(settings.store / TRAINING_SETS / CURRENT, MANIFEST, _REBUILD)
    return folder.name if folder else None


def located(parts: Iterable[TripPart], folder: Path) -> tuple[TripPart, ...]:
    """Return the parts of a training set with the paths that they have in its folder."""
    return tuple(
        part.model_copy(update={"uri": str(folder / f"part-{part.month}.parquet")})
        for part in parts
    )


def quality_at(quality: QualityReport, folder: Path) -> QualityReport:
    """Return what validation found, its rows set aside looked for in a training set's folder."""
    set_aside = str(folder / QUARANTINE) if quality.quarantine_uri else None
    return quality.model_copy(update={"quarantine_uri": set_aside})
