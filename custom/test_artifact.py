"""The artifact of a version is tested before anybody is answered by it."""

from typing import Any

from mlops.steps import deployment

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def check(opened: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Return the reference; raise when the artifact does not work."""
    return deployment.test_artifact(opened, variables)
