"""Asks the policy what should follow from the windows on record, and stores its answer."""

from typing import Any

from mlops.steps import monitoring

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def decide(measured: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the decision in force, and whether something is to be started."""
    return monitoring.decide(measured, variables)
