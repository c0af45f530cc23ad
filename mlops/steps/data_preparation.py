"""Steps of the pipelines `data_preparation` and `route_statistics`: trips become data products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops import progress
from mlops.data.references import (
    Extraction,
    FeatureTable,
    RouteStatisticsManifest,
    ValidatedTrips,
)
from mlops.data.store.publications import remember
from mlops.data.store.snapshots import publish_training_set
from mlops.datasets.taxi.contract.validation import validate as validate_trips
from mlops.datasets.taxi.features.build import build_features
from mlops.datasets.taxi.features.products import publish_route_statistics as publish_routes
from mlops.datasets.taxi.sources import extract as extract_trips
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
    extraction = extract_trips(found.settings)
    rows = sum(file.rows for file in extraction.files)
    progress.report("extracted", files=len(extraction.files), rows=rows)
    return extraction.model_dump(mode="json")


def validate(extraction: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Hold every trip to the data contract; returns `ValidatedTrips`."""
    validated = validate_trips(
        Extraction.model_validate(extraction), load_settings(variables, strict=False)
    )
    quality = validated.quality
    progress.report("validated", kept=quality.rows_kept, quarantined=quality.rows_quarantined)
    return validated.model_dump(mode="json")


def build(validated: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Add the route history known before each trip; returns a `FeatureTable`."""
    table = build_features(
        ValidatedTrips.model_validate(validated), load_settings(variables, strict=False)
    )
    return table.model_dump(mode="json")


def publish(features: Mapping[str, Any], variables: Variables) -> dict[str, Any]:
    """Publish the training set as an immutable snapshot; returns its `TrainingSetManifest`."""
    source = source_in_force(load_settings(variables, strict=False))  # part of the recipe
    table = FeatureTable.model_validate(features)
    manifest = publish_training_set(table, source.settings, code_commit())
    remember(manifest.sha256, table.extraction.files, source.settings)
    progress.report("published training_set", rows=manifest.rows, sha256=manifest.sha256[:12])
    return manifest.model_dump(mode="json")


def publish_route_statistics(training_set: Any, variables: Variables) -> dict[str, Any]:
    """Publish route history at the windows' boundaries; returns a `RouteStatisticsManifest`."""
    manifest: RouteStatisticsManifest = publish_routes(
        training_set_from(training_set, variables), load_settings(variables, strict=False)
    )
    progress.report("published route_statistics", sha256=manifest.sha256[:12])
    return manifest.model_dump(mode="json")
