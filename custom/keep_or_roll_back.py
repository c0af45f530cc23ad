"""Last block of `deployment` and `rollback`: what the smoke test found is acted upon."""

from typing import Any

from mlops.steps import deployment

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def decide(opened: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the reference; raise when the champion was not kept."""
    return deployment.keep_or_roll_back(opened, variables)
