"""The training set a receipt names: as it lies in the store, or built again from its source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from mlops.data.references import TrainingSetManifest
from mlops.data.store.manifests import RECIPE, TRAINING_SETS, load_manifest
from mlops.data.store.snapshots import publish_training_set, verify
from mlops.datasets.opening import dataset_of
from mlops.errors import MlopsError
from mlops.registry.receipts import Receipt, code_commit
from mlops.reproduction.findings import DATA, Evidence, Stage, compared
from mlops.settings import Settings, load_settings


def find_data(
    receipt: Receipt, settings: Settings, scratch: Path
) -> tuple[Stage, TrainingSetManifest | None]:
    """Find the training set and hash its content again; build it anew if it is gone or damaged.

    Args:
        receipt: Names it, and says what it was made of.
        settings: Where the store is.
        scratch: Folder for a training set built anew; the store is left as it is.

    Returns:
        The result, and the training set, or None if there is none.
    """
    evidence: list[Evidence] = []
    try:
        manifest = load_manifest(settings.store / TRAINING_SETS / receipt.data_hash)
        verify(manifest)
        how = "in the store, with the same hash"
    except (MlopsError, ValueError) as gone:
        problem = gone.message if isinstance(gone, MlopsError) else str(gone)
        try:
            manifest = rebuild(receipt, settings, scratch)
        except MlopsError as error:
            summary = f"{problem}; it cannot be rebuilt from its source: {error.message}"
            return Stage(name=DATA, outcome="differs", summary=summary), None
        how = f"rebuilt from its source ({problem})"
        evidence += _sources(receipt, manifest)
    hashes = Evidence(what="training set", recorded=receipt.data_hash, found=manifest.sha256)
    evidence = [hashes, *evidence, *_windows(receipt, manifest)]
    return compared(DATA, evidence, f"training set {receipt.data_hash[:12]}: {how}"), manifest


def rebuild(receipt: Receipt, settings: Settings, scratch: Path) -> TrainingSetManifest:
    """Build the training set of a receipt from its source, in a folder of its own.

    Receipts without a recipe are tried with the settings in force.

    Raises:
        MlopsError: If the source is gone or what it holds breaks the data contract.
    """
    recipe = receipt.recipe or {
        **{name: getattr(settings, name).model_dump(mode="json") for name in RECIPE},
        "source": {**settings.source.model_dump(mode="json"), "months": _months(receipt)},
    }
    made_by = load_settings(_dotted(recipe))
    made_by = made_by.model_copy(update={"home": settings.home, "dataset": settings.dataset})
    elsewhere = made_by.model_copy(update={"home": scratch})
    dataset = dataset_of(made_by)
    validated = dataset.validate(dataset.extract(made_by), elsewhere)
    table = dataset.build(validated, elsewhere)
    return publish_training_set(table, elsewhere, code_commit())


def _months(receipt: Receipt) -> str:
    last = receipt.windows["test"].ends - timedelta(days=1)
    return f"{receipt.windows['train'].begins:%Y-%m}..{last:%Y-%m}"


def _dotted(recipe: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        f"{section}.{name}": value
        for section, values in recipe.items()
        for name, value in values.items()
    }


def _sources(receipt: Receipt, manifest: TrainingSetManifest) -> list[Evidence]:
    found = {file.name: file.sha256 for file in manifest.extraction.files}
    return [
        Evidence(what=file.name, recorded=file.sha256, found=found.get(file.name, "missing"))
        for file in receipt.sources
    ]


def _windows(receipt: Receipt, manifest: TrainingSetManifest) -> list[Evidence]:
    return [
        Evidence(what=f"{name} window", recorded=str(receipt.windows[name]), found=str(window))
        for name, window in manifest.windows.items()
    ]
