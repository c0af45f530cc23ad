"""Last block of `retraining`: complete its record."""

from typing import Any

from mlops.steps import retraining

if "data_exporter" not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def record(
    selection: dict[str, Any], deployment: dict[str, Any], **variables: Any
) -> dict[str, Any]:
    """Return the `RetrainingRecord`."""
    return retraining.record(selection, deployment, variables)
