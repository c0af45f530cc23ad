"""The version becomes champion: one alias moves."""

from typing import Any

from mlops.steps import deployment

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def promote(opened: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the reference."""
    return deployment.promote(opened, variables)
