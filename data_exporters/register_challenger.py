"""Last block of `model_selection`: register the winner, promote when allowed."""

from typing import Any

from mlops.steps import model_selection

if "data_exporter" not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def export(judgement: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return what the registry now holds, and why."""
    return model_selection.register(judgement, variables)
