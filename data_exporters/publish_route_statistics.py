"""The only work of `route_statistics`: publish the second global data product."""

from typing import Any

from mlops.steps import data_preparation

if "data_exporter" not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def export(training_set: Any, **variables: Any) -> dict[str, Any]:
    """Return the `RouteStatisticsManifest` of the published snapshots."""
    return data_preparation.publish_route_statistics(training_set, variables)
