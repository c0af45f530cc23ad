"""Last block of `data_preparation`: publish the global data product `training_set`."""

from typing import Any

from mlops.steps import data_preparation

if "data_exporter" not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def export(features: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the `TrainingSetManifest` of the published snapshot."""
    return data_preparation.publish(features, variables)
