"""Last block of `batch_inference`: the champion's predictions, written once."""

from typing import Any

from mlops.steps import batch_inference

if "data_exporter" not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def export(extraction: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return a `PredictionSummary`."""
    return batch_inference.score_trips(extraction, variables)
