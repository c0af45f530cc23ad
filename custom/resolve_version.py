"""First block of `deployment`: which version, and does its evidence speak for it?"""

from typing import Any

from mlops.steps import deployment

if "custom" not in globals():
    from mage_ai.data_preparation.decorators import custom


@custom
def resolve(**variables: Any) -> dict[str, Any]:
    """Return a reference to the record that was opened."""
    return deployment.resolve_version(variables)
