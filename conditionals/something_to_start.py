"""Lets `monitoring` go on only if a pipeline is to be started."""

from typing import Any

from mlops.steps import monitoring

if "condition" not in globals():
    from mage_ai.data_preparation.decorators import condition


@condition
def to_start(decided: dict[str, Any], **variables: Any) -> bool:
    """Tell whether something is to be started."""
    return monitoring.is_to_start(decided)
