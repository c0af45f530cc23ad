"""Lets `retraining` go on only if there is something to learn."""

from typing import Any

from mlops.steps import retraining

if "condition" not in globals():
    from mage_ai.data_preparation.decorators import condition


@condition
def needed(decision: dict[str, Any], **variables: Any) -> bool:
    """Tell whether to train."""
    return retraining.is_needed(decision)
