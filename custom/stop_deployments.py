"""First block of `rollback`: end what is in progress, and decide where to go back to."""

from typing import Any

from mlops.steps import deployment

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def stop(**variables: Any) -> dict[str, Any]:
    """Return a reference to the record that was opened."""
    return deployment.stop_deployments(variables)
