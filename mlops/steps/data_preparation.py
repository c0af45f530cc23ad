"""Steps of the pipelines `data_preparation` and `route_statistics`: rows become data products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops import progress
from mlops.data.references import Extraction, FeatureTable, ValidatedTrips
from mlops.data.store.publications import remember
from mlops.data.store.snapshots import publish_training_set
from mlops.datasets.opening import dataset_of
from mlops.registry.receipts import code_commit
from mlops.registry.remembered import source_in_force
from mlops.settings import load_settings
from mlops.steps.products import training_set_from

Variables = Mapping[str, Any]


def extract(variables: Variables) -> dict[str, Any]:
    """Fetch the months asked for and prove each file whole; returns an `Extraction`.

    The source is the champion's, unless another is given (`mlops.registry.remembered`).
    """
    found = source_in_force(load_settings(variables, strict=False))
    progress.report(found.summary)
    extraction = dataset_of(found.settings).extract(found.settings)
    rows = sum(file.rows for file in extraction.files)
    progress.report("extracted", files=len(extraction.files), rows=rows)
    return extraction.model_dump(mode="json")


def validate(extraction: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Hold every row to the data contract; returns `ValidatedTrips`."""
    settings = load_settings(variables, strict=False)
    validated = dataset_of(settings).validate(Extraction.model_validate(extraction), settings)
    quality = validated.quality
    progress.report("validated", kept=quality.rows_kept, quarantined=quality.rows_quarantined)
    return validated.model_dump(mode="json")


def build(validated: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Add the history known before each row; returns a `FeatureTable`."""
    settings = load_settings(variables, strict=False)
    table = dataset_of(settings).build(ValidatedTrips.model_validate(validated), settings)
    return table.model_dump(mode="json")


def publish(features: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Publish the training set as an immutable snapshot; returns its `TrainingSetManifest`."""
    asked = source_in_force(load_settings(variables, strict=False)).settings
    dataset, table = dataset_of(asked), FeatureTable.model_validate(features)
    settings = dataset.as_extracted(table.extraction, asked)  # part of the recipe
    manifest = publish_training_set(table, settings, code_commit())
    definitions = dataset.definition_files(settings)
    remember(manifest.sha256, table.extraction.files, settings, definitions)
    progress.report("published training_set", rows=manifest.rows, sha256=manifest.sha256[:12])
    return manifest.model_dump(mode="json")


def publish_route_statistics(training_set: Any, variables: Variables) -> dict[str, Any]:
    """Publish histories at the windows' boundaries; returns a `RouteStatisticsManifest`."""
    settings = load_settings(variables, strict=False)
    manifest = dataset_of(settings).freeze(training_set_from(training_set, variables), settings)
    progress.report("published route_statistics", sha256=manifest.sha256[:12])
    return manifest.model_dump(mode="json")
